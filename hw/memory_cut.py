"""Cuts memories out of a design, as Yosys' JSON has it, so that the rest can be mapped to cells.

A memory becomes a black box with the ports of Yosys' `$mem_v2` cell: RD_ADDR, RD_DATA, RD_EN,
WR_ADDR, WR_DATA and WR_EN, several ports of a kind one after the other from the lowest bits on.
Enables that are always 1 are no ports, and those of bits that are written together are one bit. In
the flat mapped netlist the black boxes' outputs become its inputs, and their inputs its outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

_CELL, _CLOCK, _DATA = "$mem_v2", "clk", "RD_DATA"
_PREFIX = "adderforge_memory_"
_BLACK_BOX = {"blackbox": f"{1:032b}"}


@dataclass(frozen=True, kw_only=True)
class CutMemory:
    """A memory of `words` words of `width` bits. name: where it is, instance.….instance.
    read_ports, write_ports: how many. read_enabled: with RD_EN. granules: (write port, lowest bit,
    bits) of each bit of WR_EN. Reads are clocked, and give what was there before a write of the
    same cycle."""

    name: str
    words: int
    width: int
    address_width: int
    read_ports: int
    write_ports: int
    read_enabled: bool
    granules: tuple[tuple[int, int, int], ...]

    @property
    def bits(self) -> int:
        return self.words * self.width

    @property
    def ports(self) -> dict[str, int]:
        """The black box's ports but the clock, and their bits."""
        sizes = {
            "RD_ADDR": self.read_ports * self.address_width,
            "RD_DATA": self.read_ports * self.width,
            "RD_EN": self.read_ports * self.read_enabled,
            "WR_ADDR": self.write_ports * self.address_width,
            "WR_DATA": self.write_ports * self.width,
            "WR_EN": len(self.granules),
        }
        return {name: size for name, size in sizes.items() if size}

    def address(self, name: str, port: int) -> str:
        """Verilog of a port's address, of which `name` has all; a lone word needs none."""
        size = self.address_width
        return f"{name}[{port * size} +: {size}]" if size else "1'b0"


@dataclass(frozen=True)
class Cut:
    """memories: by the type of the black box, their names those of modules. contents: their words
    at first."""

    memories: dict[str, CutMemory]
    contents: dict[str, list[int]]


def cut(design: dict) -> Cut:
    """Puts black boxes in the place of the design's memories. ValueError for one whose reads are
    not clocked, or see a write of the same cycle."""
    memories, contents = {}, {}
    for module_name, module in design["modules"].items():
        for name, cell in module["cells"].items():
            if cell["type"] == _CELL:
                kind = f"{_PREFIX}{len(memories)}"
                memories[kind] = memory = _described(f"{module_name}.{name}", cell)
                contents[kind] = _words(cell["parameters"]["INIT"], memory)
                module["cells"][name] = _instance(kind, memory, cell["connections"])
    design["modules"] |= {kind: _box(memory) for kind, memory in memories.items()}
    return Cut(memories, contents)


def open_boxes(netlist: dict, memories: dict[str, CutMemory]) -> list[CutMemory]:
    """Puts ports `<memory's name>.<port>` in the place of the flat netlist's black boxes. Returns
    the memories with the names of their places."""
    for kind in memories:
        netlist["modules"].pop(kind, None)
    [module] = netlist["modules"].values()
    found = []
    for name, cell in list(module["cells"].items()):
        if cell["type"] in memories:
            del module["cells"][name]
            memory = replace(memories[cell["type"]], name=name)
            for port in memory.ports:
                side = "input" if port == _DATA else "output"
                bits = cell["connections"][port]
                module["ports"][f"{name}.{port}"] = {"direction": side, "bits": bits}
            found.append(memory)
    return found


def models(cut: Cut) -> str:
    """Verilog of the black boxes, for simulation."""
    return "".join(
        "\n".join(_model(kind, memory, cut.contents[kind])) + "\n"
        for kind, memory in cut.memories.items()
    )


def _described(name: str, cell: dict) -> CutMemory:
    figures = {key: _number(cell["parameters"][key]) for key in _FIGURES}
    reads, pins = figures["RD_PORTS"], cell["connections"]
    clocked = figures["RD_CLK_ENABLE"] == 2**reads - 1
    if not clocked or figures["RD_TRANSPARENCY_MASK"]:
        raise ValueError(
            f"memory {name} must have clocked reads that give what was there before a write, to be "
            "left out of a netlist; read it so"
        )
    return CutMemory(
        name=name,
        words=figures["SIZE"],
        width=figures["WIDTH"],
        address_width=figures["ABITS"],
        read_ports=reads,
        write_ports=figures["WR_PORTS"],
        read_enabled=set(pins["RD_EN"]) != {"1"},
        granules=tuple(_granules(pins["WR_EN"], figures["WIDTH"])),
    )


_FIGURES = ("SIZE WIDTH ABITS RD_PORTS WR_PORTS RD_CLK_ENABLE RD_TRANSPARENCY_MASK").split()


def _granules(enables: list, width: int) -> Iterator[tuple[int, int, int]]:
    place = 0
    for (port, _), same in groupby(enumerate(enables), lambda one: (one[0] // width, one[1])):
        size = len(list(same))
        yield port, place - port * width, size
        place += size


def _instance(kind: str, memory: CutMemory, pins: dict) -> dict:
    """The black box in the cell's place."""
    pins = pins | {
        "WR_EN": [pins["WR_EN"][p * memory.width + low] for p, low, _ in memory.granules]
    }
    connections = {_CLOCK: pins["RD_CLK"][:1]} | {name: pins[name] for name in memory.ports}
    sides = {name: "output" if name == _DATA else "input" for name in connections}
    empty = {"hide_name": 0, "parameters": {}, "attributes": {}}
    return empty | {"type": kind, "port_directions": sides, "connections": connections}


def _box(memory: CutMemory) -> dict:
    ports, first = {_CLOCK: {"direction": "input", "bits": [2]}}, 3
    for name, size in memory.ports.items():
        side = "output" if name == _DATA else "input"
        ports[name] = {"direction": side, "bits": list(range(first, first + size))}
        first += size
    names = {
        name: {"hide_name": 0, "bits": port["bits"], "attributes": {}}
        for name, port in ports.items()
    }
    return {"attributes": _BLACK_BOX, "ports": ports, "cells": {}, "netnames": names}


def _words(bits: str, memory: CutMemory) -> list[int]:
    """The lowest word's bits come last; undefined ones are 0, as in the rest of the design."""
    bits, width = bits.replace("x", "0").rjust(memory.bits, "0"), memory.width
    ends = range(len(bits), len(bits) - memory.bits, -width)
    return [int(bits[end - width : end], 2) for end in ends]


def _model(kind: str, memory: CutMemory, words: list[int]) -> Iterator[str]:
    sides = {name: "output reg" if name == _DATA else "input" for name in memory.ports}
    ports = [f"{sides[name]} [{size - 1}:0] {name}" for name, size in memory.ports.items()]
    yield f"module {kind} (input clk, {', '.join(ports)});"
    yield f"  reg [{memory.width - 1}:0] memory [0:{memory.words - 1}];"
    yield "  initial begin"
    yield from (
        f"    memory[{place}] = {memory.width}'h{word:x};" for place, word in enumerate(words)
    )
    yield "  end"
    yield "  always @(posedge clk) begin"
    for port in range(memory.read_ports):
        enable = f"if (RD_EN[{port}]) " if memory.read_enabled else ""
        data = f"RD_DATA[{port * memory.width} +: {memory.width}]"
        yield f"    {enable}{data} <= memory[{memory.address('RD_ADDR', port)}];"
    for enable, (port, low, size) in enumerate(memory.granules):
        word = f"memory[{memory.address('WR_ADDR', port)}][{low} +: {size}]"
        data = f"WR_DATA[{port * memory.width + low} +: {size}]"
        yield f"    if (WR_EN[{enable}]) {word} <= {data};"
    yield "  end"
    yield "endmodule"


def _number(bits: str) -> int:
    return int(bits, 2)
