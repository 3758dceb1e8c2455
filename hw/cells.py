"""A cell library as plain data in fixed units: pF, ns, pJ, nW, V, µm². `hw.liberty` reads it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .boolean import Expression

SETUP = "setup_rising"  # kind of a timing: setup times before a rising clock


@dataclass(frozen=True, eq=False)
class Table:
    """A figure over input slew and output load. slews: (s,) in ns, loads: (c,) in pF, values:
    (s, c). A figure that depends on neither has one slew and one load, 0."""

    slews: np.ndarray
    loads: np.ndarray
    values: np.ndarray

    def at(self, slew_ns: np.ndarray | float, load_pf: np.ndarray | float) -> np.ndarray:
        """Returns the bilinear interpolation, of the shape to which slew_ns and load_pf
        broadcast; beyond the table, the line through its last two entries, as timing analyzers
        do."""
        row, down = _place(self.slews, slew_ns)
        column, right = _place(self.loads, load_pf)
        below, beside = np.minimum(row + 1, self.slews.size - 1), column + 1
        beside = np.minimum(beside, self.loads.size - 1)
        values = self.values
        upper = values[row, column] * (1 - right) + values[row, beside] * right
        lower = values[below, column] * (1 - right) + values[below, beside] * right
        return upper * (1 - down) + lower * down


def _place(axis: np.ndarray, at: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the entry before each value, and how far it is towards the next."""
    at = np.asarray(at, dtype=float)
    if axis.size == 1:
        return np.zeros(at.shape, dtype=np.int64), np.zeros(at.shape)
    before = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, axis.size - 2)
    return before, (at - axis[before]) / (axis[before + 1] - axis[before])


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
    """Delays in ns from one related pin to this output, and the output's slews in ns; or of an
    input, how long in ns it must be stable before the related pin's edge, by its own edge: tables
    over its slew and, in the place of the load, the related pin's slew."""

    related_pins: tuple[str, ...]
    kind: str
    sense: str
    rise: Table | None
    fall: Table | None
    rise_slew: Table | None
    fall_slew: Table | None
    rise_constraint: Table | None = None
    fall_constraint: Table | None = None

    @property
    def has_delays(self) -> bool:
        """Whether it has delays; others are constraints, such as setup times."""
        return bool(self.rise or self.fall)


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
    """area_um2, leakage_nw: None where the file gives none. leakages: (condition, nW), where the
    file has leakage by state. latch: it holds a level-sensitive state. flip_flop: None for other
    cells."""

    name: str
    area_um2: float | None
    leakage_nw: float | None
    leakages: tuple[tuple[str, float], ...]
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

    @cached_property
    def conditions(self) -> tuple[str, ...]:
        """The conditions of its powers and leakages on its pins, each once."""
        of_powers = [power.when for pin in self.pins.values() for power in pin.power]
        of_leakages = [when for when, _ in self.leakages]
        return tuple(dict.fromkeys(when for when in (*of_powers, *of_leakages) if when))

    @property
    def clock_pin(self) -> str | None:
        """The pin that clocks its flip-flop, None for other cells."""
        return self.flip_flop.clocked_on.inputs[0] if self.flip_flop else None


@dataclass(frozen=True, kw_only=True)
class WireLoad:
    """A statistical model of a net's wire. lengths: by fan-out, rising. slope: of the length
    beyond the last of them, a pin."""

    pf_per_length: float
    lengths: dict[int, float]
    slope: float

    def load_pf(self, fanout: np.ndarray) -> np.ndarray:
        """Returns the wires' capacitances; a net that drives nothing has no wire."""
        fanouts, lengths = list(self.lengths), list(self.lengths.values())
        beyond = np.maximum(fanout - fanouts[-1], 0) * self.slope
        length = np.interp(fanout, fanouts, lengths) + beyond
        return np.where(fanout > 0, length * self.pf_per_length, 0.0)


@dataclass(frozen=True, kw_only=True)
class Library:
    """Cells by name, the supply voltage that they were measured at, and wire models by name."""

    name: str
    voltage_v: float
    cells: dict[str, Cell]
    wire_loads: dict[str, WireLoad]

    def cell(self, name: str) -> Cell:
        """Returns a cell by name; raises ValueError if there is none."""
        if name not in self.cells:
            raise ValueError(
                f"cell {name} must be in library {self.name}, which has {len(self.cells)} cells, "
                "none of that name; map the design to this library"
            )
        return self.cells[name]
