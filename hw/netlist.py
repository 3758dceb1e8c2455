"""A mapped flat netlist as arrays, read from the JSON that Yosys' `write_json` gives.

Nets are numbered from 0; net 0 is constant 0 (undefined bits too), net 1 is constant 1.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .cells import Cell, Library

_CONSTANTS = {"0": 0, "1": 1, "x": 0, "z": 0}


@dataclass(frozen=True)
class Instances:
    """All instances of one library cell. names: one each. nets: pin -> net ids, one each."""

    cell: Cell
    names: list[str]
    nets: dict[str, np.ndarray]


@dataclass(frozen=True)
class Netlist:
    """inputs, outputs: port -> net ids, least significant bit first. instances: by cell name.
    names: the design's name -> net ids, lowest bit first, 0 for bits that are not left. Every net
    that a cell or an output port reads has exactly one driver."""

    name: str
    library: Library
    net_count: int
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    instances: dict[str, Instances]
    names: dict[str, np.ndarray]

    def flip_flops(self) -> list[Instances]:
        """Returns the instances of the library's flip-flops."""
        return [some for some in self.instances.values() if some.cell.flip_flop]

    def gates(self) -> Iterator[tuple[Instances, str]]:
        """Yields (instances, output pin) for each output of each combinational cell."""
        for some in self.instances.values():
            if not some.cell.flip_flop:
                yield from ((some, pin.name) for pin in some.cell.outputs)

    @cached_property
    def clock(self) -> str | None:
        """The input port that clocks every flip-flop, None if there is no flip-flop.

        Raises ValueError if there are several clocks, a gated one, or falling edges.
        """
        pins = [(some, some.cell.clock_pin) for some in self.flip_flops()]
        nets = {int(net) for some, pin in pins for net in some.nets[pin]}
        ports = [name for name, bits in self.inputs.items() if bits.tolist() == list(nets)]
        falling = [
            some for some, pin in pins if some.cell.flip_flop.clocked_on.text.strip("() ") != pin
        ]
        if pins and (falling or not ports):
            raise ValueError(
                f"netlist {self.name}: every flip-flop must be clocked by the rising edge of one "
                f"input port, not by {len(nets)} nets with {len(falling)} cell types on falling "
                "edges; give the design one clock"
            )
        return ports[0] if pins else None

    @cached_property
    def levels(self) -> dict[tuple[str, str], np.ndarray]:
        """(cell, output pin) -> level of each combinational instance: 1 + the highest level that
        its function reads; ports, constants and flip-flops have level 0.

        Raises ValueError naming an instance if there is a combinational loop.
        """
        of_net = np.zeros(self.net_count, dtype=np.int64)
        gates = list(self.gates())
        for some, pin in gates:
            of_net[some.nets[pin]] = -1
        waiting = [np.arange(len(some.names)) for some, _ in gates]
        level = 0
        while any(rows.size for rows in waiting):
            level += 1
            found = [
                _ready(some, pin, rows, of_net)
                for (some, pin), rows in zip(gates, waiting, strict=True)
            ]
            if not any(ready.any() for ready in found):
                raise self._loop(gates, waiting)
            for n, ((some, pin), ready) in enumerate(zip(gates, found, strict=True)):
                of_net[some.nets[pin][waiting[n][ready]]] = level
                waiting[n] = waiting[n][~ready]
        return {(some.cell.name, pin): of_net[some.nets[pin]] for some, pin in gates}

    def _loop(self, gates: list, waiting: list[np.ndarray]) -> ValueError:
        stuck = [
            some.names[row]
            for (some, _), rows in zip(gates, waiting, strict=True)
            for row in rows[:1]
        ]
        return ValueError(
            f"netlist {self.name} must have no combinational loop, but {stuck[0]} is in or behind "
            "one; break it with a flip-flop"
        )


def read_netlist(path: str | Path, library: Library) -> Netlist:
    """Returns the netlist in a Yosys JSON file.

    Raises ValueError unless it holds one flat module of the library's cells, without latches and
    bidirectional ports, in which every net that is read has exactly one driver.
    """
    try:
        modules = json.loads(Path(path).read_text())["modules"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: a netlist must be a JSON file from Yosys' write_json, but: {error!r}; "
            "write it again"
        ) from None
    if len(modules) != 1:
        raise ValueError(
            f"{path}: a netlist must hold one module, got {len(modules)}; flatten the design and "
            "remove black boxes"
        )
    [(name, module)] = modules.items()
    return netlist_of(name, module, library)


def netlist_of(name: str, module: dict, library: Library) -> Netlist:
    """As `read_netlist`, of a module as Yosys' JSON has it."""
    return _Builder(name, module, library).netlist()


class _Builder:
    """Numbers one module's nets from 2 on and checks their drivers."""

    def __init__(self, name: str, module: dict, library: Library) -> None:
        self._name, self._library = name, library
        self._module = module
        self._numbers: dict[int, int] = {}
        self._count = len(set(_CONSTANTS.values()))

    def netlist(self) -> Netlist:
        ports = self._module["ports"]
        directions = {port["direction"] for port in ports.values()}
        if not directions <= {"input", "output"}:
            raise self._error("every port must be an input or an output", "inout")
        nets = {
            direction: {
                name: np.array([self._net(bit) for bit in port["bits"]], dtype=np.int64)
                for name, port in ports.items()
                if port["direction"] == direction
            }
            for direction in ("input", "output")
        }
        instances = self._instances()
        ports = nets["input"], nets["output"]
        netlist = Netlist(
            self._name, self._library, self._count, *ports, instances, self._net_names()
        )
        self._check_drivers(netlist)
        return netlist

    def _net_names(self) -> dict[str, np.ndarray]:
        named = {
            name: [self._numbers.get(bit, 0) for bit in net["bits"]]
            for name, net in self._module.get("netnames", {}).items()
            if not net.get("hide_name")
        }
        return {name: np.array(nets, dtype=np.int64) for name, nets in named.items()}

    def _net(self, bit: int | str) -> int:
        if bit in _CONSTANTS:
            return _CONSTANTS[bit]
        return self._numbers[bit] if bit in self._numbers else self._new_net(bit)

    def _new_net(self, bit: int | None = None) -> int:
        net = self._count
        self._count += 1
        if bit is not None:
            self._numbers[bit] = net
        return net

    def _instances(self) -> dict[str, Instances]:
        by_type: dict[str, list[tuple[str, dict]]] = {}
        for name, cell in self._module["cells"].items():
            if cell["type"] != "$scopeinfo":
                by_type.setdefault(cell["type"], []).append((name, cell["connections"]))
        return {kind: self._instances_of(kind, some) for kind, some in by_type.items()}

    def _instances_of(self, kind: str, some: list[tuple[str, dict]]) -> Instances:
        cell = self._library.cell(kind)
        if cell.latch:
            raise self._error("every cell must be a gate or a flip-flop", f"latch {some[0][0]}")
        nets = {
            pin.name: np.array([self._pin_net(name, pins, pin.name) for name, pins in some])
            for pin in cell.inputs
        }
        nets |= {
            pin.name: np.array(
                [
                    self._net(pins[pin.name][0]) if pins.get(pin.name) else self._new_net()
                    for _, pins in some
                ]
            )
            for pin in cell.outputs
        }
        return Instances(cell, [name for name, _ in some], nets)

    def _pin_net(self, name: str, pins: dict, pin: str) -> int:
        if not pins.get(pin):
            raise self._error("every input pin must be connected", f"{name}.{pin} open")
        return self._net(pins[pin][0])

    def _check_drivers(self, netlist: Netlist) -> None:
        driven = [np.array([0, 1]), *netlist.inputs.values()]
        read = [*netlist.outputs.values()]
        for some in netlist.instances.values():
            driven += [some.nets[pin.name] for pin in some.cell.outputs]
            read += [some.nets[pin.name] for pin in some.cell.inputs]
        drivers = np.bincount(np.concatenate(driven), minlength=self._count)
        wrong = np.unique(np.concatenate(read)) if read else np.array([], dtype=np.int64)
        wrong = wrong[drivers[wrong] != 1]
        if wrong.size:
            rule = "every net that is read must have exactly one driver"
            raise self._error(rule, f"{drivers[wrong[0]]} for one of the nets")

    def _error(self, rule: str, got: str) -> ValueError:
        return ValueError(
            f"netlist {self._name}: {rule}, got {got}; map the design again with "
            f"library {self._library.name}"
        )


def _ready(some: Instances, pin: str, rows: np.ndarray, of_net: np.ndarray) -> np.ndarray:
    """Returns which rows have a known level for every net that the pin's function reads."""
    ready = np.ones(rows.size, dtype=bool)
    for name in some.cell.pins[pin].function.inputs:
        ready &= of_net[some.nets[name][rows]] >= 0
    return ready
