"""A network on an accelerator: the cycles of a whole image, exactly, and the memories it takes."""

from dataclasses import replace
from math import ceil

import numpy as np

from golden.spec import QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.array_sums import array_sums
from hw.config import ArrayConfig
from hw.formats import exact_formats
from hw.link.weight_store import WeightStore, fits_spram
from hw.program import Program, compile_model

from .design import Design
from .effort import Effort

SIZES = ("activation_words", "weight_words", "constant_words")
# Of a block RAM: the words that it holds by their bits, without parity bits that cannot be written
# by themselves. Lattice FPGA-TN-02002 (iCE40), FPGA-TN-02204 (ECP5); Xilinx UG473, table 1-1, a
# block of 36 kbit; Gowin UG285, table 2-1.
BLOCKS = {
    "ice40": {16: 256, 8: 512, 4: 1024, 2: 2048},
    "ecp5": {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384},
    "xilinx7": {72: 512, 36: 1024, 18: 2048, 9: 4096, 4: 8192, 2: 16384, 1: 32768},
    "gowin": {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384},
}
# What a block RAM is to cost beside logic, by Yosys' files of them; of 7-series not known here.
TABLE_COSTS = {"ice40": 64, "ecp5": 128, "gowin": 128}


def configure(model: QuantizedModel, design: Design) -> AcceleratorConfig:
    """The design's accelerator, with what it leaves open as the network needs it. ValueError where
    there is no such accelerator."""
    around, array = design.around, design.array
    stored = (layer.spec.out_width for layer in model.layers[:-1])
    config = AcceleratorConfig(
        array=array,
        map_width=around.map_width or max(array.width, model.input_width, *stored),
        requantize=around.requantize or model.requantize,
        external=around.external,
        external_width=around.external_width,
        **_given(design, "activation_words"),
    )
    return replace(sized(model, config), **_given(design, *SIZES))


def _given(design: Design, *names: str) -> dict[str, int]:
    values = {name: getattr(design.around, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def compiled(model: QuantizedModel, design: Design) -> Program:
    """ValueError when the accelerator cannot run the model."""
    return compile_model(model, configure(model, design))


def figures(model: QuantizedModel, design: Design, effort: Effort) -> dict[str, float]:
    """Of an image: cycles from answer to answer, operations, the share of PE-cycles that are
    useful; bits of all memories, and on FPGAs the block RAMs that they take. ValueError when the
    accelerator cannot run the model."""
    program = compiled(model, design)
    sizes = memories(program)
    found = {
        "cycles": program.interval,
        "operations": program.useful_terms,
        "utilization": program.utilization,
        "memory_kbits": sum(words * bits for words, bits in sizes.values()) / 1000,
    }
    if effort.target in BLOCKS:
        found["block_rams"] = block_rams_of(program, effort)
    return found


def block_rams_of(program: Program, effort: Effort) -> int:
    """That an FPGA's accelerator takes."""
    elsewhere = _elsewhere(program, effort)
    sizes = {name: size for name, size in memories(program).items() if name not in elsewhere}
    return block_rams(sizes, effort.target)


def _elsewhere(program: Program, effort: Effort) -> tuple[str, ...]:
    """Memories that are not of block RAM: weights in single-port RAM, a table of constants that is
    cheaper as logic, and, where LUTs can be memory, the row of windows of the pooling."""
    return (
        *(("weights",) if in_spram(program, effort) else ()),
        *(("constants",) if _constants_are_logic(program, effort.target) else ()),
        *(("pooling",) if effort.target != "ice40" else ()),
    )


def _constants_are_logic(program: Program, target: str) -> bool:
    """Whether Yosys makes gates of the table: a bit of one is to cost 1/16, a block RAM
    TABLE_COSTS. Bits that are the same in all words are left out before."""
    if program.config.external != "none" or target not in TABLE_COSTS:
        return program.config.external == "none"
    words, constants = program.config.constant_words, program.constants
    bits = _changing_bits(constants.offset, constants.total_width)
    for numbers in (constants.shift, *constants.factors.values()):
        signed = bool((numbers < 0).any())
        bits += _changing_bits(numbers, int(abs(numbers).max()).bit_length() + signed)
    return words * bits / 16 <= _blocks(words, bits, BLOCKS[target]) * TABLE_COSTS[target]


def _changing_bits(numbers: np.ndarray, width: int) -> int:
    """Of (tiles, cols) integers of so many bits: a tile's that are not the same in all of them."""
    some = numbers.astype(np.int64)
    changing = np.bitwise_or.reduce(some) ^ np.bitwise_and.reduce(some)
    return int(np.bitwise_count(changing & (1 << width) - 1).sum())


def store_of(program: Program, effort: Effort) -> WeightStore | None:
    """Where weights lie in single-port RAM."""
    return WeightStore(program, spram=True) if in_spram(program, effort) else None


def in_spram(program: Program, effort: Effort) -> bool:
    """Whether the weights are in single-port RAM."""
    return effort.ultraplus and fits_spram(program)


def memories(program: Program) -> dict[str, tuple[int, int]]:
    """Words, and bits of a word, by name; activations that are added to others are read through a
    second port, and so kept twice on FPGAs, whose block RAMs read one word a cycle."""
    config, array = program.config, program.config.array
    formats = exact_formats(program)
    copies = 1 + program.adds
    return {
        "activations": (config.activation_words, copies * config.channels * config.map_width),
        "weights": (config.weight_words, array.cols * array.lanes * array.width),
        "constants": (config.constant_words, formats.constant.size),
        "folds": (array.positions, array.cols * array.acc_width),
        "pooling": (formats.pool_columns, array.cols * (config.map_width + formats.pool_shift)),
    }


def block_rams(sizes: dict[str, tuple[int, int]], target: str) -> int:
    """As many as the memories take, each in blocks of the shape of which it takes fewest."""
    return sum(_blocks(words, bits, BLOCKS[target]) for words, bits in sizes.values())


def _blocks(words: int, bits: int, shapes: dict[int, int]) -> int:
    return min(ceil(bits / wide) * ceil(words / deep) for wide, deep in shapes.items())


def depth_of(model: QuantizedModel, array: ArrayConfig) -> int:
    """The least depth for which the array's accumulator holds every sum of the model."""
    config = AcceleratorConfig(array=array.model_copy(update={"depth": 2**24}))
    terms = max(layer.spec.reduction for layer in model.layers)
    if array.acc_signed:
        return terms
    widest = max(int(array_sums(layer, config).highest.max()) for layer in model.layers)
    most = config.array.acc_width - 24
    return max(terms, 2 ** max(0, widest.bit_length() - most - 1) + 1)
