"""The requantizer's constants from a narrow memory, for hardware with a pipeline."""

from amaranth import Cat, Module, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .formats import Formats
from .memories import words_in_turn
from .pipeline import delay
from .program import Program
from .requantize import constant_values


def filters_at_once(program: Program) -> int:
    """Those that move into the chain in a cycle: as few as bring a tile's, the last two cycles
    after it was read, within the shortest time between two tiles."""
    cols = program.config.array.cols
    shortest = min(layer.folds * (layer.positions + layer.rest) for layer in program.layers)
    return next(n for n in range(1, cols + 1) if cols % n == 0 and cols // n + 1 < shortest)


class ConstantChain(Component):
    """Gives the requantizer's constants of one tile of filters after the other, and starts anew
    after the last. While a tile's are used, the next one's move in from a memory whose words are
    those of a few filters, so that it fits block RAM.

    Members
    -------
    tile_starts : from the next cycle on the next tile's are wanted
    constants : of the tile that was wanted three cycles before
    """

    def __init__(self, program: Program, formats: Formats):
        self.program = program
        super().__init__({"tile_starts": In(1), "constants": Out(formats.constant)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, shape = self.program.config, self.constants.shape()
        cols, count = config.array.cols, filters_at_once(self.program)
        words = [
            tile[first : first + count]  # the last filters move the farthest
            for tile in constant_values(self.program.constants, config.requantize)
            for first in range(cols - count, -1, -count)
        ]
        layout = ArrayLayout(shape.elem_shape, count)
        m.submodules.memory = memory = Memory(shape=layout, depth=len(words), init=words)
        read, starts = memory.read_port(), delay(m, self.tile_starts, 2, "starts", reset_less=False)
        place, reads = words_in_turn(m, starts, len(words), cols // count)
        current, following = (
            Signal(len(self.constants.as_value()), name=name, reset_less=True)
            for name in ("current", "following")
        )
        m.d.comb += [read.addr.eq(place), read.en.eq(reads), self.constants.eq(current)]
        word = delay(m, read.data.as_value(), 1, "word")  # block RAM is slow to answer
        with m.If(delay(m, reads, 2, "reads", reset_less=False)):
            m.d.sync += following.eq(Cat(word, following))
        with m.If(starts):
            m.d.sync += current.eq(following)
        return m
