"""Gate-level simulation without delays: cycle by cycle, 64 streams a machine word.

Every gate is a lookup table; all gates of one level with the same number of inputs are evaluated
together. In a cycle the inputs are applied, all nets settle, outputs are read, and then every
flip-flop takes its next state. Without delays there are no glitches: a net toggles at most once
a cycle.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hw.boolean import Expression
from hw.netlist import Instances, Netlist

MAX_INPUTS = 6
_WORD = 64
_ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ROWS = np.arange(_WORD, dtype=np.uint64)


@dataclass(frozen=True)
class Simulation:
    """outputs: port -> (cycles, streams) uint64, or for ports of more than 64 bits (cycles,
    streams, width) bool, least significant bit first. toggles: (nets,), rising and falling, all
    streams, after warm-up; 0 for the clock. cycles: those that were counted, all streams: each
    flip-flop was clocked so many times."""

    outputs: dict[str, np.ndarray]
    toggles: np.ndarray
    cycles: int


@dataclass(frozen=True)
class Lookup:
    """Gates with the same number n of inputs. inputs: (n, gates) net ids; outputs: (gates,);
    table: (2**n, gates, 1), all ones or zeros; row sum(bit[i] << i) for inputs bit[i]."""

    inputs: np.ndarray
    outputs: np.ndarray
    table: np.ndarray

    def evaluate(self, nets: np.ndarray) -> np.ndarray:
        """Returns the outputs' words, (gates, words), for all nets' words, (nets, words)."""
        rows = self.table
        for words in nets[self.inputs[::-1]]:
            low, high = np.split(rows, 2)
            rows = low ^ ((low ^ high) & words)
        return np.broadcast_to(rows[0], (self.outputs.size, nets.shape[1]))


def simulate(
    netlist: Netlist,
    inputs: Mapping[str, np.ndarray],
    *,
    warm_up: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """Runs every stream through the netlist. All flip-flops start from 0.

    inputs: port -> integers (cycles, streams), taken modulo 2**width, or bits (cycles, streams,
    width) of type bool; every input port but the clock. warm_up: cycles at the beginning whose
    toggles are not counted, at least 1: the first has no predecessor. progress: called with
    (cycles done, cycles). Asynchronous resets act in the cycle in which they are active; they
    must not depend on flip-flops that they reset. Raises ValueError on any other input.
    """
    words, cycles, streams = _pack_inputs(netlist, inputs)
    if not 1 <= warm_up < cycles:
        raise ValueError(
            f"warm_up must be at least 1 and less than the {cycles} cycles, not {warm_up}; give "
            "more cycles"
        )
    machine = _Machine(netlist, -(-streams // _WORD))
    valid = _pack(np.ones((1, streams), dtype=bool))
    toggles = np.zeros(len(machine.nets), dtype=np.int64)
    outputs = {name: [] for name in netlist.outputs}
    for cycle in range(cycles):
        before = machine.nets.copy()
        machine.settle({name: some[cycle] for name, some in words.items()})
        if cycle >= warm_up:
            toggles += np.bitwise_count((machine.nets ^ before) & valid).sum(axis=1, dtype=np.int64)
        for name, bits in netlist.outputs.items():
            outputs[name].append(machine.nets[bits])
        machine.clock()
        if progress:
            progress(cycle + 1, cycles)
    unpacked = {name: _unpack(np.stack(some), streams) for name, some in outputs.items()}
    return Simulation(unpacked, toggles[: netlist.net_count], (cycles - warm_up) * streams)


class _Machine:
    """All nets' words, (nets, words), the flip-flops' states behind them, and the lookups."""

    def __init__(self, netlist: Netlist, words: int) -> None:
        self._ports = netlist.inputs
        flip_flops, outputs, forces, nexts = netlist.flip_flops(), [], [], []
        size = netlist.net_count
        for some in flip_flops:
            states = np.arange(size, size + len(some.names))
            size += len(some.names)
            outputs += _state_outputs(some, states)
            forces += _forced_states(some, states)
            nexts += _next_states(some, states)
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


@dataclass(frozen=True)
class _Gates:
    """Instances of one function. inputs: (n, gates); outputs: (gates,); table: (2**n,)."""

    inputs: np.ndarray
    outputs: np.ndarray
    table: np.ndarray


def _levels(netlist: Netlist) -> list[Lookup]:
    by_level: dict[int, list[_Gates]] = {}
    for some, pin in netlist.gates():
        gates = _gates(some, some.cell.pins[pin].function, some.nets, some.nets[pin])
        levels = netlist.levels[some.cell.name, pin]
        for level in np.unique(levels):
            chosen = levels == level
            part = _Gates(gates.inputs[:, chosen], gates.outputs[chosen], gates.table)
            by_level.setdefault(int(level), []).append(part)
    return [lookup for level in sorted(by_level) for lookup in _lookups(by_level[level])]


def _lookups(gates: list[_Gates]) -> list[Lookup]:
    """Joins gates with the same number of inputs."""
    lookups = []
    for count in sorted({some.inputs.shape[0] for some in gates}):
        same = [some for some in gates if some.inputs.shape[0] == count]
        tables = [np.tile(some.table[:, None], some.outputs.size) for some in same]
        lookups.append(
            Lookup(
                np.concatenate([some.inputs for some in same], axis=1),
                np.concatenate([some.outputs for some in same]),
                np.concatenate(tables, axis=1)[:, :, None],
            )
        )
    return lookups


def _gates(
    some: Instances, function: Expression, nets: Mapping[str, np.ndarray], outputs: np.ndarray
) -> _Gates:
    """Returns the gates that compute a function of named nets."""
    if len(function.inputs) > MAX_INPUTS:
        raise ValueError(
            f"cell {some.cell.name}: a function must have at most {MAX_INPUTS} inputs, got "
            f"{len(function.inputs)}; map the design without this cell"
        )
    shape = (len(function.inputs), outputs.size)
    inputs = np.array([nets[name] for name in function.inputs], dtype=np.int64).reshape(shape)
    return _Gates(inputs, outputs, _table(function))


def _table(function: Expression) -> np.ndarray:
    """Returns the truth table, (2**n,), of all ones or zeros; bit i of a row is input i."""
    rows = {
        name: np.bitwise_or.reduce(((_ROWS >> np.uint64(i)) & np.uint64(1)) << _ROWS)
        for i, name in enumerate(function.inputs)
    }
    bits = (function.evaluate(rows) >> _ROWS[: 2 ** len(rows)]) & np.uint64(1)
    return bits * _ONES


def _state_outputs(some: Instances, states: np.ndarray) -> list[_Gates]:
    return [
        _state_gates(some, pin.function.text, states, some.nets[pin.name])
        for pin in some.cell.outputs
    ]


def _next_states(some: Instances, states: np.ndarray) -> list[_Gates]:
    text = _forced(some, some.cell.flip_flop.next_state.text)
    return [_state_gates(some, text, states, states)]


def _forced_states(some: Instances, states: np.ndarray) -> list[_Gates]:
    flip_flop = some.cell.flip_flop
    if not (flip_flop.clear or flip_flop.preset):
        return []
    return [_state_gates(some, _forced(some, flip_flop.state), states, states)]


def _forced(some: Instances, text: str) -> str:
    """Returns the expression under the cell's asynchronous set and reset; reset wins."""
    flip_flop = some.cell.flip_flop
    if flip_flop.preset:
        text = f"({text}) | ({flip_flop.preset.text})"
    return f"({text}) & !({flip_flop.clear.text})" if flip_flop.clear else text


def _state_gates(some: Instances, text: str, states: np.ndarray, outputs: np.ndarray) -> _Gates:
    flip_flop = some.cell.flip_flop
    inverted = rf"\b{re.escape(flip_flop.inverted_state)}\b"
    if flip_flop.inverted_state != flip_flop.state:
        text = re.sub(inverted, f"(!{flip_flop.state})", text)
    return _gates(some, Expression(text), {**some.nets, flip_flop.state: states}, outputs)


def _pack_inputs(
    netlist: Netlist, inputs: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], int, int]:
    """Returns port -> (cycles, width, words), and the number of cycles and of streams."""
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
    packed = {name: _pack(some.transpose(0, 2, 1)) for name, some in bits.items()}
    return packed, cycles, streams


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
    return np.packbits(np.pad(bits, padding), axis=-1, bitorder="little").view(np.uint64)


def _unpack(words: np.ndarray, streams: int) -> np.ndarray:
    """Returns the outputs in the form of `Simulation` for (cycles, width, words)."""
    octets = np.ascontiguousarray(words).view(np.uint8)
    bits = np.unpackbits(octets, axis=-1, bitorder="little", count=streams).transpose(0, 2, 1)
    width = bits.shape[-1]
    if width > _WORD:
        return bits.astype(bool)
    return np.bitwise_or.reduce(bits.astype(np.uint64) << _ROWS[:width], axis=-1)
