"""A mapped netlist with its delays as the flat arrays that events.cpp takes.

Behind the netlist's nets come the flip-flops' states (`sim.logic`) and a source for each bit of
the input ports but the clock's. Flip-flops' outputs are gates behind their states, with the delays
from the clock; input ports are buffers behind their sources.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hw.delays import EDGES, Delays
from hw.netlist import Netlist

from . import logic

Key = tuple[str, str, str]
PS_PER_NS = 1000


@dataclass(frozen=True)
class Circuit:
    """nets: how many. pins: of gates, sorted by the net that they read; first_pins: where each
    net's begin. gates: in an order in which they follow those that they read. order: the pins'
    places before sorting; keys: (cell, output pin, input pin) -> the places of its instances."""

    nets: int
    first_pins: np.ndarray
    pin_gates: np.ndarray
    pin_places: np.ndarray
    pin_delays: np.ndarray
    gate_tables: np.ndarray
    gate_nets: np.ndarray
    flip_flop_tables: np.ndarray
    flip_flop_states: np.ndarray
    flip_flop_inputs: np.ndarray
    sources: np.ndarray
    order: np.ndarray
    keys: dict[Key, slice]

    def caused(self, counts: np.ndarray) -> dict[Key, np.ndarray]:
        """Returns counts of pins, in any shape behind the pins, by key: (instances, …)."""
        before = np.empty_like(counts)
        before[self.order] = counts
        return {key: before[places] for key, places in self.keys.items()}


@dataclass(frozen=True)
class _Group:
    """Gates of one function. inputs: (n, gates). delays: n times (gates, 2, 2) in ns. keys: n."""

    inputs: np.ndarray
    outputs: np.ndarray
    table: np.ndarray
    levels: np.ndarray
    delays: list[np.ndarray]
    keys: list[Key | None]


def circuit(netlist: Netlist, delays: Delays) -> Circuit:
    """Returns the circuit; delays of less than a picosecond become one."""
    states = list(logic.states(netlist))
    size = netlist.net_count + sum(len(nets) for _, nets in states)
    ports = [bits for name, bits in netlist.inputs.items() if name != netlist.clock]
    ports = np.concatenate(ports) if ports else np.zeros(0, dtype=np.int64)
    sources = np.arange(size, size + ports.size)
    groups = [_buffers(sources, ports, delays), *_groups(netlist, delays)]
    gate_order = np.argsort(np.concatenate([some.levels for some in groups]), kind="stable")
    nexts = [logic.next_states(some, nets) for some, nets in states]
    return Circuit(
        nets=size + ports.size,
        **_pins(groups, gate_order, size + ports.size),
        gate_tables=_tables(groups, [some.outputs.size for some in groups])[gate_order],
        gate_nets=_joined([some.outputs for some in groups])[gate_order],
        flip_flop_tables=_tables(nexts, [some.outputs.size for some in nexts]),
        flip_flop_states=_joined([some.outputs for some in nexts]),
        flip_flop_inputs=_joined([_padded(some.inputs) for some in nexts]),
        sources=sources.astype(np.uint32),
    )


def _buffers(sources: np.ndarray, ports: np.ndarray, delays: Delays) -> _Group:
    late = np.full((ports.size, len(EDGES), len(EDGES)), delays.input_delay_ns)
    levels = np.zeros(ports.size, dtype=np.int64)
    return _Group(sources[None], ports, np.array([False, True]), levels, [late], [None])


def _groups(netlist: Netlist, delays: Delays) -> Iterator[_Group]:
    for some, states in logic.states(netlist):
        for gates in logic.forced_outputs(some, states):
            yield _group(gates, np.zeros(states.size, dtype=np.int64), delays)
    for gates in logic.gates(netlist):
        levels = netlist.levels[gates.instances.cell.name, gates.output_pin]
        yield _group(gates, levels, delays)


def _group(gates: logic.Gates, levels: np.ndarray, delays: Delays) -> _Group:
    cell = gates.instances.cell
    names = [cell.clock_pin if name not in cell.pins else name for name in gates.pins]
    keys = [(cell.name, gates.output_pin, name) for name in names]
    arcs = [delays.arcs_ns[key] for key in keys]
    return _Group(gates.inputs, gates.outputs, gates.table, levels, arcs, keys)


def _pins(groups: list[_Group], gate_order: np.ndarray, nets: int) -> dict:
    """The pins' fields of `Circuit`."""
    rank = np.empty_like(gate_order)
    rank[gate_order] = np.arange(gate_order.size)
    read, gates, places, delays, keys = [], [], [], [], {}
    first_gate = first_pin = 0
    for some in groups:
        count = some.outputs.size
        for place, (inputs, arc, key) in enumerate(
            zip(some.inputs, some.delays, some.keys, strict=True)
        ):
            read.append(inputs)
            gates.append(rank[first_gate : first_gate + count])
            places.append(np.full(count, place))
            delays.append(_picoseconds(arc))
            if key:
                keys[key] = slice(first_pin, first_pin + count)
            first_pin += count
        first_gate += count
    read = _joined(read)
    order = np.argsort(read, kind="stable")
    return {
        "first_pins": np.searchsorted(read[order], np.arange(nets + 1)).astype(np.uint32),
        "pin_gates": _joined(gates)[order],
        "pin_places": _joined(places)[order],
        "pin_delays": _joined(delays)[order],
        "order": order,
        "keys": keys,
    }


def _picoseconds(arc: np.ndarray) -> np.ndarray:
    """(gates, 2, 2); an output edge that the input edge does not cause takes as long as after the
    other one. So it is for states, which stand for the clock's rising edge, and when several pins
    change at once."""
    other = arc[:, ::-1]
    whole = np.round(np.where(np.isnan(arc), other, arc) * PS_PER_NS)
    return np.maximum(np.nan_to_num(whole, nan=1.0), 1.0).astype(np.uint32)


def _tables(groups: list, counts: list[int]) -> np.ndarray:
    tables = [
        np.full(count, sum(1 << row for row in np.flatnonzero(some.table).tolist()), np.uint64)
        for some, count in zip(groups, counts, strict=True)
    ]
    return np.concatenate(tables) if tables else np.zeros(0, dtype=np.uint64)


def _padded(inputs: np.ndarray) -> np.ndarray:
    """(instances, MAX_INPUTS) from (n, instances): net 0 for inputs that are not there."""
    return np.pad(inputs, ((0, logic.MAX_INPUTS - len(inputs)), (0, 0))).T


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    joined = np.concatenate(parts) if parts else np.zeros(0)
    return np.ascontiguousarray(joined, dtype=np.uint32)
