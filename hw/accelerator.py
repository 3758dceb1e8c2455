"""The accelerator: a quantized network from an image's codes to its class, without the host."""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Array, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from .argmax import ArgMax
from .array_sums import Plane
from .config import ArrayConfig
from .constant_chain import ConstantChain
from .descriptor import WRITE_LEVELS
from .external.loader import ProgramLoader, WeightFeed
from .external.mover import MOVES, MapMover
from .formats import hardware_formats, settings_values
from .memories import ActivationMemory, ConstantMemory, ImageLoader, WeightMemory
from .operands import operands
from .pipeline import delay
from .places import Places
from .pooling import Pooling
from .program import Program
from .requantize import Requantizer
from .sequencer import Sequencer
from .weight_pe import WeightStationaryPE
from .weight_stationary import WeightStationaryArray


class Accelerator(Component):
    """Runs a program on one image after the other.

    An image comes as `hw.program.Program.image_words` gives it. While its layers run, the next one
    waits; it is stored as soon as the last layer has read its map, and worked on when the answer
    to the image before has been taken. Cycles are `Program.cycles` and `Program.interval`.
    Reset: `rst` for one cycle; the image that was worked on is forgotten.

    With an external memory the program comes as a stream, in the hardware's formats (see
    `hw.external.image`): its tables once after reset, then its weights over and over. A pass waits
    until its weights are there; cycles are the same where they always are.

    pe: makes a PE of the array, as in `hw.weight_stationary.WeightStationaryArray`. read_weights:
    as of `hw.memories.WeightMemory`.

    Members
    -------
    i_image : words of rows · lanes codes
    o_class : the lowest index among the largest codes of the last layer
    i_program : beats of a program; only with an external memory
    o_read, i_read, o_write, o_written : as of `hw.external.mover.MapMover`; only with maps there
    """

    def __init__(
        self,
        program: Program,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
        read_weights: Callable[[Module, Signal, Value], Value] | None = None,
    ):
        self.program = program
        self._pe, self._read_weights = pe, read_weights
        self.formats = formats = hardware_formats(program)
        config = program.config
        self.activations = ActivationMemory(config, formats.adds)
        self.sequencer = Sequencer(program, formats)
        self.settings, self.loaded = Signal(formats.settings), Signal()
        self._argmax = ArgMax(config.array.cols, formats.code_width, formats.tiles)
        self._external = config.external != "none"
        self._mover = MapMover(formats) if config.external == "maps" else None
        image = ArrayLayout(config.map_width, config.channels)
        beats = {"i_program": In(stream.Signature(config.external_width))}
        super().__init__(
            {
                "i_image": In(stream.Signature(image)),
                "o_class": Out(self._argmax.o_class.signature),
            }
            | (beats if self._external else {})
            | ({name: self._mover.signature.members[name] for name in MOVES} if self._mover else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequencer = self.sequencer
        m.d.comb += self.sequencer.last_layer.eq(self.settings.last_layer)
        self._places = Places(m, self.sequencer, self.program.config.stages)
        m.submodules.activations = self.activations
        m.submodules.array = array = WeightStationaryArray(
            self.program.config.array, self._pe, doubles=len(self.formats.planes) > 1
        )
        config = self.program.config
        self._chained = config.stages > 0 and not self._external
        constants = ConstantChain if self._chained else ConstantMemory
        m.submodules.constants = self._constants = constants(self.program, self.formats)
        loader = self._load(m) if self._external else self._know(m)
        self._feed_activations(m, array)
        self._feed_weights(m, array, loader)
        image = self._take_images(m)
        if self._mover:
            self._move_maps(m)
        self._probe(m)
        place, codes = self._requantize(m, array)
        self._answer(m, place, codes)
        self._store(m, image, self._pool(m, place, codes))
        return m

    def _know(self, m: Module) -> None:
        """The settings of the program that the hardware holds."""
        values = settings_values(self.program)
        m.d.comb += [self.settings.eq(self.formats.settings.const(values)), self.loaded.eq(1)]

    def _load(self, m: Module) -> ProgramLoader:
        """The tables of a program from outside."""
        m.submodules.loader = loader = ProgramLoader(self.formats)
        connect(m, flipped(self.i_program), loader.i_beats)
        writes = {self.sequencer: loader.write_layer, self._constants: loader.write_constant}
        for memory, write in writes.items():
            m.d.comb += [
                memory.write.eq(write),
                memory.write_index.eq(loader.index),
                memory.write_word.as_value().eq(loader.word),
            ]
        m.d.comb += [
            self.settings.eq(loader.settings),
            self.loaded.eq(loader.loaded),
            self.sequencer.loaded.eq(loader.loaded),
        ]
        return loader

    def _probe(self, m: Module) -> None:
        """Names for simulations that look inside, which Verilog keeps."""
        memory, sequencer = self.activations, self.sequencer
        probes = {
            "write_address": memory.write_address,
            "write_word": memory.write_word.as_value(),
            "write_parts": memory.write_parts,
            "layer_ends": sequencer.load & ~sequencer.idle,
        }
        for name, value in probes.items():
            probe = Signal(len(value), name=f"probe_{name}", attrs={"keep": True})
            m.d.comb += probe.eq(value)

    def _feed_activations(self, m: Module, array: WeightStationaryArray) -> None:
        """Operands of the walks' word, or of padding where they are outside the map."""
        sequencer, layer, config = self.sequencer, self.sequencer.layer, self.program.config
        latency, stages = config.operand_latency, config.stages
        walks = {
            name: self._places.walk(name, sequencer.step, sequencer.goes_on)
            for name in ("address", "row", "column")
        }
        reads = delay(m, sequencer.step, stages, "reads", reset_less=False)
        inside = (walks["row"] < layer.rows) & (walks["column"] < layer.columns)
        inside = delay(m, inside, 1 + 3 * stages, "inside")
        padding = layer.in_zero.replicate(config.channels)
        word = delay(m, self.activations.late_word.as_value(), 2 * stages, "word")
        word = Mux(inside, word, padding)
        ends = delay(m, sequencer.group_ends, latency - 1, "ends")
        fills = layer.fills & ends.replicate(config.channels)
        blank = fills | (~inside).replicate(config.channels)
        bit = self._of_plane(lambda plane: plane.operand_bit)
        bit = delay(m, bit, latency - 1, "operand_bit")
        a = operands(self.formats, m, layer, word, blank, bit)
        m.d.comb += [
            self.activations.read.eq(reads | (self._mover.reads if self._mover else 0)),
            self.activations.read_address.eq(self._read_address(walks["address"])),
            array.a.eq(delay(m, a, 1, "a")),
            array.active.eq(delay(m, sequencer.step, latency, "active", reset_less=False)),
            array.first.eq(delay(m, sequencer.first, latency, "first")),
            array.last.eq(delay(m, sequencer.last, latency, "last")),
        ]
        planes = self.formats.planes
        if len(planes) > 1:
            lighter = {next: next.weight < before.weight for before, next in pairwise(planes)}
            double = sequencer.plane_starts & self._of_plane(lambda plane: lighter.get(plane, 0))
            m.d.comb += array.double.eq(delay(m, double, latency, "double"))

    def _read_address(self, walk: Value) -> Value:
        """Between layers the mover's."""
        mover = self._mover
        return Mux(mover.reads, mover.read_address, walk) if mover else walk

    def _of_plane(self, number: Callable[[Plane], int]) -> Value:
        """This number of the sequencer's plane."""
        numbers = [Const(number(plane)) for plane in self.formats.planes]
        return Array(numbers)[self.sequencer.plane]

    def _feed_weights(
        self, m: Module, array: WeightStationaryArray, loader: ProgramLoader | None
    ) -> None:
        """A fold's weights become current in the cycle before its first activations, and with them
        the next fold's come, from the program's memory or the loader."""
        config = self.program.config
        if loader:
            weights = WeightFeed(config)
            connect(m, loader.o_weights, weights.i_words)
            m.d.comb += self.sequencer.weights_ready.eq(weights.ready)
        else:
            weights = WeightMemory(self.program, self._read_weights)
        m.submodules.weights = weights
        swap = self.sequencer.step & self.sequencer.fold_starts
        starts = delay(m, swap, config.stages, "starts", reset_less=False)
        swaps = delay(m, starts, config.weight_latency, "swap", reset_less=False)
        m.d.comb += [
            weights.start.eq(starts),
            array.swap.eq(swaps),
            array.w.eq(weights.w),
            array.load.eq(weights.load),
        ]

    def _move_maps(self, m: Module) -> None:
        """Between layers, maps in and out."""
        mover, sequencer = self._mover, self.sequencer
        for name in MOVES:
            connect(m, flipped(getattr(self, name)), getattr(mover, name))
        m.d.comb += [
            mover.load.eq(sequencer.load),
            mover.layer.eq(sequencer.layer),
            mover.go.eq(sequencer.go | ~sequencer.idle),
            mover.settings.eq(self.settings),
            mover.read_word.eq(self.activations.read_word.as_value()),
            sequencer.maps_ready.eq(~mover.due),
        ]

    def _take_images(self, m: Module) -> ImageLoader | MapMover:
        """An image starts when the answer to the one before has been taken."""
        m.submodules.image = image = self._mover or ImageLoader(self.formats)
        if self._mover:
            m.d.comb += [
                image.i_image.payload.eq(self.i_image.payload.as_value()),
                image.i_image.valid.eq(self.i_image.valid),
                self.i_image.ready.eq(image.i_image.ready),
            ]
        else:
            connect(m, flipped(self.i_image), image.i_image)
            m.d.comb += image.last.eq(self.settings.last_image_word)
        starts = self.sequencer.step & self.sequencer.idle
        owed = Signal()
        with m.If(starts):
            m.d.sync += owed.eq(1)
        with m.Elif(self.o_class.valid & self.o_class.ready):
            m.d.sync += owed.eq(0)
        m.d.comb += [
            self.sequencer.go.eq(image.full & ~owed),
            image.free.eq(self.sequencer.idle & self.loaded),
            image.taken.eq(starts),
        ]
        return image

    def _requantize(self, m: Module, array: WeightStationaryArray) -> tuple[View, View]:
        """Each position's codes, and in the same cycle its place in the target."""
        config, layer = self.program.config, self.sequencer.layer
        constants, formats = self._constants, self.formats
        bits, as_shape = config.array.acc_width, signed if config.array.acc_signed else unsigned
        m.submodules.requantizer = requantizer = Requantizer(
            config.array.cols,
            as_shape(bits),
            config.map_width,
            formats.code_width,
            formats.constants,
            config.requantize,
            config.stages,
        )
        place, stages = self._places.of_sums(array.valid), config.stages
        sums = Signal.like(array.sums.as_value(), reset_less=True)
        with m.If(array.valid):  # other sums are not whole, and would only move the multipliers
            m.d.sync += sums.eq(array.sums.as_value())
        m.d.comb += [
            *self._turn_tiles(place),
            requantizer.constants.eq(constants.constants),
            requantizer.sums.eq(delay(m, sums, config.constant_latency - 1, "sums")),
            requantizer.added.eq(delay(m, self._added(m, place), stages, "added")),
            requantizer.highest.eq(delay(m, layer.highest, stages, "highest")),
        ]
        latency = config.constant_latency - stages + config.requantizer_latency
        return delay(m, place, latency, "place", reset_less=False), requantizer.codes

    def _turn_tiles(self, place: View) -> list:
        """Tells the constants which tile's are wanted."""
        constants = self._constants
        if self._chained:
            return [constants.tile_starts.eq(place.tile_starts)]
        return [
            constants.load.eq(self.sequencer.load),
            constants.first.eq(self.sequencer.layer.constant),
            constants.tile_ends.eq(place.tile_ends),
        ]

    def _added(self, m: Module, place: View) -> Value:
        """The codes of the added map at the place of the cycle before."""
        memory = self.activations
        m.d.comb += [memory.add.eq(place.valid), memory.added_address.eq(place.added)]
        parts = Array(memory.added_word[index] for index in range(self.program.config.parts))
        part = delay(m, place.part, 1 + self.program.config.stages, "added_part")
        return parts[part]  # a layout's index is a product

    def _answer(self, m: Module, place: View, codes: View) -> None:
        m.submodules.argmax = argmax = self._argmax
        m.d.comb += [
            argmax.last_filters.eq(self.settings.last_filters),
            argmax.codes.eq(codes),
            argmax.valid.eq(place.valid & ~self.sequencer.layer.stores),
        ]
        connect(m, argmax.o_class, flipped(self.o_class))

    def _pool(self, m: Module, place: View, codes: View) -> Pooling:
        layer, config, formats = self.sequencer.layer, self.program.config, self.formats
        m.submodules.pooling = pooling = Pooling(
            config.array.cols,
            config.map_width,
            layer.pool_rows.shape(),
            layer.pool_columns.shape(),
            formats.pool_columns,
            formats.pool_shift,
        )
        flags = ("first_column", "last_column", "first_row", "last_row")
        m.d.comb += [
            *(getattr(pooling, name).eq(place[name]) for name in flags),
            pooling.rows.eq(layer.pool_rows),
            pooling.columns.eq(layer.pool_columns),
            *(to.eq(code) for to, code in zip(pooling.codes, codes, strict=True)),
            pooling.valid.eq(place.valid & layer.stores),
            pooling.mean.eq(delay(m, layer.mean, config.stages, "mean")),
            pooling.offset.eq(delay(m, layer.pool_offset, config.stages, "pool_offset")),
            pooling.shift.eq(delay(m, layer.pool_shift, config.stages, "pool_shift")),
        ]
        return pooling

    def _store(self, m: Module, image: ImageLoader | MapMover, pooling: Pooling) -> None:
        """Write words of images or maps, and pooled codes into their part of a word; the parts
        behind it get the code of zero until their tiles come."""
        config, memory = self.program.config, self.activations
        loops, address = self._places.over_map("write", pooling.done)
        part = delay(m, loops.turns[WRITE_LEVELS.index("part")], config.stages, "part")
        done = delay(m, pooling.done, config.stages, "done", reset_less=False)
        pooled = delay(m, pooling.pooled.as_value(), config.stages, "pooled")
        zeros = self.sequencer.layer.out_zero.replicate(config.array.cols)
        if self._mover:
            come_to, come = image.write_address, image.write_word
        else:
            come_to, come = image.place + self.program.image.base, image.i_image.payload
        with m.If(image.write):
            m.d.comb += [
                memory.write_address.eq(come_to),
                memory.write_word.as_value().eq(come),
                memory.write_parts.eq(~0),
            ]
        with m.Else():
            m.d.comb += memory.write_address.eq(address)
            for index in range(config.parts):
                m.d.comb += [
                    memory.write_word[index].eq(Mux(part == index, pooled, zeros)),
                    memory.write_parts[index].eq(done & (part <= index)),
                ]
