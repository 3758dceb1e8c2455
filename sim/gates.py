"""Gate-level simulation without delays: cycle by cycle, 64 streams a machine word.

Every gate is a lookup table; all gates of one level with the same number of inputs are evaluated
together. In a cycle the inputs are applied, all nets settle, outputs are read, and then every
flip-flop takes its next state. Without delays there are no glitches: a net toggles at most once
a cycle.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hw.activity import Activity
from hw.boolean import Expression
from hw.netlist import Netlist

from . import logic
from .logic import Gates

_WORD = 64
_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ROWS = np.arange(_WORD, dtype=np.uint64)


@dataclass(frozen=True)
class Simulation:
    """outputs: port -> (cycles, streams) uint64, or for ports of more than 64 bits (cycles,
    streams, width) bool, least significant bit first. activity: of all streams after warm-up."""

    outputs: dict[str, np.ndarray]
    activity: Activity

    @property
    def toggles(self) -> np.ndarray:
        """Falls and rises, (nets,); 0 for the clock."""
        return self.activity.changes.sum(axis=1)

    @property
    def cycles(self) -> int:
        """Cycles that were counted, all streams: each flip-flop was clocked so many times."""
        return self.activity.cycles


@dataclass(frozen=True)
class Lookup:
    """Gates with the same number n of inputs. inputs: (n, gates) net ids; outputs: (gates,);
    table: (2**n, gates, 1), all ones or zeros; row sum(bit[i] << i) for inputs bit[i]."""

    inputs: np.ndarray
    outputs: np.ndarray
    table: np.ndarray

    def evaluate(self, nets: np.ndarray) -> np.ndarray:
        """Returns the outputs' words, (gates, words), for all nets' words, (nets, words); without
        inputs (gates, 1)."""
        rows = self.table
        for words in nets[self.inputs[::-1]]:
            half = len(rows) // 2
            low, high = rows[:half], rows[half:]
            rows = low ^ ((low ^ high) & words)
        return rows[0]


def simulate(
    netlist: Netlist,
    inputs: Mapping[str, np.ndarray],
    *,
    warm_up: int = 1,
    states: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Runs every stream through the netlist.

    inputs: port -> integers (cycles, streams), taken modulo 2**width, or bits (cycles, streams,
    width) of type bool; every input port but the clock. warm_up: cycles at the beginning whose
    toggles are not counted, at least 1: the first has no predecessor. states: of the flip-flops in
    the first cycle, (flip-flops, streams) bool, in the order of `Netlist.flip_flops`; 0 by default.
    progress: called with (cycles done, cycles). Asynchronous resets act in the cycle in which they
    are active; they must not depend on flip-flops that they reset. Raises ValueError on any other
    input.
    """
    words, cycles, streams = pack_inputs(netlist, inputs)
    check_warm_up(warm_up, cycles)
    machine = _Machine(netlist, -(-streams // _WORD))
    machine.nets[netlist.net_count :] = _pack(start_states(netlist, states, streams))
    valid = _pack(np.ones((1, streams), dtype=bool))
    changes = np.zeros((2, len(machine.nets)), dtype=np.int64)
    conditions = _Conditions(netlist)
    outputs = {name: [] for name in netlist.outputs}
    for cycle in range(cycles):
        before = machine.nets.copy()
        machine.settle({name: some[cycle] for name, some in words.items()})
        if cycle >= warm_up:
            changed = (machine.nets ^ before) & valid
            changes[0] += _count(changed & before)
            changes[1] += _count(changed & machine.nets)
            conditions.count(machine.nets, valid)
        for name, bits in netlist.outputs.items():
            outputs[name].append(machine.nets[bits])
        machine.clock()
        if progress:
            progress(cycle + 1, cycles)
    counted = (cycles - warm_up) * streams
    activity = Activity(
        kind="zero-delay",
        cycles=counted,
        changes=changes[:, : netlist.net_count].T,
        caused={},
        shares=conditions.shares(counted),
    )
    unpacked = {name: _unpack(np.stack(some), streams) for name, some in outputs.items()}
    return Simulation(unpacked, activity)


class _Conditions:
    """How often the cells' conditions hold when all nets have settled; the clock is high for half
    of the cycle."""

    def __init__(self, netlist: Netlist) -> None:
        self._parts = [
            (some, when, Expression(text))
            for some in netlist.instances.values()
            for when in some.cell.conditions
            for text in _halves(when, some.cell.clock_pin)
        ]
        self._counts = [np.zeros(len(some.names)) for some, _, _ in self._parts]

    def count(self, nets: np.ndarray, valid: np.ndarray) -> None:
        for (some, _, condition), count in zip(self._parts, self._counts, strict=True):
            words = condition.evaluate({name: nets[some.nets[name]] for name in condition.inputs})
            count += _count(np.broadcast_to(words & valid, (count.size, valid.size)))

    def shares(self, cycles: int) -> dict[tuple[str, str], np.ndarray]:
        """(cell, condition) -> share of the time, (instances,)."""
        shares = {}
        for (some, when, _), count in zip(self._parts, self._counts, strict=True):
            halves = len(_halves(when, some.cell.clock_pin))
            share = count / (cycles * halves)
            shares[some.cell.name, when] = shares.get((some.cell.name, when), 0.0) + share
        return shares


def _halves(condition: str, clock_pin: str | None) -> list[str]:
    """Returns the condition for a low and for a high clock, itself if it reads no clock."""
    if clock_pin not in Expression(condition).inputs:
        return [condition]
    return [re.sub(rf"\b{re.escape(clock_pin)}\b", level, condition) for level in "01"]


def _count(words: np.ndarray) -> np.ndarray:
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


def check_warm_up(warm_up: int, cycles: int) -> None:
    """ValueError unless there are cycles to be counted, and one before them."""
    if not 1 <= warm_up < cycles:
        raise ValueError(
            f"warm_up must be at least 1 and less than the {cycles} cycles, not {warm_up}; give "
            "more cycles"
        )


class _Machine:
    """All nets' words, (nets, words), the flip-flops' states behind them, and the lookups."""

    def __init__(self, netlist: Netlist, words: int) -> None:
        self._ports = netlist.inputs
        outputs, forces, nexts = [], [], []
        size = netlist.net_count
        for some, states in logic.states(netlist):
            size += len(states)
            outputs += logic.state_outputs(some, states)
            forces += logic.forced_states(some, states)
            nexts.append(logic.next_states(some, states))
        self.nets = np.zeros((size, words), dtype=np.uint64)
        self.nets[1] = _ONES
        self._settling = _lookups(outputs) + _levels(netlist)
        if forces:
            self._settling += _lookups(forces) + self._settling
        self._nexts = _lookups(nexts)

    def settle(self, inputs: dict[str, np.ndarray]) -> None:
        """Applies inputs, port -> (width, words), and evaluates all gates."""
        for name, words in inputs.items():
            self.nets[self._ports[name]] = words
        for lookup in self._settling:
            self.nets[lookup.outputs] = lookup.evaluate(self.nets)

    def clock(self) -> None:
        """Takes every flip-flop's next state; outputs follow at the next `settle`."""
        states = [(some.outputs, some.evaluate(self.nets)) for some in self._nexts]
        for nets, words in states:
            self.nets[nets] = words


def _levels(netlist: Netlist) -> list[Lookup]:
    by_level: dict[int, list[Gates]] = {}
    for some in logic.gates(netlist):
        levels = netlist.levels[some.instances.cell.name, some.output_pin]
        for level in np.unique(levels):
            chosen = levels == level
            part = replace(some, inputs=some.inputs[:, chosen], outputs=some.outputs[chosen])
            by_level.setdefault(int(level), []).append(part)
    return [lookup for level in sorted(by_level) for lookup in _lookups(by_level[level])]


def _lookups(gates: Iterable[Gates]) -> list[Lookup]:
    """Joins gates with the same number of inputs."""
    by_count: dict[int, list[Gates]] = {}
    for some in gates:
        by_count.setdefault(len(some.pins), []).append(some)
    return [_lookup(same) for same in by_count.values()]


def _lookup(same: list[Gates]) -> Lookup:
    tables = [np.tile(some.table[:, None] * _ONES, some.outputs.size) for some in same]
    return Lookup(
        np.concatenate([some.inputs for some in same], axis=1),
        np.concatenate([some.outputs for some in same]),
        np.concatenate(tables, axis=1)[:, :, None],
    )


def pack_inputs(
    netlist: Netlist, inputs: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], int, int]:
    """Returns port -> (cycles, width, words), and the number of cycles and of streams."""
    bits, cycles, streams = input_bits(netlist, inputs)
    packed = {name: _pack(some.transpose(0, 2, 1)) for name, some in bits.items()}
    return packed, cycles, streams


def start_states(netlist: Netlist, states: np.ndarray | None, streams: int) -> np.ndarray:
    """Returns the flip-flops' states in the first cycle, (flip-flops, streams) bool; ValueError
    when those given have another shape."""
    shape = sum(len(some.names) for some in netlist.flip_flops()), streams
    if states is None:
        return np.zeros(shape, dtype=bool)
    if states.shape != shape:
        raise ValueError(
            f"states must be of {shape[0]} flip-flops in {streams} streams, not {states.shape}; "
            "give one for each"
        )
    return states.astype(bool)


def input_bits(
    netlist: Netlist, inputs: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], int, int]:
    """Returns port -> (cycles, streams, width) bool, and the number of cycles and of streams.
    ValueError unless there is every input port but the clock, all of one shape."""
    wanted = netlist.inputs.keys() - {netlist.clock}
    if inputs.keys() != wanted:
        raise ValueError(
            f"inputs of {netlist.name} must be {', '.join(sorted(wanted)) or 'none'}, not "
            f"{', '.join(sorted(inputs)) or 'none'}; the clock is driven by the simulation"
        )
    bits = {name: _bits(name, some, netlist.inputs[name].size) for name, some in inputs.items()}
    shapes = {some.shape[:2] for some in bits.values()}
    if len(shapes) != 1:
        raise ValueError(
            f"inputs must be given, all for the same cycles and streams, not {sorted(shapes)}; "
            "give arrays of one shape"
        )
    [(cycles, streams)] = shapes
    return bits, cycles, streams


def _bits(name: str, values: np.ndarray, width: int) -> np.ndarray:
    """Returns (cycles, streams, width) bool for integers, or bits as they are."""
    values = np.asarray(values)
    if values.ndim == 3 and values.dtype == bool and values.shape[2] == width:
        return values
    if values.ndim != 2 or values.dtype.kind not in "iu" or width > _WORD:
        raise ValueError(
            f"input {name} of {width} bits must be integers (cycles, streams), for at most "
            f"{_WORD} bits, or bool (cycles, streams, {width}), not {values.dtype} {values.shape}"
            "; convert it"
        )
    words = values.astype(np.int64 if values.dtype.kind == "i" else np.uint64).view(np.uint64)
    return ((words[..., None] >> _ROWS[:width]) & np.uint64(1)).astype(bool)


def _pack(bits: np.ndarray) -> np.ndarray:
    """Returns (..., words) uint64 for (..., streams) bool; streams missing in a word are 0."""
    padding = [(0, 0)] * (bits.ndim - 1) + [(0, -bits.shape[-1] % _WORD)]
    packed = np.packbits(np.pad(bits, padding), axis=-1, bitorder="little")
    return np.ascontiguousarray(packed).view(np.uint64)


def _unpack(words: np.ndarray, streams: int) -> np.ndarray:
    """Returns the outputs in the form of `Simulation` for (cycles, width, words)."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little", count=streams)
    return as_words(bits.transpose(0, 2, 1))


def as_words(bits: np.ndarray) -> np.ndarray:
    """Returns a port's bits, (cycles, streams, width), in the form of `Simulation`."""
    width = bits.shape[-1]
    if width > _WORD:
        return bits.astype(bool)
    return np.bitwise_or.reduce(bits.astype(np.uint64) << _ROWS[:width], axis=-1)
