"""The built-in self-test: stored images, run as if they had come from outside."""

from dataclasses import dataclass

import numpy as np
from amaranth import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from ..program import Program
from .packets import packet_layout


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """codes: (images, channels, rows, columns), as the network takes them. classes: what the
    reference answers."""

    codes: np.ndarray
    classes: np.ndarray


class SelfTest(Component):
    """Gives the packets of stored images, and compares the answers with stored classes. Without
    images it ends at once, and every class was right.

    Members
    -------
    start : ask for the test
    go : no packet has begun, and every one before has been answered
    waits : asked for, and waiting for `go`
    runs : packets and answers are the test's own
    o_packet : words
    answered : `answer` is the class of the next image
    answer : that class
    ends : that was the last one; what is left of the packets does not come
    tested : it has ended
    passed : and every class was right
    """

    def __init__(self, program: Program, images: StoredImages, width: int, class_width: int):
        self._width = width
        self._words = [_packed(word, program) for word in _words(program, images.codes)]
        self._per_image = program.image.words
        self._classes = [int(one) for one in images.classes]
        super().__init__(
            {
                "start": In(1),
                "go": In(1),
                "waits": Out(1),
                "runs": Out(1),
                "o_packet": Out(stream.Signature(packet_layout(width))),
                "answered": In(1),
                "answer": In(class_width),
                "ends": Out(1),
                "tested": Out(1),
                "passed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.start & ~self.runs):
            m.d.sync += [self.waits.eq(1), self.tested.eq(0), self.passed.eq(0)]
        with m.Elif(self.waits & self.go):
            m.d.sync += self.waits.eq(0)
            if self._classes:
                m.d.sync += self.runs.eq(1)
            else:
                m.d.sync += [self.tested.eq(1), self.passed.eq(1)]
        if self._classes:
            self._give(m)
            self._compare(m)
        return m

    def _give(self, m: Module) -> None:
        """One word after the other; the memory is read a cycle ahead."""
        words = Memory(shape=self._width, depth=len(self._words), init=self._words)
        m.submodules.words = words
        port = words.read_port()
        at, following = (Signal(range(len(self._words) + 1), name=n) for n in ("at", "following"))
        in_image = Signal(range(self._per_image))
        packet = self.o_packet
        m.d.comb += [
            following.eq(at + (packet.valid & packet.ready)),
            port.addr.eq(following),
            packet.valid.eq(self.runs & (at != len(self._words))),
            packet.payload.word.eq(port.data),
            packet.payload.last.eq(in_image == self._per_image - 1),
        ]
        m.d.sync += at.eq(Mux(self.runs, following, 0))
        with m.If(~self.runs):
            m.d.sync += in_image.eq(0)
        with m.Elif(packet.valid & packet.ready):
            m.d.sync += in_image.eq(Mux(packet.payload.last, 0, in_image + 1))

    def _compare(self, m: Module) -> None:
        number, right = Signal(range(len(self._classes))), Signal(init=1)
        classes = Memory(shape=len(self.answer), depth=len(self._classes), init=self._classes)
        m.submodules.classes = classes
        expected = classes.read_port(domain="comb")
        answered = self.runs & self.answered
        m.d.comb += [
            expected.addr.eq(number),
            self.ends.eq(answered & (number == len(self._classes) - 1)),
        ]
        good = right & (self.answer == expected.data)
        with m.If(answered):
            m.d.sync += [number.eq(number + 1), right.eq(good)]
        with m.If(self.ends):
            m.d.sync += [
                number.eq(0),
                right.eq(1),
                self.runs.eq(0),
                self.tested.eq(1),
                self.passed.eq(good),
            ]


def _words(program: Program, codes: np.ndarray) -> np.ndarray:
    none = np.empty((0, program.config.channels), np.int64)
    return np.concatenate([none, *(program.image_words(image) for image in codes)])


def _packed(word: np.ndarray, program: Program) -> int:
    width = program.config.map_width
    return sum(int(code) << (width * channel) for channel, code in enumerate(word))
