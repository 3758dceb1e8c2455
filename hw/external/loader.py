"""From a stream of beats to the words of a program: its settings, its tables, its weights."""

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import enum, stream
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out

from ..accelerator_config import AcceleratorConfig
from ..formats import Formats
from ..pipeline import delay


class Section(enum.Enum):
    """What a word belongs to, in the order in which they come."""

    SETTINGS = 0
    LAYERS = 1
    CONSTANTS = 2
    WEIGHTS = 3


def weight_layout(config: AcceleratorConfig) -> ArrayLayout:
    """Of a word of weights: those of one row of PEs."""
    array = config.array
    return ArrayLayout(ArrayLayout(array.width, array.lanes), array.cols)


def word_bits(formats: Formats) -> dict[Section, int]:
    """Of a word of each section, before it is filled up to whole beats."""
    return {
        Section.SETTINGS: formats.settings.size,
        Section.LAYERS: formats.layer.size,
        Section.CONSTANTS: formats.constant.size,
        Section.WEIGHTS: weight_layout(formats.config).size,
    }


def word_beats(formats: Formats) -> dict[Section, int]:
    """Of a word of each section."""
    width = formats.config.external_width
    return {section: -(-bits // width) for section, bits in word_bits(formats).items()}


class ProgramLoader(Component):
    """Takes a program's settings, then the words of its tables, then its weights without end. Every
    word begins with a beat of its own, its lowest bits in the first.

    Members
    -------
    i_beats : the program
    settings : known from the cycle on in which the first layer's word comes
    word, index : of a table, to be written where `write_layer` or `write_constant` says
    loaded : the tables are there
    o_weights : words of weights
    """

    def __init__(self, formats: Formats):
        self._formats = formats
        config = formats.config
        beats = word_beats(formats)
        most = max(formats.layers, config.constant_words)
        widest = max(beats[Section.LAYERS], beats[Section.CONSTANTS]) * config.external_width
        super().__init__(
            {
                "i_beats": In(stream.Signature(config.external_width)),
                "settings": Out(formats.settings),
                "word": Out(widest),
                "index": Out(range(most)),
                "write_layer": Out(1),
                "write_constant": Out(1),
                "loaded": Out(1),
                "o_weights": Out(stream.Signature(weight_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats, width = word_beats(self._formats), self._formats.config.external_width
        section, beat = Signal(Section), Signal(range(max(beats.values())))
        last = Array(count - 1 for count in beats.values())[section]
        kept = Signal(ArrayLayout(width, max(beats.values())))
        ends, taken = Signal(), Signal()
        m.d.comb += [
            ends.eq(beat == last),
            self.i_beats.ready.eq(~self.loaded | ~ends | self.o_weights.ready),
            taken.eq(self.i_beats.valid & self.i_beats.ready),
            self.loaded.eq(section == Section.WEIGHTS),
            self.o_weights.valid.eq(self.loaded & ends & self.i_beats.valid),
        ]
        with m.If(taken):
            m.d.sync += [kept[beat].eq(self.i_beats.payload), beat.eq(Mux(ends, 0, beat + 1))]
        for one, count in beats.items():
            word = Cat(*(kept[index] for index in range(count - 1)), self.i_beats.payload)
            if one is Section.WEIGHTS:
                payload = self.o_weights.payload.as_value()
                m.d.comb += payload.eq(word)
            else:
                with m.If(section == one):
                    m.d.comb += self.word.eq(word)
        self._fill_tables(m, section, taken & ends)
        return m

    def _fill_tables(self, m: Module, section: Signal, whole: Signal) -> None:
        following = Signal(Section)
        with m.If(whole):
            m.d.sync += [section.eq(following), self.index.eq(0)]
        m.d.comb += following.eq(section)
        with m.Switch(section):
            with m.Case(Section.SETTINGS):
                m.d.comb += following.eq(Section.LAYERS)
                with m.If(whole):
                    m.d.sync += self.settings.as_value().eq(self.word)
            for table, last, write, after in (
                (Section.LAYERS, self.settings.last_layer, self.write_layer, Section.CONSTANTS),
                (
                    Section.CONSTANTS,
                    self.settings.last_constant,
                    self.write_constant,
                    Section.WEIGHTS,
                ),
            ):
                with m.Case(table):
                    m.d.comb += write.eq(whole)
                    with m.If(self.index == last):
                        m.d.comb += following.eq(after)
                    with m.Elif(whole):
                        m.d.sync += self.index.eq(self.index + 1)


class WeightFeed(Component):
    """Gives the words of one fold after the other, `rows` words each, as they come. Those of the
    first fold are taken by themselves after reset.

    Members
    -------
    i_words : of weights
    start : the next fold's words are wanted, from this cycle on
    ready : those that were wanted before have all been given
    w, load : as of `hw.weight_stationary.WeightStationaryArray`
    """

    def __init__(self, config: AcceleratorConfig):
        self._rows, self._latency = config.array.rows, config.weight_latency
        words = weight_layout(config)
        super().__init__(
            {
                "i_words": In(stream.Signature(words)),
                "start": In(1),
                "ready": Out(1),
                "w": Out(words),
                "load": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(self._rows + 1), init=self._rows)
        wanted = Mux(self.start, self._rows, left)
        taken = Signal()
        m.d.comb += [
            self.i_words.ready.eq(wanted != 0),
            taken.eq(self.i_words.valid & self.i_words.ready),
            self.ready.eq(left == 0),
            self.w.as_value().eq(delay(m, self.i_words.payload.as_value(), self._latency, "w")),
            self.load.eq(delay(m, taken, self._latency, "taken", reset_less=False)),
        ]
        m.d.sync += left.eq(wanted - taken)
        return m
