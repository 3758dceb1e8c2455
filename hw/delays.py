"""Loads, slews and delays of a mapped netlist, from the library's tables: static timing.

Each gate's delay and output slew are looked up at the slew of its input and the load of its output,
level by level from the ports and the flip-flops on. As in timing analyzers the slew of a net is the
worst of those that its driver can give, and where conditions give an arc several delays, the
longest holds. Nets have no resistance. Source: Liberty User Guide, volume 1, chapter 2.
"""

from dataclasses import dataclass

import numpy as np

from .cells import SETUP, Library, Pin, Timing
from .netlist import Instances, Netlist

FALL, RISE = 0, 1
EDGES = (FALL, RISE)
_SENSES = {
    "positive_unate": ((FALL, FALL), (RISE, RISE)),
    "negative_unate": ((RISE, FALL), (FALL, RISE)),
}
_NON_UNATE = tuple((given, made) for given in EDGES for made in EDGES)
_NEVER = -np.inf


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a mapped netlist leaves open. input_slew_ns: of the input ports, the clock's among them.
    output_load_pf: what each bit of an output port drives. wire_load: name of one of the library's
    wire models; wire_pf_per_fanout: wire of a net for each pin it drives; no wires by default."""

    input_slew_ns: float = 0.05
    output_load_pf: float = 0.005
    wire_load: str | None = None
    wire_pf_per_fanout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Delays:
    """surroundings: that they hold for. loads_pf: (nets,). slews_ns: (nets, edges), fall and rise.
    arcs_ns: (cell, output pin, input pin) -> (instances, input edges, output edges), NaN where
    such a change does not happen. input_delay_ns: from a clock edge to the input ports' changes,
    the mean of the flip-flops', as if such ones drove the ports. longest_path_ns: from a clock edge
    through a flip-flop or an input port to a flip-flop's pin, with its setup time if the library
    has one, or to an output port."""

    surroundings: Surroundings
    loads_pf: np.ndarray
    slews_ns: np.ndarray
    arcs_ns: dict[tuple[str, str, str], np.ndarray]
    input_delay_ns: float
    longest_path_ns: float


def find_delays(netlist: Netlist, surroundings: Surroundings | None = None) -> Delays:
    """Returns the netlist's delays; ValueError naming a cell whose output has none from one of the
    pins that its function reads, or as `check_surroundings` says."""
    surroundings = surroundings or Surroundings()
    check_surroundings(surroundings, netlist.library)
    return _Search(netlist, surroundings).run()


def loads_pf(netlist: Netlist, surroundings: Surroundings) -> np.ndarray:
    """Returns each net's load, (nets,): input pins, wire and what its output ports drive."""
    loads, fanouts = np.zeros(netlist.net_count), np.zeros(netlist.net_count)
    for some in netlist.instances.values():
        for pin in some.cell.inputs:
            np.add.at(loads, some.nets[pin.name], pin.capacitance_pf)
            np.add.at(fanouts, some.nets[pin.name], 1)
    for bits in netlist.outputs.values():
        np.add.at(loads, bits, surroundings.output_load_pf)
        np.add.at(fanouts, bits, 1)
    return loads + _wires_pf(netlist, surroundings, fanouts)


def check_surroundings(surroundings: Surroundings, library: Library) -> None:
    """ValueError when the library does not have the wire model, or a number is negative."""
    name = surroundings.wire_load
    if name is not None and name not in library.wire_loads:
        raise ValueError(
            f"wire_load must be one of library {library.name}'s, "
            f"{', '.join(library.wire_loads) or 'which has none'}, not {name!r}"
        )
    for field in ("input_slew_ns", "output_load_pf", "wire_pf_per_fanout"):
        if not (number := getattr(surroundings, field)) >= 0:
            raise ValueError(f"{field} must be at least 0, not {number}")


def _wires_pf(netlist: Netlist, surroundings: Surroundings, fanouts: np.ndarray) -> np.ndarray:
    if surroundings.wire_load is None:
        return surroundings.wire_pf_per_fanout * fanouts
    return netlist.library.wire_loads[surroundings.wire_load].load_pf(fanouts)


class _Search:
    """One netlist's slews and arrival times, as far as they are known."""

    def __init__(self, netlist: Netlist, surroundings: Surroundings) -> None:
        self._netlist, self._surroundings = netlist, surroundings
        self._loads = loads_pf(netlist, surroundings)
        self._slews = np.zeros((netlist.net_count, len(EDGES)))
        self._arrivals = np.full((netlist.net_count, len(EDGES)), _NEVER)
        self._arcs: dict[tuple[str, str, str], np.ndarray] = {}

    def run(self) -> Delays:
        netlist = self._netlist
        for bits in netlist.inputs.values():
            self._slews[bits], self._arrivals[bits] = self._surroundings.input_slew_ns, 0.0
        input_delay = self._launch()
        gates = list(netlist.gates())
        levels = [netlist.levels[some.cell.name, pin] for some, pin in gates]
        for level in range(1, 1 + max((int(some.max()) for some in levels), default=0)):
            for (some, pin), of_gates in zip(gates, levels, strict=True):
                if (rows := np.flatnonzero(of_gates == level)).size:
                    self._follow(some, pin, rows)
        for some, pin in gates:
            self._check(some, pin, some.cell.pins[pin].function.inputs)
        return Delays(
            surroundings=self._surroundings,
            loads_pf=self._loads,
            slews_ns=self._slews,
            arcs_ns=self._arcs,
            input_delay_ns=input_delay,
            longest_path_ns=self._longest(),
        )

    def _launch(self) -> float:
        """From the clock to the flip-flops' outputs; the input ports follow with their mean."""
        delays = []
        for some in self._netlist.flip_flops():
            for pin in some.cell.outputs:
                self._follow(some, pin.name, np.arange(len(some.names)))
                self._check(some, pin.name, (some.cell.clock_pin,))
                arcs = self._arcs[some.cell.name, pin.name, some.cell.clock_pin]
                delays.append(arcs[:, RISE].ravel())
        mean = float(np.concatenate(delays).mean()) if delays else 0.0
        for name, bits in self._netlist.inputs.items():
            if name != self._netlist.clock:
                self._arrivals[bits] = mean
        return mean

    def _follow(self, some: Instances, pin: str, rows: np.ndarray) -> None:
        """Delays, slews and arrivals of these instances' output pin."""
        for timing in some.cell.pins[pin].timing:
            for related in timing.related_pins:
                if related in some.nets and timing.has_delays:
                    self._follow_arc(some, pin, rows, related, timing)

    def _follow_arc(
        self, some: Instances, pin: str, rows: np.ndarray, related: str, timing: Timing
    ) -> None:
        sources, nets = some.nets[related][rows], some.nets[pin][rows]
        empty = np.full((len(some.names), len(EDGES), len(EDGES)), np.nan)
        arcs = self._arcs.setdefault((some.cell.name, pin, related), empty)
        for given, made in _edges(timing):
            delay = (timing.fall, timing.rise)[made]
            slew = (timing.fall_slew, timing.rise_slew)[made]
            if delay is None:
                continue
            slews, loads = self._slews[sources, given], self._loads[nets]
            delays = delay.at(slews, loads)
            arcs[rows, given, made] = np.fmax(arcs[rows, given, made], delays)
            changes = self._arrivals[sources, given] > _NEVER  # constants never do
            made_slews = slew.at(slews, loads) if slew else slews
            _raise(self._slews[:, made], nets, np.where(changes, made_slews, 0.0))
            _raise(self._arrivals[:, made], nets, self._arrivals[sources, given] + delays)

    def _check(self, some: Instances, pin: str, pins: tuple[str, ...]) -> None:
        for related in pins:
            arcs = self._arcs.get((some.cell.name, pin, related))
            if arcs is None or np.isnan(arcs).all(axis=1).any():
                raise ValueError(
                    f"library {self._netlist.library.name} must have delays of cell "
                    f"{some.cell.name} from {related} to {pin}, rising and falling; give a library "
                    "with timing tables"
                )

    def _longest(self) -> float:
        ends = [self._arrivals[nets] for nets in self._netlist.outputs.values()]
        for some in self._netlist.flip_flops():
            ends += [self._due(some, pin) for pin in some.cell.inputs]
        return max([0.0, *(float(end.max()) for end in ends)])

    def _due(self, some: Instances, pin: Pin) -> np.ndarray:
        """Arrivals at flip-flops' pin, (instances, edges), with its setup times; those that the
        library does not have are 0."""
        nets, clocks = some.nets[pin.name], some.nets[some.cell.clock_pin]
        times = np.zeros((len(some.names), len(EDGES)))
        for timing in pin.timing:
            if timing.kind != SETUP or some.cell.clock_pin not in timing.related_pins:
                continue
            for edge, table in ((FALL, timing.fall_constraint), (RISE, timing.rise_constraint)):
                if table:
                    setup = table.at(self._slews[nets, edge], self._slews[clocks, RISE])
                    times[:, edge] = np.maximum(times[:, edge], setup)
        return self._arrivals[nets] + times


def _edges(timing: Timing) -> tuple[tuple[int, int], ...]:
    """(input edge, output edge) of each change that this group describes."""
    clocked = {"rising_edge": RISE, "falling_edge": FALL}
    if timing.kind in clocked:
        return tuple((clocked[timing.kind], made) for made in EDGES)
    return _SENSES.get(timing.sense, _NON_UNATE)


def _raise(values: np.ndarray, nets: np.ndarray, least: np.ndarray) -> None:
    values[nets] = np.maximum(values[nets], least)
