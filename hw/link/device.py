"""An accelerator that answers over a serial line."""

from collections.abc import Callable

from amaranth import Cat, Const, Module, ResetInserter, Signal
from amaranth.lib.wiring import Component, In, Out, connect

from ..accelerator import Accelerator
from ..config import ArrayConfig
from ..program import Program
from ..weight_stationary import WeightStationaryPE
from .description import description
from .frames import FrameReceiver, FrameSender
from .protocol import ANSWER, CLASSIFY, DESCRIBE, REFUSAL, RESULT
from .uart import UartReceiver, UartTransmitter


class SerialAccelerator(Component):
    """Answers the frames of `hw.link.protocol`, one after the other. The words of an image go to
    the accelerator as they come, but for the last, which waits until the checksum was right; if it
    is wrong, the accelerator is reset. Bytes that come while an answer is due are lost.

    divisor: clock cycles of a bit. pe: as of `hw.accelerator.Accelerator`.

    Members
    -------
    rx, tx : the line
    busy : an image is being worked on
    """

    def __init__(
        self,
        program: Program,
        divisor: int,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
    ):
        self._program, self._divisor = program, divisor
        self._accelerator = Accelerator(program, pe)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        told = description(self._program)
        m.submodules.uart_rx = uart_rx = UartReceiver(self._divisor)
        m.submodules.uart_tx = uart_tx = UartTransmitter(self._divisor)
        payload = told.image_words * told.word_bytes
        m.submodules.frames_in = asked = FrameReceiver(self._divisor, payload)
        text = told.encode()
        m.submodules.frames_out = answer = FrameSender(len(text))
        connect(m, answer.o_byte, uart_tx.i_byte)
        fails, whole, image = Signal(), Signal(), self._accelerator.o_class
        m.submodules.accelerator = ResetInserter(fails)(self._accelerator)
        m.d.comb += [
            uart_rx.rx.eq(self.rx),
            self.tx.eq(uart_tx.tx),
            uart_rx.o_byte.ready.eq(1),
            asked.i_byte.valid.eq(uart_rx.o_byte.valid & ~self.busy & ~answer.busy),
            asked.i_byte.payload.eq(uart_rx.o_byte.payload),
            whole.eq(asked.done & (asked.kind == CLASSIFY)),
            fails.eq(asked.refused),
            answer.number.eq(asked.number),
            image.ready.eq(self.busy),
        ]
        cycles = self._give_words(m, asked, told.word_bytes, whole)
        with m.If(whole):
            m.d.sync += self.busy.eq(1)
        with m.If(image.valid & image.ready):
            m.d.sync += self.busy.eq(0)
            result = Cat(image.payload, Const(0, 16))[:16]
            self._answer(m, answer, CLASSIFY + ANSWER, Cat(result, cycles), RESULT.size)
        with m.Elif(asked.done & (asked.kind == DESCRIBE)):
            constant = Const(int.from_bytes(text, "little"), 8 * len(text))
            self._answer(m, answer, DESCRIBE + ANSWER, constant, len(text))
        with m.Elif(asked.refused):
            self._answer(m, answer, REFUSAL, asked.reason, 1)
        return m

    def _give_words(
        self, m: Module, asked: FrameReceiver, word_bytes: int, whole: Signal
    ) -> Signal:
        """Returns the cycles since the cycle in which the last word was taken."""
        count, image = self._program.image.words, self._accelerator.i_image
        word, full, checked = Signal(8 * word_bytes), Signal(), Signal()
        at_byte, at_word = Signal(range(word_bytes)), Signal(range(count))
        cycles, last = Signal(32), Signal()
        m.d.comb += [
            last.eq(at_word == count - 1),
            image.valid.eq(full & (~last | checked)),
            image.payload.as_value().eq(word),
        ]
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(asked.byte_valid):
            m.d.sync += [word.eq(Cat(word[8:], asked.i_byte.payload)), at_byte.eq(at_byte + 1)]
            with m.If(at_byte == word_bytes - 1):
                m.d.sync += [at_byte.eq(0), full.eq(1)]
        with m.If(whole):
            m.d.sync += checked.eq(1)
        with m.If(image.valid & image.ready):
            m.d.sync += [full.eq(0), at_word.eq(at_word + 1)]
            with m.If(last):
                m.d.sync += [checked.eq(0), at_word.eq(0), cycles.eq(1)]
        with m.If(asked.refused):
            m.d.sync += [at_byte.eq(0), at_word.eq(0), full.eq(0)]
        return cycles

    def _answer(self, m: Module, answer: FrameSender, kind: int, payload, length: int) -> None:
        m.d.comb += [
            answer.start.eq(1),
            answer.kind.eq(kind),
            answer.length.eq(length),
            answer.payload.eq(payload),
        ]
