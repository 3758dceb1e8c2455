"""What the transitions and the leakage of each cell of a netlist cost, from a Liberty library.

A transition of a net costs ½CV² of the pins, wire and output ports on it, the internal energy of
the cell that drives it, by the input pin that caused it, and the internal energy of each input pin
on it, at the slews and loads of `hw.delays`. Rising and falling ones are counted apart: libraries
put ½CV² of the load into a rising output's internal energy and take it from a falling one's.

Conditions (`when`) are weighed by the share of the time for which the cell's settled pins fulfill
them. What none covers costs what the tables without a condition say; without such tables, an
input pin's transition costs nothing more there, since the output's tables hold its energy, and an
output's transition shows that one of the conditions holds, so their shares are scaled up to 1.
Source: Liberty User Guide, volume 1, chapters 3 and 4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .activity import Activity
from .cells import Cell, Pin, Power
from .delays import EDGES, FALL, RISE, Delays
from .netlist import Instances, Netlist


@dataclass(frozen=True)
class Item:
    """Energies, (instances,), in pJ, of all instances of a cell, in one part of the report; cell
    "" for what input ports drive. switching: they are ½CV²."""

    part: str
    cell: str
    energies: np.ndarray
    switching: bool = False


def energies_of(
    netlist: Netlist, activity: Activity, delays: Delays, time_us: float
) -> Iterator[Item]:
    """Yields all energies, leakage over time_us; without that of cells for which the library has
    no leakage. ValueError when the activity is of another netlist."""
    if np.shape(activity.changes) != (netlist.net_count, len(EDGES)):
        raise ValueError(
            f"changes must be falls and rises of each of the {netlist.net_count} nets, not "
            f"{np.shape(activity.changes)}; take them from a simulation of this netlist"
        )
    return _Cells(netlist, activity, delays, time_us).items()


class _Cells:
    """One activity's energies, cell by cell."""

    def __init__(
        self, netlist: Netlist, activity: Activity, delays: Delays, time_us: float
    ) -> None:
        self._netlist, self._activity, self._time_us = netlist, activity, time_us
        self._slews, self._loads = delays.slews_ns, delays.loads_pf
        self._clock = netlist.inputs[netlist.clock] if netlist.clock else []
        self._changes = np.array(activity.changes, dtype=float)
        self._changes[self._clock] = activity.cycles
        transitions = self._changes.sum(axis=1)
        self._switching = self._loads * netlist.library.voltage_v**2 / 2 * transitions

    def items(self) -> Iterator[Item]:
        yield from self._of_ports()
        for some in self._netlist.instances.values():
            cell = some.cell
            part = "flip_flops" if cell.flip_flop else "logic"
            for pin in cell.inputs:
                is_clock = pin.name == cell.clock_pin
                yield Item("clock" if is_clock else part, cell.name, self._of_input(some, pin))
            for pin in cell.outputs:
                yield Item(part, cell.name, self._of_output(some, pin))
                switching = self._switching[some.nets[pin.name]]
                yield Item(part, cell.name, switching, switching=True)
            if cell.leakage_nw is not None:
                yield Item("leakage", cell.name, self._leakage(some, cell.leakage_nw))

    def _of_ports(self) -> Iterator[Item]:
        """½CV² of nets that input ports drive; the clock's by the share of each flip-flop's pin."""
        for name, bits in self._netlist.inputs.items():
            if name != self._netlist.clock:
                yield Item("logic", "", self._switching[bits].sum()[None], switching=True)
        flip_flops = self._netlist.flip_flops()
        pins = [some.cell.pins[some.cell.clock_pin].capacitance_pf for some in flip_flops]
        total = sum(pin * len(some.names) for pin, some in zip(pins, flip_flops, strict=True))
        for pin, some in zip(pins, flip_flops, strict=True):
            each = self._switching[self._clock].sum() * (pin / total if total else 0.0)
            energies = np.full(len(some.names), each)
            yield Item("clock", some.cell.name, energies, switching=True)

    def _of_input(self, some: Instances, pin: Pin) -> np.ndarray:
        """Internal energy of transitions at an input pin. States that no condition covers cost
        nothing here: they are in the outputs' tables."""
        nets = some.nets[pin.name]
        energies = np.zeros(len(some.names))
        for edge in EDGES:
            each = self._weighed(some, pin.power, edge, self._slews[nets, edge], 0.0)
            energies += each * self._changes[nets, edge]
        return energies

    def _of_output(self, some: Instances, pin: Pin) -> np.ndarray:
        """Internal energy of an output's transitions, by what caused them."""
        nets = some.nets[pin.name]
        energies = np.zeros(len(some.names))
        for related, caused in self._causes(some, pin).items():
            powers = _related(pin, related)
            for edge in EDGES:
                slews = self._slews[some.nets[related]][:, _given(pin, related, edge)].mean(axis=1)
                each = self._weighed(some, powers, edge, slews, self._loads[nets], whole=True)
                energies += each * caused[:, edge]
        return energies

    def _causes(self, some: Instances, pin: Pin) -> dict[str, np.ndarray]:
        """Falls and rises of the output, (instances, 2), by the input pin that caused them."""
        names, caused = _sources(some.cell, pin), self._activity.caused
        if caused:
            return {name: caused[some.cell.name, pin.name, name] for name in names}
        weights = np.array([self._changes[some.nets[name]].sum(axis=1) for name in names])
        weights += (weights.sum(axis=0) == 0) if len(names) else 0
        shares = weights / weights.sum(axis=0)
        changes = self._changes[some.nets[pin.name]]
        return {name: changes * share[:, None] for name, share in zip(names, shares, strict=True)}

    def _weighed(
        self,
        some: Instances,
        powers: Sequence[Power],
        edge: int,
        slews: np.ndarray,
        loads: np.ndarray | float,
        whole: bool = False,
    ) -> np.ndarray:
        """Energy of one transition of each instance, all supplies together. whole: the transition
        shows that one of the conditions holds."""
        total = np.zeros(len(some.names))
        for supply in sorted({power.supply for power in powers}):
            of_supply = [power for power in powers if power.supply == supply]
            shares = self._shares(some, [power.when for power in of_supply], whole)
            for power, share in zip(of_supply, shares, strict=True):
                if table := (power.fall, power.rise)[edge]:
                    total += share * table.at(slews, loads)
        return total

    def _shares(self, some: Instances, conditions: list[str], whole: bool) -> list[np.ndarray]:
        """The weight of each condition; "" is the rest."""
        shares = [
            self._activity.shares[some.cell.name, when] if when else np.zeros(len(some.names))
            for when in conditions
        ]
        rest = np.maximum(1 - sum(shares), 0.0)
        if plain := conditions.count(""):
            return [
                share if when else rest / plain
                for share, when in zip(shares, conditions, strict=True)
            ]
        if not whole:
            return shares
        never_seen = sum(shares) == 0
        shares = [np.where(never_seen, 1.0, share) for share in shares]
        return [share / sum(shares) for share in shares]

    def _leakage(self, some: Instances, otherwise_nw: float) -> np.ndarray:
        """Leakage power × time, by state where the library tells; nW × µs = 1e-3 pJ."""
        states = some.cell.leakages
        shares = self._shares(some, [*(when for when, _ in states), ""], whole=True)
        powers_nw = [*(power_nw for _, power_nw in states), otherwise_nw]
        mean_nw = sum(share * power for share, power in zip(shares, powers_nw, strict=True))
        return mean_nw * self._time_us * 1e-3


def _sources(cell: Cell, pin: Pin) -> tuple[str, ...]:
    """The pins whose changes can change an output."""
    if not cell.flip_flop:
        return pin.function.inputs
    forces = [some for some in (cell.flip_flop.clear, cell.flip_flop.preset) if some]
    return (cell.clock_pin, *(name for some in forces for name in some.inputs))


def _related(pin: Pin, related: str) -> list[Power]:
    """The powers of transitions that a pin causes; all where the library has none for it."""
    of_pin = [power for power in pin.power if related in power.related_pins]
    return of_pin or [power for power in pin.power if not power.related_pins] or list(pin.power)


def _given(pin: Pin, related: str, edge: int) -> list[int]:
    """The input edges that can cause an output edge."""
    arcs = [arc for arc in pin.timing if related in arc.related_pins and arc.has_delays]
    if any(arc.kind == "rising_edge" for arc in arcs):
        return [RISE]
    senses = {arc.sense for arc in arcs}
    if senses == {"positive_unate"}:
        return [edge]
    return [FALL + RISE - edge] if senses == {"negative_unate"} else list(EDGES)
