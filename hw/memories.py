"""The memories of an accelerator, with what addresses them."""

from collections.abc import Callable

from amaranth import Array, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .accelerator_config import AcceleratorConfig
from .formats import Formats
from .pipeline import delay
from .program import Program
from .requantize import constant_values
from .table import table

BANK = 2048  # words of weights behind one register, as deep as block RAM of 9 bits
MAP_BANK = 1024  # words of maps; where a word is written in parts, synthesis takes 18 bits


def words_in_turn(m: Module, start: Value, count: int, each: int) -> tuple[Signal, Value]:
    """The place of the next of `count` words, and whether it is read: `each` of them from a cycle
    with `start` on, and from reset on; after the last comes the first."""
    place, left = Signal(range(count)), Signal(range(each + 1), init=each)
    reads = start | (left != 0)
    with m.If(reads):
        m.d.sync += [
            place.eq(Mux(place == count - 1, 0, place + 1)),
            left.eq(Mux(start, each - 1, left - 1)),
        ]
    return place, reads


class WeightMemory(Component):
    """Gives the words of one fold after the other, `rows` words each, and starts anew after the
    last. Those of the first fold come by themselves after reset.

    read: (m, address, enable) -> the word that was read when `enable` was last set, from the next
    cycle on, where the words lie elsewhere than in block RAM that holds them from the start.

    Members
    -------
    start : the next fold's words come, from the next cycle on
    w, load : as of `hw.weight_stationary.WeightStationaryArray`
    """

    def __init__(
        self, program: Program, read: Callable[[Module, Signal, Value], Value] | None = None
    ):
        self.program, self._read = program, read
        array = program.config.array
        words = ArrayLayout(ArrayLayout(array.width, array.lanes), array.cols)
        super().__init__({"start": In(1), "w": Out(words), "load": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, rows = len(self.program.weights), self.program.config.array.rows
        place, reads = words_in_turn(m, self.start, count, rows)
        latency = self.program.config.weight_latency
        if self._read:
            word = delay(m, self._read(m, place, reads), latency - 1, "word")
        else:
            word = self._read_block_ram(m, place, reads)
        m.d.comb += [
            self.w.as_value().eq(word),
            self.load.eq(delay(m, reads, latency, "reads", reset_less=False)),
        ]
        return m

    def _read_block_ram(self, m: Module, place: Signal, enable: Value) -> Value:
        config, stages = self.program.config, self.program.config.stages
        words = (self.program.weights % 2**config.array.width).tolist()
        shape, depth, reads = self.w.shape(), config.weight_words, (place, enable)
        return table(m, "memory", shape, words, depth, *reads, stages, BANK, 2 * stages).as_value()


class ConstantMemory(Component):
    """Gives the requantizer's constants of one tile of filters after the other. With an external
    memory they are written first.

    Members
    -------
    load : a layer starts
    first : index of its first tile's
    tile_ends : from the next cycle on the next tile's are wanted
    constants : of the tile that was wanted in the cycle before, with a pipeline three before
    write, write_index, write_word : of a tile's constants; only with an external memory
    """

    def __init__(self, program: Program, formats: Formats):
        self.program = program
        config = program.config
        self._external = config.external != "none"
        index = range(config.constant_words)
        written = {"write": In(1), "write_index": In(index), "write_word": In(formats.constant)}
        super().__init__(
            {"load": In(1), "first": In(index), "tile_ends": In(1)}
            | {"constants": Out(formats.constant)}
            | (written if self._external else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.program.config
        values = constant_values(self.program.constants, config.requantize)
        m.submodules.memory = memory = Memory(
            shape=self.constants.shape(),
            depth=config.constant_words,
            init=[] if self._external else values,
        )
        read, unreset = memory.read_port(), bool(config.stages)  # as `load` comes before any use
        place = Signal(range(config.constant_words), reset_less=unreset)
        other = Signal(reset_less=unreset)  # the word at `place` has not been read yet
        m.d.sync += other.eq(self.load | self.tile_ends)
        with m.If(self.load):
            m.d.sync += place.eq(self.first)
        with m.Elif(self.tile_ends):
            m.d.sync += place.eq(place + 1)
        constants = delay(m, read.data, 2 * config.stages, "constants")
        m.d.comb += [read.addr.eq(place), read.en.eq(other), self.constants.eq(constants)]
        if self._external:
            write = memory.write_port()
            m.d.comb += [
                write.en.eq(self.write),
                write.addr.eq(self.write_index),
                write.data.eq(self.write_word),
            ]
        return m


class ActivationMemory(Component):
    """Words of rows · lanes channels, written in parts of cols channels. With a pipeline they lie
    in banks, since block RAM is slow to answer and that of a deep memory lies far apart.

    adds: with a second port to read, for maps that are added.

    Members
    -------
    read, read_address : a word is to be read, and which
    read_word : the one that was read last, from the next cycle on
    late_word : the same, with a pipeline one cycle later
    add, added_address, added_word : as `read`, `read_address`, `late_word`, of the second port
    write_address, write_word : of the word to write; with a pipeline, one cycle later
    write_parts : the parts to write, a bit each
    """

    def __init__(self, config: AcceleratorConfig, adds: bool):
        self.config = config
        self._adds = adds
        word = ArrayLayout(config.array.cols * config.map_width, config.parts)
        address = range(config.activation_words)
        super().__init__(
            {
                "read": In(1),
                "read_address": In(address),
                "read_word": Out(word),
                "late_word": Out(word),
                "add": In(1),
                "added_address": In(address),
                "added_word": Out(word),
                "write_address": In(address),
                "write_word": In(word),
                "write_parts": In(config.parts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, shape = self.config.activation_words, self.read_word.shape()
        bits = ((MAP_BANK if self.config.stages else depth) - 1).bit_length()  # of a bank's address
        banks, size = [], 1 << bits
        for index, first in enumerate(range(0, depth, size)):
            title = f"memory_{index}" if depth > size else "memory"
            memory = Memory(shape=shape, depth=min(size, depth - first), init=[])
            m.submodules[title] = memory
            banks.append(memory)
        self._write(m, banks, bits)
        word, late_word = self._read(m, banks, bits, self.read_address, self.read, "read")
        m.d.comb += [self.read_word.eq(word), self.late_word.eq(late_word)]
        if self._adds:
            _, added = self._read(m, banks, bits, self.added_address, self.add, "added")
            m.d.comb += self.added_word.eq(added)
        return m

    def _write(self, m: Module, banks: list[Memory], bits: int) -> None:
        stages = self.config.stages
        address = delay(m, self.write_address, stages, "write_address")
        word = delay(m, self.write_word, stages, "write_word")
        for index, memory in enumerate(banks):
            here = self.write_address[bits:] == index
            parts = self.write_parts & here.replicate(self.config.parts)
            write = memory.write_port(granularity=1)
            m.d.comb += [
                write.addr.eq(address[:bits]),
                write.data.eq(word),
                write.en.eq(delay(m, parts, stages, f"parts_{index}", reset_less=False)),
            ]

    def _read(
        self, m: Module, banks: list[Memory], bits: int, address: Value, enable: Value, name: str
    ) -> tuple[Value, Value]:
        """The word of the cycle before, and of `stages` cycles before that."""
        stages, chosen, words = self.config.stages, Signal(range(len(banks))), []
        for memory in banks:
            port = memory.read_port()
            m.d.comb += [port.addr.eq(address[:bits]), port.en.eq(enable)]
            words.append(port.data.as_value())
        with m.If(enable):
            m.d.sync += chosen.eq(address[bits:])
        late = [delay(m, word, stages, f"{name}_{index}") for index, word in enumerate(words)]
        return Array(words)[chosen], Array(late)[delay(m, chosen, stages, f"{name}_chosen")]


class ImageLoader(Component):
    """Takes the words of an image to the places where the first layer reads them.

    Members
    -------
    i_image : an image's words
    free : the image before is no longer needed
    taken : the image that is there is being worked on
    last : place of its last word
    full : an image is there
    place : of the word in the image
    write : `i_image.payload` is to be written there
    """

    def __init__(self, formats: Formats):
        config, places = formats.config, range(formats.image_words)
        super().__init__(
            {
                "i_image": In(stream.Signature(ArrayLayout(config.map_width, config.channels))),
                "free": In(1),
                "taken": In(1),
                "last": In(places),
                "full": Out(1),
                "place": Out(places),
                "write": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [
            self.i_image.ready.eq(self.free & ~self.full),
            self.write.eq(self.i_image.ready & self.i_image.valid),
        ]
        with m.If(self.taken):
            m.d.sync += self.full.eq(0)
        with m.Elif(self.write):
            m.d.sync += self.place.eq(self.place + 1)
            with m.If(self.place == self.last):
                m.d.sync += [self.place.eq(0), self.full.eq(1)]
        return m
