"""What an accelerator's Verilog does in windows of cycles: the values of all that a netlist of it,
mapped without memories, takes and gives, and of its flip-flops; and how often memories are used."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hw.accelerator_netlist import AcceleratorNetlist
from hw.memory_cut import CutMemory
from hw.netlist import Netlist
from hw.program import Program

from .accelerator_bench import Trace
from .accelerator_run import TRACED, run_traced

COUNT_BITS = 32


@dataclass(frozen=True, kw_only=True)
class Accesses:
    """How often a memory was used. reads: of words. fresh: those of them at another address than
    the port's read before. writes: of each granule."""

    memory: CutMemory
    reads: int
    fresh: int
    writes: tuple[int, ...]

    @property
    def bits_written(self) -> int:
        sizes = (size for _, _, size in self.memory.granules)
        return sum(count * size for count, size in zip(self.writes, sizes, strict=True))


@dataclass(frozen=True, kw_only=True)
class Record:
    """bits: (windows, cycles, bits) of the signals at `places`; states: the places of the
    flip-flops' outputs, in the order of `Netlist.flip_flops`. accesses: of the whole span.
    answers: the cycle of each image's, the first word's being cycle 1."""

    bits: np.ndarray
    places: Mapping[str, slice]
    states: np.ndarray
    accesses: tuple[Accesses, ...]
    answers: np.ndarray

    def of(self, port: str, windows: slice) -> np.ndarray:
        """(cycles, windows, bits) of a port of the netlist."""
        return self.bits[windows, :, self.places[port]].transpose(1, 0, 2).astype(bool)

    def flip_flops(self, windows: slice) -> np.ndarray:
        """(cycles, windows, flip-flops), what their outputs are."""
        return self.bits[windows][:, :, self.states].transpose(1, 0, 2).astype(bool)


def record(
    program: Program,
    codes: np.ndarray,
    folder: Path,
    mapped: AcceleratorNetlist,
    netlist: Netlist,
    windows: Sequence[range],
    span: range,
) -> Record:
    """Runs images back to back, codes (images, channels, rows, columns), and records the windows,
    which are equally long and lie within the span, neither at its start nor its end. netlist: the
    mapped one. Cycle 0 is that of the first word.
    ToolError as `sim.accelerator_run.run_traced`, ValueError for a flip-flop that the Verilog has
    no name for."""
    memories = mapped.memories
    outputs, _ = flip_flop_outputs(netlist)
    names = _names(netlist, outputs)
    sizes = {name: bits.size for name, bits in _ports(netlist).items()}
    sizes |= {name: netlist.names[name].size for name, _ in names}
    signals = {name: (_at(name, mapped.instances), size) for name, size in sizes.items()}
    counters = [name for memory in enumerate(memories) for name in _counters(*memory)]
    signals |= {name: (name, COUNT_BITS) for name in counters}
    declarations = "\n".join(
        _counting(i, memory, mapped.instances) for i, memory in enumerate(memories)
    )
    trace = Trace(tuple(signals.values()), declarations)
    spans = [range(span.start, span.start + 1), *windows, range(span.stop, span.stop + 1)]
    recorded = run_traced(program, codes, folder, spans, trace, mapped.verilog)
    (folder / f"{TRACED}.maps").unlink()  # it may be large
    bits = np.unpackbits(recorded, axis=1, bitorder="little", count=trace.width)
    ends = np.cumsum([size for _, size in signals.values()]).tolist()
    places = {name: slice(a, b) for name, a, b in zip(signals, [0, *ends], ends, strict=False)}
    first, last = ({name: _number(row[places[name]]) for name in counters} for row in bits[[0, -1]])
    counts = {name: (last[name] - first[name]) % 2**COUNT_BITS for name in counters}
    answers = np.fromfile(folder / f"{TRACED}.answers", np.int64).reshape(-1, 2)[:, 1]
    return Record(
        bits=bits[1:-1].reshape(len(windows), -1, trace.width),
        places=places,
        states=np.array([places[name].start + place for name, place in names]),
        accesses=tuple(_accesses(i, memory, counts) for i, memory in enumerate(memories)),
        answers=answers,
    )


def flip_flop_outputs(netlist: Netlist) -> tuple[np.ndarray, np.ndarray]:
    """A net that each flip-flop drives, and whether it is the inverse of the state."""
    nets, inverted = [], []
    for some in netlist.flip_flops():
        functions = {pin.function.text.strip("() "): pin.name for pin in some.cell.outputs}
        state = some.cell.flip_flop.state
        name = functions.get(state) or functions[some.cell.flip_flop.inverted_state]
        nets.append(some.nets[name])
        inverted.append(np.full(len(some.names), state not in functions))
    return np.concatenate(nets), np.concatenate(inverted)


def _ports(netlist: Netlist) -> dict[str, np.ndarray]:
    ports = netlist.inputs | netlist.outputs
    return {name: bits for name, bits in ports.items() if name != netlist.clock}


def _names(netlist: Netlist, nets: np.ndarray) -> list[tuple[str, int]]:
    """For each net a name of the design, and the net's place in it."""
    names: dict[int, tuple[str, int]] = {}
    for name, bits in netlist.names.items():
        for place, net in enumerate(bits.tolist()):
            names.setdefault(net, (name, place))
    unknown = [net for net in nets.tolist() if net not in names]
    if unknown:
        raise ValueError(
            f"netlist {netlist.name}: every flip-flop must have a name in the design, but "
            f"{len(unknown)} have none; map the design without retiming"
        )
    return [names[net] for net in nets.tolist()]


def _at(name: str, instances: Set[str]) -> str:
    """The Verilog expression, in the bench, of what has this name in the flat netlist. Names of
    signals may have dots, too: those of fields."""
    parts = name.split(".")
    depth = max(n for n in range(len(parts)) if not n or ".".join(parts[:n]) in instances)
    places = [*parts[:depth], ".".join(parts[depth:])]
    return "dut." + ".".join(f"\\{part} " for part in places)


def _counters(index: int, memory: CutMemory) -> Iterator[str]:
    for port in range(memory.read_ports):
        yield f"reads_{index}_{port}"
        yield f"fresh_{index}_{port}"
    for granule in range(len(memory.granules)):
        yield f"writes_{index}_{granule}"


def _counting(index: int, memory: CutMemory, instances: Set[str]) -> str:
    """Verilog of the counters."""
    lines = [f"  reg [{COUNT_BITS - 1}:0] {name} = 0;" for name in _counters(index, memory)]

    def at(port: str) -> str:
        return _at(f"{memory.name}.{port}", instances)

    size = memory.address_width
    for port in range(memory.read_ports):
        number = f"{index}_{port}"
        enable = f"{at('RD_EN')}[{port}]" if memory.read_enabled else "1'b1"
        address = memory.address(at("RD_ADDR"), port)
        lines += [
            f"  reg [{max(size, 1) - 1}:0] at_{number} = 0;",
            f"  always @(posedge clk) if ({enable}) begin",
            f"    reads_{number} <= reads_{number} + 1;",
            f"    if ({address} != at_{number}) fresh_{number} <= fresh_{number} + 1;",
            f"    at_{number} <= {address};",
            "  end",
        ]
    for granule in range(len(memory.granules)):
        name = f"writes_{index}_{granule}"
        lines.append(f"  always @(posedge clk) if ({at('WR_EN')}[{granule}]) {name} <= {name} + 1;")
    return "\n".join(lines)


def _accesses(index: int, memory: CutMemory, counts: dict[str, int]) -> Accesses:
    ports = range(memory.read_ports)
    return Accesses(
        memory=memory,
        reads=sum(counts[f"reads_{index}_{port}"] for port in ports),
        fresh=sum(counts[f"fresh_{index}_{port}"] for port in ports),
        writes=tuple(counts[f"writes_{index}_{g}"] for g in range(len(memory.granules))),
    )


def _number(bits: np.ndarray) -> int:
    return sum(1 << int(place) for place in np.flatnonzero(bits))
