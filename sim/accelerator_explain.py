"""Where an accelerator's run leaves the reference first: the code, and the PE, term and cycle."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hw.descriptor import LayerDescriptor
from hw.interpreter import fold_operands, image_memory, run_layer
from hw.mapping import weights_inverted
from hw.program import Program

from .accelerator_bench import address_width, fault_trace, pe_trace
from .accelerator_check import Difference
from .accelerator_run import run_traced


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a PE had that it should not have had. row, column: of the PE. cycle: in which it took
    the operands, the image's first word being in cycle 1. place: filter, row and column of the
    output, before pooling. plane, kernel: of the fold. terms: (channel, actual activation and
    weight, those expected) where operands differ, else of all lanes. sums: actual, expected."""

    row: int
    column: int
    cycle: int
    place: tuple[int, int, int]
    plane: int
    kernel: tuple[int, int]
    terms: tuple[tuple[int, tuple[int, int], tuple[int, int]], ...]
    sums: tuple[int, int]

    @property
    def summary(self) -> str:
        terms = "; ".join(
            f"channel {channel}: activation and weight {actual}, expected {expected}"
            for channel, actual, expected in self.terms
        )
        return (
            f"first at PE (row {self.row}, column {self.column}) in cycle {self.cycle:,}, plane "
            f"{self.plane}, kernel row {self.kernel[0]} and column {self.kernel[1]}, for filter "
            "{} at row {} and column {} of the outputs: ".format(*self.place)
            + f"sum {self.sums[0]}, expected {self.sums[1]}; {terms}"
        )


def write_cycle(
    program: Program,
    codes: np.ndarray,
    difference: Difference,
    folder: Path,
    verilog: str | None = None,
) -> int | None:
    """The cycle in which a code that differs was written, when the image is run alone and its first
    word is in cycle 1; None when it was not, in its layer's time. Others as of `first_fault`."""
    index = [layer.name for layer in program.layers].index(difference.layer)
    layer, config, start = program.layers[index], program.config, program.start(index)
    cycles, trace = range(start, start + layer.cycles + config.drain), fault_trace(program)
    recorded = run_traced(program, codes[None], folder, [cycles], trace, verilog)
    filter_, row, column = difference.place
    group, channel = divmod(filter_, config.channels)
    pixel = row * layer.target.shape[2] + column
    bits = np.unpackbits(recorded, axis=1, bitorder="little", count=trace.width)
    writes = bits[:, pe_trace(program).width :]
    addresses = _numbers(writes[:, : address_width(program)])
    part = writes[:, address_width(program) + channel // config.array.cols]
    here = addresses == layer.target.base + pixel * layer.target.groups + group
    written = np.flatnonzero(here & (part == 1))
    return start + int(written[-1]) + 1 if len(written) else None


def first_fault(
    program: Program, codes: np.ndarray, name: str, folder: Path, verilog: str | None = None
) -> Fault | None:
    """The first PE that differs from the twin in the layer of this name, when the image is run
    alone; None when no PE does, and what is wrong lies behind the array. codes: of the image.
    folder, verilog: as of `run_images`."""
    index = [layer.name for layer in program.layers].index(name)
    layer, start = program.layers[index], program.start(index)
    array = program.config.array
    latency = program.config.operand_latency + array.rows + array.cols + array.pipeline
    cycles = range(start, start + layer.cycles + latency + 1)
    trace = run_traced(program, codes[None], folder, [cycles], fault_trace(program), verilog)
    memory = image_memory(program, codes)
    for before in program.layers[:index]:
        run_layer(program, before, memory)
    faults = _faults(program, layer, memory, _PEs(program, trace))
    first = min(faults, key=lambda fault: fault.cycle, default=None)
    return first and replace(first, cycle=first.cycle + start + 1)


class _PEs:
    """Every PE's activations, weights (cycles, cols, rows, lanes) and sums (cycles, cols, rows)."""

    def __init__(self, program: Program, trace: np.ndarray) -> None:
        array = program.config.array
        bits = np.unpackbits(trace, axis=1, bitorder="little", count=pe_trace(program).width)
        bits = bits.reshape(len(trace), array.cols, array.rows, -1)
        operands = array.lanes * array.width
        parts = np.split(bits, [operands, 2 * operands], axis=3)
        self.activations, self.weights = (
            _numbers(part.reshape(*part.shape[:3], array.lanes, array.width)) for part in parts[:2]
        )
        if weights_inverted(array):
            self.weights = 2**array.width - 1 - self.weights
        # the low bits of a sum may leave the PE one cycle before the others
        low = array.low_latency - array.pipeline
        sums = parts[2].copy()
        width = array.low_width
        sums[..., :width] = np.roll(sums[..., :width], -low, axis=0)
        self.sums = _numbers(sums)


def _numbers(bits: np.ndarray) -> np.ndarray:
    return bits.astype(np.int64) @ (1 << np.arange(bits.shape[-1]))


def _faults(
    program: Program, layer: LayerDescriptor, memory: np.ndarray, pes: _PEs
) -> Iterator[Fault]:
    """The first of each fold, with cycles from the layer's start on."""
    array = program.config.array
    taken, weights = fold_operands(program, layer, memory)
    rows, cols = np.arange(array.rows), np.arange(array.cols)[:, None]
    for tile, fold in np.ndindex(layer.tiles, layer.folds):
        passes = tile * layer.folds + fold
        first = passes * (layer.positions + layer.rest) + program.config.operand_latency
        cycles = first + np.arange(layer.positions)[:, None, None] + cols + rows
        a = taken[tile, fold].reshape(layer.positions, 1, array.rows, array.lanes)
        w = weights[tile, fold].reshape(1, array.cols, array.rows, array.lanes)
        a, w = np.broadcast_arrays(a, w)
        terms = a * w if array.pe == "mac" else np.abs(a - w)
        wanted = (a, w % 2**array.width, terms.sum(3).cumsum(2) % 2**array.tile_width)
        given = (
            pes.activations[cycles, cols, rows],
            pes.weights[cycles, cols, rows],
            pes.sums[cycles + 1 + array.pipeline, cols, rows],
        )
        wrong = (given[0] != wanted[0]) | (given[1] != wanted[1])
        differs = wrong.any(3) | (given[2] != wanted[2])
        if differs.any():
            place = tuple(np.argwhere(differs)[np.argmin(cycles[differs])].tolist())
            yield _fault(layer, tile, fold, place, int(cycles[place]), wrong[place], given, wanted)


def _fault(
    layer: LayerDescriptor,
    tile: int,
    fold: int,
    place: tuple[int, int, int],
    cycle: int,
    wrong: np.ndarray,
    given: tuple[np.ndarray, ...],
    wanted: tuple[np.ndarray, ...],
) -> Fault:
    """place: position, column, row. wrong: the lanes whose operands differ."""
    config = layer.config
    position, column, row = place
    inner, group = divmod(fold, layer.source.groups)
    inner, kernel_column = divmod(inner, layer.kernel[1])
    plane, kernel_row = divmod(inner, layer.kernel[0])
    lanes = np.flatnonzero(wrong) if wrong.any() else range(len(wrong))
    first = group * config.channels + row * config.array.lanes // config.lanes_per_channel

    def operands(of: tuple[np.ndarray, ...], lane: int) -> tuple[int, int]:
        return int(of[0][place][lane]), int(of[1][place][lane])

    return Fault(
        row=row,
        column=column,
        cycle=cycle,
        place=(tile * config.array.cols + column, *divmod(position, layer.size[1])),
        plane=plane,
        kernel=(kernel_row, kernel_column),
        terms=tuple(
            (
                first + int(lane) // config.lanes_per_channel,
                operands(given, lane),
                operands(wanted, lane),
            )
            for lane in lanes
        ),
        sums=(int(given[2][place]), int(wanted[2][place])),
    )
