"""Moves rows of maps between the memory of activations and an external one, before layers run, and
images to where the first layer's rows come from."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import enum, stream
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.wiring import Component, In, Out

from ..formats import Formats
from .axi import COMMAND

MOVES = ("o_read", "i_read", "o_write", "o_written")  # streams to and from the external memory


class Task(enum.Enum):
    """IDLE: nothing is to be done. IMAGE: an image's words go out. The others: of a layer, in this
    order."""

    IDLE = 0
    IMAGE = 1
    STORE = 2
    FETCH = 3
    FETCH_ADDED = 4


class MapMover(Component):
    """Does the transfers of a layer's descriptor one after the other. A word takes
    `config.map_beats` beats, its lowest bits in the first.

    Members
    -------
    load : there is another layer, with the transfers `layer`
    layer : its descriptor
    go : it may start; then its transfers are done
    due : they are not done yet
    free : an image may come
    taken : the image that is there is being worked on
    full : an image is there
    settings : of the program
    i_image : words of an image
    read_address, read_word : of the memory of activations, the word one cycle later
    reads : the address counts
    write, write_address, write_word : of a word there
    o_read, i_read : a stretch to read, and its beats
    o_write, o_written : a stretch to write, and its beats; the next is ready when all is written
    """

    def __init__(self, formats: Formats):
        self._formats, config = formats, formats.config
        self._beats, width = config.map_beats, config.external_width
        word = config.map_width * config.channels
        address = range(config.activation_words)
        super().__init__(
            {
                **{name: In(1) for name in ("load", "go", "free", "taken")},
                **{name: Out(1) for name in ("due", "full", "reads", "write")},
                "layer": In(formats.layer),
                "settings": In(formats.settings),
                "i_image": In(stream.Signature(word)),
                "read_address": Out(address),
                "read_word": In(word),
                "write_address": Out(address),
                "write_word": Out(word),
                "o_read": Out(stream.Signature(COMMAND)),
                "i_read": In(stream.Signature(width, always_ready=True)),
                "o_write": Out(stream.Signature(COMMAND)),
                "o_written": Out(stream.Signature(width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._task, self._asked = Signal(Task), Signal()  # asked: the command has been taken
        self._left, self._place = Signal(32), Signal.like(self.read_address)  # words
        self._fresh = Signal()  # read_word is that of _place
        self._send(m)
        self._receive(m)
        with m.If(self.load):
            m.d.sync += self.due.eq(1)
        with m.If(self.taken):
            m.d.sync += self.full.eq(0)
        with m.Switch(self._task):
            with m.Case(Task.IDLE):
                with m.If(self.free & ~self.full & self.i_image.valid):
                    self._turn_to(m, Task.IMAGE, self.settings.last_image_word + 1, 0)
                with m.Elif(self.due & self.go):
                    self._turn_to(m, Task.STORE, self.layer.store.words, self.layer.store.place)
            with m.Case(Task.IMAGE):
                image = {"at": 0, "beats": self.settings.image_beats}
                with m.If(self._command(m, self.o_write, image)):
                    m.d.sync += [self._task.eq(Task.IDLE), self.full.eq(1)]
            with m.Case(Task.STORE):
                with m.If(self._command(m, self.o_write, self.layer.store)):
                    self._turn_to(m, Task.FETCH, self.layer.fetch.words, self.layer.fetch.place)
            with m.Case(Task.FETCH):
                after = self.layer.fetch_added
                with m.If(self._command(m, self.o_read, self.layer.fetch)):
                    self._turn_to(m, Task.FETCH_ADDED, after.words, after.place)
            with m.Case(Task.FETCH_ADDED):
                with m.If(self._command(m, self.o_read, self.layer.fetch_added)):
                    m.d.sync += [self._task.eq(Task.IDLE), self.due.eq(0)]
        return m

    def _turn_to(self, m: Module, task: Task, words: Value, place: Value) -> None:
        m.d.sync += [
            self._task.eq(task),
            self._asked.eq(0),
            self._left.eq(words),
            self._place.eq(place),
            self._fresh.eq(0),
        ]

    def _command(self, m: Module, port: stream.Interface, stretch: View | dict) -> Value:
        """Give the command, if there are words; whether they have all been moved."""
        any_words = stretch["beats"] != 0
        m.d.comb += [
            port.valid.eq(any_words & ~self._asked),
            port.payload.at.eq(stretch["at"]),
            port.payload.beats.eq(stretch["beats"]),
        ]
        with m.If(port.valid & port.ready):
            m.d.sync += self._asked.eq(1)
        return ~any_words | (self._asked & (self._left == 0) & port.ready)

    def _send(self, m: Module) -> None:
        """Words of an image, or of the memory, as beats."""
        beat, width = Signal(range(self._beats)), len(self.o_written.payload)
        stores, images = self._task == Task.STORE, self._task == Task.IMAGE
        word = Signal(self._beats * width)
        sent, ends = self.o_written.valid & self.o_written.ready, beat == self._beats - 1
        following = Signal.like(self._place)
        m.d.comb += [
            word.eq(Mux(images, self.i_image.payload, self.read_word)),
            self.o_written.payload.eq(word.word_select(beat, width)),
            self.o_written.valid.eq(
                (self._left != 0)
                & ((images & self.i_image.valid) | (stores & self._fresh & self._asked))
            ),
            self.i_image.ready.eq(images & sent & ends),
            following.eq(self._place + (stores & sent & ends)),
            self.reads.eq(stores),
            self.read_address.eq(following),
        ]
        with m.If(stores):
            m.d.sync += [self._fresh.eq(1), self._place.eq(following)]
        with m.If(sent):
            m.d.sync += beat.eq(Mux(ends, 0, beat + 1))
            with m.If(ends):
                m.d.sync += self._left.eq(self._left - 1)

    def _receive(self, m: Module) -> None:
        """Beats as words to the memory."""
        beat, width = Signal(range(self._beats)), len(self.i_read.payload)
        kept = Signal(ArrayLayout(width, self._beats))
        before = (kept[index] for index in range(self._beats - 1))
        m.d.comb += [
            self.write.eq(self.i_read.valid & (beat == self._beats - 1)),
            self.write_address.eq(self._place),
            self.write_word.eq(Cat(*before, self.i_read.payload)),
        ]
        with m.If(self.i_read.valid):
            m.d.sync += [
                kept[beat].eq(self.i_read.payload),
                beat.eq(Mux(self.write, 0, beat + 1)),
            ]
        with m.If(self.write):
            m.d.sync += [self._place.eq(self._place + 1), self._left.eq(self._left - 1)]
