"""A cell library as plain data in fixed units: pF, ns, pJ, nW, V, µm². `hw.liberty` reads it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .boolean import Expression


@dataclass(frozen=True, eq=False)
class Table:
    """A figure over input slew and output load. slews: (s,) in ns, loads: (c,) in pF, values:
    (s, c). A figure that depends on neither has one slew and one load, 0."""

    slews: np.ndarray
    loads: np.ndarray
    values: np.ndarray

    def at(self, slew_ns: float, load_pf: np.ndarray | float) -> np.ndarray:
        """Returns the linear interpolation, of load_pf's shape; beyond the table, its edge."""
        row = [np.interp(slew_ns, self.slews, column) for column in self.values.T]
        return np.interp(load_pf, self.loads, row)


@dataclass(frozen=True, kw_only=True)
class Power:
    """Energies of one pin's transitions in pJ, beyond ½CV² of the load, for one related pin and
    condition. None where the file has no table for a direction: no energy."""

    related_pins: tuple[str, ...]
    when: str
    supply: str
    rise: Table | None
    fall: Table | None


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Delays in ns from one related pin to this output, and the output's slews in ns."""

    related_pins: tuple[str, ...]
    kind: str
    sense: str
    rise: Table | None
    fall: Table | None
    rise_slew: Table | None
    fall_slew: Table | None


@dataclass(frozen=True, kw_only=True)
class Pin:
    """direction: input, output, inout or internal. function: of an output, None if it has none.
    clock: the file marks it as one."""

    name: str
    direction: str
    capacitance_pf: float
    function: Expression | None
    clock: bool
    power: tuple[Power, ...]
    timing: tuple[Timing, ...]

    def powers(self, related_pin: str | None = None) -> tuple[Power, ...]:
        """Returns the energies that stand for a typical transition: those of related_pin, and of
        these those without a condition, where there are any; else all."""
        chosen = [power for power in self.power if related_pin in power.related_pins] or self.power
        return tuple([power for power in chosen if not power.when] or chosen)

    def energy_pj(
        self, slew_ns: float, load_pf: np.ndarray | float = 0.0, related_pin: str | None = None
    ) -> np.ndarray:
        """Returns the mean internal energy in pJ of one transition of this pin, rise or fall.

        Mean of the rising and of the falling tables of `powers(related_pin)`, then over both
        directions: libraries that count ±½CV² of the load in rise and fall cancel it so. Several
        supplies add up.
        """
        powers = self.powers(related_pin)
        total = np.zeros(np.shape(load_pf))
        for supply in sorted({power.supply for power in powers}):
            for direction in ("rise", "fall"):
                tables = [getattr(power, direction) for power in powers if power.supply == supply]
                energies = [table.at(slew_ns, load_pf) for table in tables if table]
                total = total + np.mean(energies, axis=0) / 2 if energies else total
        return total


@dataclass(frozen=True, kw_only=True)
class FlipFlop:
    """state, inverted_state: the names that the outputs' functions read. clear, preset: level
    of an asynchronous reset or set, or None; clear wins where both are active."""

    state: str
    inverted_state: str
    clocked_on: Expression
    next_state: Expression
    clear: Expression | None
    preset: Expression | None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """area_um2, leakage_nw: None where the file gives none. latch: it holds a level-sensitive
    state. flip_flop: None for other cells."""

    name: str
    area_um2: float | None
    leakage_nw: float | None
    pins: dict[str, Pin]
    flip_flop: FlipFlop | None
    latch: bool

    @cached_property
    def inputs(self) -> tuple[Pin, ...]:
        """Input pins, in the file's order."""
        return tuple(pin for pin in self.pins.values() if pin.direction == "input")

    @cached_property
    def outputs(self) -> tuple[Pin, ...]:
        """Output pins, in the file's order."""
        return tuple(pin for pin in self.pins.values() if pin.direction == "output")

    @property
    def clock_pin(self) -> str | None:
        """The pin that clocks its flip-flop, None for other cells."""
        return self.flip_flop.clocked_on.inputs[0] if self.flip_flop else None


@dataclass(frozen=True, kw_only=True)
class Library:
    """Cells by name, and the supply voltage that they were measured at."""

    name: str
    voltage_v: float
    cells: dict[str, Cell]

    def cell(self, name: str) -> Cell:
        """Returns a cell by name; raises ValueError if there is none."""
        if name not in self.cells:
            raise ValueError(
                f"cell {name} must be in library {self.name}, which has {len(self.cells)} cells, "
                "none of that name; map the design to this library"
            )
        return self.cells[name]
