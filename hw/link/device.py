"""An accelerator that answers over a serial line."""

from collections.abc import Callable

from amaranth import Array, Cat, Const, Module, ResetInserter, Signal, Value
from amaranth.lib.wiring import Component, In, Out, connect

from ..accelerator import Accelerator
from ..config import ArrayConfig
from ..pipeline import delay
from ..program import Program
from ..weight_pe import WeightStationaryPE
from .description import description
from .frames import FrameReceiver, FrameSender
from .protocol import ANSWER, BAD_ORDER, CLASSIFY, DESCRIBE, LOAD, REFUSAL, RESULT
from .uart import UartReceiver, UartTransmitter
from .weight_cells import CELL_BITS
from .weight_store import WeightStore


class SerialAccelerator(Component):
    """Answers the frames of `hw.link.protocol`, one after the other. The words of an image go to
    the accelerator as they come, but for the last, which waits until the checksum was right; if it
    is wrong, the accelerator is reset. Bytes that come while an answer is due are lost.

    divisor: clock cycles of a bit. store: takes the weights, which come over the line, too; until
    then the accelerator is in reset. pe: as of `hw.accelerator.Accelerator`.

    Members
    -------
    rx, tx : the line
    busy : an image is being worked on
    """

    def __init__(
        self,
        program: Program,
        divisor: int,
        store: WeightStore | None = None,
        pe: Callable[[ArrayConfig], Component] = WeightStationaryPE,
    ):
        self._program, self._divisor = program, divisor
        self._store = store
        self._accelerator = Accelerator(program, pe, self._read_weights if store else None)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        loads = self._store is not None
        told = description(self._program, loads)
        m.submodules.uart_rx = uart_rx = UartReceiver(self._divisor)
        m.submodules.uart_tx = uart_tx = UartTransmitter(self._divisor)
        payload = told.image_words * told.word_bytes
        m.submodules.frames_in = asked = FrameReceiver(self._divisor, payload, loads)
        text = told.encode()
        m.submodules.frames_out = answer = FrameSender(len(text))
        connect(m, answer.o_byte, uart_tx.i_byte)
        fails, whole, image = Signal(), Signal(), self._accelerator.o_class
        m.d.sync += answer.start.eq(0)
        stages = self._program.config.stages
        resets = delay(m, fails | ~asked.loaded, stages, "resets", reset_less=False)
        m.submodules.accelerator = ResetInserter(resets)(self._accelerator)
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
        image_class, reason = Signal.like(image.payload), Signal(8)
        with m.If(whole):
            m.d.sync += self.busy.eq(1)
        with m.If(image.valid & image.ready):
            m.d.sync += [self.busy.eq(0), image_class.eq(image.payload)]
            self._answer(m, answer, CLASSIFY + ANSWER, RESULT.size)
        with m.Elif(asked.done & (asked.kind == DESCRIBE)):
            self._answer(m, answer, DESCRIBE + ANSWER, len(text))
        with m.Elif(asked.refused):
            m.d.sync += reason.eq(asked.reason)
            self._answer(m, answer, REFUSAL, 1)
        if loads:
            self._take_weights(m, asked, answer, reason)
        result = Cat(Cat(image_class, Const(0, 16))[:16], cycles)
        self._say(m, answer, text, result, reason)
        return m

    def _give_words(
        self, m: Module, asked: FrameReceiver, word_bytes: int, whole: Signal
    ) -> Signal:
        """Returns the cycles since the cycle in which the last word was taken."""
        count, image = self._program.image.words, self._accelerator.i_image
        word, full, checked = Signal(8 * word_bytes), Signal(), Signal()
        at_byte, at_word = Signal(range(word_bytes)), Signal(range(count))
        cycles, last = Signal(32), Signal(init=count == 1)  # last: at the last word
        m.d.comb += [
            image.valid.eq(full & (~last | checked)),
            image.payload.as_value().eq(word),
        ]
        with m.If(self.busy & ~self._accelerator.o_class.valid):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(asked.byte_valid & (asked.kind == CLASSIFY)):
            m.d.sync += [word.eq(Cat(word[8:], asked.i_byte.payload)), at_byte.eq(at_byte + 1)]
            with m.If(at_byte == word_bytes - 1):
                m.d.sync += [at_byte.eq(0), full.eq(1)]
        with m.If(whole):
            m.d.sync += checked.eq(1)
        with m.If(image.valid & image.ready):
            m.d.sync += [full.eq(0), at_word.eq(at_word + 1), last.eq(at_word == count - 2)]
            with m.If(last):
                m.d.sync += [checked.eq(0), at_word.eq(0), last.eq(count == 1), cycles.eq(1)]
        with m.If(asked.refused):
            m.d.sync += [at_byte.eq(0), at_word.eq(0), last.eq(count == 1), full.eq(0)]
        return cycles

    def _read_weights(self, m: Module, place: Signal, enable: Value) -> Value:
        """As of `hw.memories.WeightMemory`, but read in every cycle: writes share the port."""
        array = self._program.config.array
        bits = array.width * array.lanes * array.cols
        m.d.comb += self._store.address.eq(place)
        return self._store.word[:bits]

    def _take_weights(
        self, m: Module, asked: FrameReceiver, answer: FrameSender, reason: Signal
    ) -> None:
        """The chunks of LOAD: a number, and cells."""
        m.submodules.store = store = self._store
        cell, at_byte, numbered = Signal(CELL_BITS), Signal(), Signal()
        byte = asked.byte_valid & (asked.kind == LOAD)
        both = Signal()  # bytes of a cell are there
        m.d.sync += both.eq(byte & at_byte)
        with m.If(asked.starts):
            m.d.sync += [at_byte.eq(0), numbered.eq(0)]
        with m.If(byte):
            m.d.sync += [cell.eq(Cat(cell[8:], asked.i_byte.payload)), at_byte.eq(~at_byte)]
        with m.If(both & ~numbered):
            m.d.sync += [numbered.eq(1), store.number.eq(cell)]
        ends = asked.done & (asked.kind == LOAD)
        m.d.sync += store.starts.eq(both & ~numbered)
        m.d.comb += [
            store.cell.eq(cell),
            store.write.eq(both & numbered),
            store.ends.eq(ends),
            asked.loaded.eq(store.loaded),
        ]
        with m.If(ends & store.wanted):
            self._answer(m, answer, LOAD + ANSWER, 0)
        with m.Elif(ends):
            m.d.sync += reason.eq(BAD_ORDER)
            self._answer(m, answer, REFUSAL, 1)

    def _answer(self, m: Module, answer: FrameSender, kind: int, length: int) -> None:
        m.d.sync += [answer.start.eq(1), answer.kind.eq(kind), answer.length.eq(length)]

    def _say(
        self, m: Module, answer: FrameSender, text: bytes, result: Value, reason: Value
    ) -> None:
        """The payload's bytes."""
        with m.Switch(answer.sends):
            with m.Case(CLASSIFY + ANSWER):
                m.d.comb += answer.byte.eq(result.word_select(answer.place, 8))
            with m.Case(DESCRIBE + ANSWER):
                m.d.comb += answer.byte.eq(Array(map(Const, text))[answer.place])
            with m.Default():
                m.d.comb += answer.byte.eq(reason)
