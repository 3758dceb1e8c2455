"""From packets to images: whatever comes, the accelerator gets whole images."""

from amaranth import Module, Signal
from amaranth.lib import enum, stream
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out


def packet_layout(width: int) -> StructLayout:
    """A word, and whether it is its packet's last."""
    return StructLayout({"word": width, "last": 1})


class Place(enum.Enum):
    """PASS: within a packet as it should be, or before one. FILL: the packet has ended too early,
    and zeros take the place of the words that it lacks. SKIP: words too many."""

    PASS = 0
    FILL = 1
    SKIP = 2


class Packets(Component):
    """Passes packets of `words` words, or fewer, on as images. A packet that ends early is filled
    up with zeros, and one that does not end with its last word is skipped until it does, so that
    each gives one image.

    Members
    -------
    i_packet : words of `width` bits, each with `last`
    o_image : words
    last_word : of an image, where it is not `words` of them
    forget : the image that has begun is not wanted; what is left of its packet is skipped
    cut : with `forget`, or between images: nothing is left of the packet, nor will it come
    between : no packet has begun
    taken : an image's last word is taken by the next component in this cycle
    early, late : its packet ended too early, too late; meaningful with `taken`
    """

    def __init__(self, width: int, words: int):
        self.words = words
        super().__init__(
            {
                "i_packet": In(stream.Signature(packet_layout(width))),
                "o_image": Out(stream.Signature(width)),
                "last_word": In(range(words), init=words - 1),
                "forget": In(1),
                "cut": In(1),
                "between": Out(1),
                "taken": Out(1),
                "early": Out(1),
                "late": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, place = Signal(range(self.words)), Signal(Place)
        given, ends = Signal(), Signal()
        packet, image = self.i_packet, self.o_image
        passes, fills, skips = (place == kind for kind in Place)
        m.d.comb += [
            image.valid.eq(fills | (passes & packet.valid & ~self.forget)),
            image.payload.eq(packet.payload.word & passes.replicate(len(image.payload))),
            packet.ready.eq(skips | (passes & image.ready & ~self.forget)),
            given.eq(image.valid & image.ready),
            ends.eq(packet.valid & packet.payload.last),
            self.taken.eq(given & (word == self.last_word)),
            self.early.eq(fills),
            self.late.eq(passes & ~packet.payload.last),
            self.between.eq(passes & (word == 0)),
        ]
        with m.If(given):
            m.d.sync += word.eq(word + 1)
        with m.If(self.taken):
            m.d.sync += word.eq(0)
            with m.If(fills):
                m.d.sync += place.eq(Place.PASS)
            with m.Elif(~ends):
                m.d.sync += place.eq(Place.SKIP)
        with m.Elif(passes & given & ends):
            m.d.sync += place.eq(Place.FILL)
        with m.If(skips & ends):
            m.d.sync += place.eq(Place.PASS)
        with m.If(self.forget):
            m.d.sync += word.eq(0)
            with m.If(fills):
                m.d.sync += place.eq(Place.PASS)
            with m.Elif(passes & (word != 0)):
                m.d.sync += place.eq(Place.SKIP)
        with m.If(self.cut):
            m.d.sync += place.eq(Place.PASS)
        return m
