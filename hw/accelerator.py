"""The accelerator: a quantized network from an image's codes to its class, without the host."""

from collections.abc import Callable
from itertools import pairwise

from amaranth import Array, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout, StructLayout, View
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from .accelerator_config import POOLING_LATENCY, REQUANTIZER_LATENCY
from .argmax import ArgMax
from .array_sums import Plane
from .config import ArrayConfig
from .descriptor import WRITE_LEVELS
from .loops import Loops, Walk
from .memories import ActivationMemory, ConstantMemory, ImageLoader, WeightMemory
from .operands import operands
from .pipeline import delay
from .pooling import Pooling
from .program import Program
from .requantize import Requantizer
from .sequencer import Sequencer
from .weight_stationary import WeightStationaryArray, WeightStationaryPE


class Accelerator(Component):
    """Runs a program on one image after the other.

    An image comes as `hw.program.Program.image_words` gives it. While its layers run, the next one
    waits; it is stored as soon as the last layer has read its map, and worked on when the answer
    to the image before has been taken. Cycles are `Program.cycles` and `Program.interval`.
    Reset: `rst` for one cycle; the image that was worked on is forgotten.

    pe: makes a PE of the array, as in `hw.weight_stationary.WeightStationaryArray`. read_weights:
    as of `hw.memories.WeightMemory`.

    Members
    -------
    i_image : words of rows · lanes codes
    o_class : the lowest index among the largest codes of the last layer
    """

    def __init__(
        self,
        program: Program,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
        read_weights: Callable[[Module, Signal], Value] | None = None,
    ):
        self.program = program
        self._pe, self._read_weights = pe, read_weights
        config = program.config
        self.activations = ActivationMemory(config, program.adds)
        self.sequencer = Sequencer(program)
        tiles = program.layers[-1].tiles
        self._argmax = ArgMax(config.array.cols, program.code_width, tiles)
        image = ArrayLayout(config.map_width, config.channels)
        super().__init__(
            {
                "i_image": In(stream.Signature(image)),
                "o_class": Out(self._argmax.o_class.signature),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequencer = self.sequencer
        m.submodules.activations = self.activations
        m.submodules.array = array = WeightStationaryArray(
            self.program.config.array, self._pe, doubles=len(self.program.planes) > 1
        )
        self._feed_activations(m, array)
        self._feed_weights(m, array)
        image = self._take_images(m)
        self._probe(m)
        place, codes = self._requantize(m, array)
        self._answer(m, place, codes)
        self._store(m, image, place, self._pool(m, place, codes))
        return m

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
        """Operands of the walks' word, or of padding where they are outside the map; two cycles
        later."""
        sequencer, layer, config = self.sequencer, self.sequencer.layer, self.program.config
        walks = {
            name: self._walk(m, name, sequencer.step, sequencer.goes_on)
            for name in ("address", "row", "column")
        }
        inside = (walks["row"] < layer.rows) & (walks["column"] < layer.columns)
        inside = delay(m, inside, 1, "inside")
        padding = layer.in_zero.replicate(config.channels)
        word = Mux(inside, self.activations.read_word.as_value(), padding)
        fills = layer.fills & delay(m, sequencer.group_ends, 1, "ends").replicate(config.channels)
        blank = fills | (~inside).replicate(config.channels)
        bit = delay(m, self._of_plane(lambda plane: plane.operand_bit), 1, "operand_bit")
        a = operands(self.program, m, layer, word, blank, bit)
        m.d.comb += [
            self.activations.read_address.eq(walks["address"]),
            array.a.eq(delay(m, a, 1, "a")),
            array.active.eq(delay(m, sequencer.step, 2, "active", reset_less=False)),
            array.first.eq(delay(m, sequencer.first, 2, "first")),
            array.last.eq(delay(m, sequencer.last, 2, "last")),
        ]
        planes = self.program.planes
        if len(planes) > 1:
            lighter = {next: next.weight < before.weight for before, next in pairwise(planes)}
            double = sequencer.plane_starts & self._of_plane(lambda plane: lighter.get(plane, 0))
            m.d.comb += array.double.eq(delay(m, double, 2, "double"))

    def _of_plane(self, number: Callable[[Plane], int]) -> Value:
        """This number of the sequencer's plane."""
        numbers = [Const(number(plane)) for plane in self.program.planes]
        return Array(numbers)[self.sequencer.plane]

    def _walk(self, m: Module, name: str, step: Value, goes_on: Value) -> Value:
        """The value of the descriptor's walk of this name."""
        field = self.sequencer.layer[name]
        m.submodules[f"{name}_walk"] = walk = Walk(len(goes_on), len(field.start))
        m.d.comb += [
            walk.load.eq(self.sequencer.load),
            walk.step.eq(step),
            walk.goes_on.eq(goes_on),
            walk.start.eq(field.start),
            walk.steps.eq(field.steps),
        ]
        return walk.value

    def _feed_weights(self, m: Module, array: WeightStationaryArray) -> None:
        """A fold's weights become current in the cycle before its first activations, and with them
        the next fold's come."""
        m.submodules.weights = weights = WeightMemory(self.program, self._read_weights)
        swap = self.sequencer.step & self.sequencer.fold_starts
        m.d.comb += [
            weights.start.eq(swap),
            array.swap.eq(delay(m, swap, 1, "swap", reset_less=False)),
            array.w.eq(weights.w),
            array.load.eq(weights.load),
        ]

    def _take_images(self, m: Module) -> ImageLoader:
        """An image starts when the answer to the one before has been taken."""
        m.submodules.image = image = ImageLoader(self.program)
        connect(m, flipped(self.i_image), image.i_image)
        starts = self.sequencer.step & self.sequencer.idle
        owed = Signal()
        with m.If(starts):
            m.d.sync += owed.eq(1)
        with m.Elif(self.o_class.valid & self.o_class.ready):
            m.d.sync += owed.eq(0)
        m.d.comb += [
            self.sequencer.go.eq(image.full & ~owed),
            image.free.eq(self.sequencer.idle),
            image.taken.eq(starts),
        ]
        return image

    def _requantize(self, m: Module, array: WeightStationaryArray) -> tuple[View, View]:
        """Each position's codes, and in the same cycle its place in the target."""
        config, layer = self.program.config, self.sequencer.layer
        m.submodules.constants = constants = ConstantMemory(self.program)
        bits, as_shape = config.array.acc_width, signed if config.array.acc_signed else unsigned
        m.submodules.requantizer = requantizer = Requantizer(
            config.array.cols,
            as_shape(bits),
            config.map_width,
            self.program.code_width,
            self.program.constants,
            config.requantize,
        )
        place = self._place(m, array)
        m.d.comb += [
            constants.tile_ends.eq(place.tile_ends),
            requantizer.constants.eq(constants.constants),
            requantizer.sums.eq(delay(m, array.sums.as_value(), 1, "sums")),
            requantizer.added.eq(self._added(m, place)),
            requantizer.highest.eq(layer.highest),
        ]
        latency = 1 + REQUANTIZER_LATENCY
        return delay(m, place, latency, "place", reset_less=False), requantizer.codes

    def _added(self, m: Module, place: View) -> Value:
        """The codes of the added map at the place of the cycle before."""
        memory = self.activations
        m.d.comb += memory.added_address.eq(place.added)
        parts = Array(memory.added_word[part] for part in range(self.program.config.parts))
        return parts[delay(m, place.part, 1, "added_part")]  # a layout's index is a product

    def _place(self, m: Module, array: WeightStationaryArray) -> View:
        """Where the sums that leave the array now belong."""
        layer, levels = self.sequencer.layer, len(WRITE_LEVELS)
        m.submodules.loops = loops = Loops(levels, layer.write_limits.shape().elem_shape)
        m.d.comb += [
            loops.limits.eq(layer.write_limits),
            loops.load.eq(self.sequencer.load),
            loops.step.eq(array.valid),
        ]
        walks = {
            name: self._walk(m, name, array.valid, loops.goes_on) for name in ("write", "added")
        }
        window_column, column, window_row, _, part, _ = range(levels)
        values = {
            "valid": array.valid,
            "address": walks["write"],
            "added": walks["added"],
            "column": loops.turns[column],
            "part": loops.turns[part],
            "first_column": loops.firsts[window_column],
            "last_column": loops.lasts[window_column],
            "first_row": loops.firsts[window_row],
            "last_row": loops.lasts[window_row],
            "tile_ends": array.valid & loops.lasts[:part].all(),
        }
        place = Signal(StructLayout({name: value.shape() for name, value in values.items()}))
        m.d.comb += [place[name].eq(value) for name, value in values.items()]
        return place

    def _answer(self, m: Module, place: View, codes: View) -> None:
        m.submodules.argmax = argmax = self._argmax
        m.d.comb += [
            argmax.codes.eq(codes),
            argmax.valid.eq(place.valid & ~self.sequencer.layer.stores),
        ]
        connect(m, argmax.o_class, flipped(self.o_class))

    def _pool(self, m: Module, place: View, codes: View) -> Pooling:
        layer, layers = self.sequencer.layer, self.program.layers
        config = self.program.config
        pooled_columns = [one.write_counts[1] for one in layers if one.window[0] > 1]
        m.submodules.pooling = pooling = Pooling(
            config.array.cols,
            config.map_width,
            max(pooled_columns, default=1),
            max(one.pool_shift for one in layers),
        )
        flags = ("first_column", "last_column", "first_row", "last_row")
        m.d.comb += [
            *(getattr(pooling, name).eq(place[name]) for name in ("column", *flags)),
            *(to.eq(code) for to, code in zip(pooling.codes, codes, strict=True)),
            pooling.valid.eq(place.valid & layer.stores),
            pooling.mean.eq(layer.mean),
            pooling.offset.eq(layer.pool_offset),
            pooling.shift.eq(layer.pool_shift),
        ]
        return pooling

    def _store(self, m: Module, image: ImageLoader, place: View, pooling: Pooling) -> None:
        """Write images' words, and pooled codes into their part of a word; the parts behind it
        get the code of zero until their tiles come."""
        config, memory = self.program.config, self.activations
        address = delay(m, place.address, POOLING_LATENCY, "write_address")
        part = delay(m, place.part, POOLING_LATENCY, "write_part")
        zeros = self.sequencer.layer.out_zero.replicate(config.array.cols)
        with m.If(image.write):
            m.d.comb += [
                memory.write_address.eq(image.place + self.program.image.base),
                memory.write_word.eq(image.i_image.payload),
                memory.write_parts.eq(~0),
            ]
        with m.Else():
            m.d.comb += memory.write_address.eq(address)
            for index in range(config.parts):
                m.d.comb += [
                    memory.write_word[index].eq(Mux(part == index, pooling.pooled, zeros)),
                    memory.write_parts[index].eq(pooling.done & (part <= index)),
                ]
