"""Frames in hardware, see `hw.link.protocol`: from bytes and to bytes."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, stream
from amaranth.lib.crc.catalog import CRC16_XMODEM
from amaranth.lib.wiring import Component, In, Out

from .protocol import (
    BAD_CRC,
    BAD_KIND,
    BAD_LENGTH,
    CELL,
    CHUNK,
    CLASSIFY,
    DESCRIBE,
    GAP,
    LOAD,
    NOT_LOADED,
    SILENCE,
    SYNC,
)
from .uart import BITS

HEAD_BITS = 32  # number, kind, length


class Part(enum.Enum):
    """Of a frame, that is due next. SKIP: a frame is not understood, and passed over until there is
    silence. CHECK: all is there."""

    SYNC = 0
    HEAD = 1
    PAYLOAD = 2
    CRC = 3
    CHECK = 4
    SKIP = 5


class Sent(enum.Enum):
    """Of a frame, that is sent now."""

    NOTHING = 0
    SYNC = 1
    HEAD = 2
    PAYLOAD = 3
    CRC_HIGH = 4
    CRC_LOW = 5


class FrameReceiver(Component):
    """Takes frames of kind DESCRIBE, without payload, and CLASSIFY, with `payload` bytes.

    divisor: clock cycles of a bit. loads: also takes frames of kind LOAD.

    Members
    -------
    i_byte : from the line; taken at once
    loaded : CLASSIFY is taken
    starts : the next byte is the first of a payload
    byte_valid : `i_byte` is the next byte of it
    done : a frame is whole, and its checksum right
    refused : a frame is not, for `reason`
    number, kind, reason : of that frame
    """

    def __init__(self, divisor: int, payload: int, loads: bool = False):
        self._silence, self._payload = GAP * BITS * divisor, payload
        self._chunk = 2 + CELL * CHUNK if loads else 0
        super().__init__(
            {
                "i_byte": In(stream.Signature(8)),
                "loaded": In(1, init=1),
                "starts": Out(1),
                "byte_valid": Out(1),
                "done": Out(1),
                "refused": Out(1),
                "number": Out(8),
                "kind": Out(8),
                "reason": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC16_XMODEM().create()
        part, left = Signal(Part), Signal(range(max(self._payload, self._chunk, 4) + 1))
        head, byte = Signal(HEAD_BITS), self.i_byte.valid
        length = Signal(16)
        silent = self._silent(m, part)
        m.d.comb += [
            self.i_byte.ready.eq(1),
            crc.data.eq(self.i_byte.payload),
            crc.start.eq(part == Part.SYNC),
            crc.valid.eq(byte & (part != Part.SYNC)),
            self.byte_valid.eq(byte & (part == Part.PAYLOAD)),
            Cat(self.number, self.kind, length).eq(head),
        ]
        with m.If(byte & (left != 0)):
            m.d.sync += left.eq(left - 1)
        last = byte & (left == 1)
        with m.Switch(part):
            with m.Case(Part.SYNC):
                with m.If(byte & (self.i_byte.payload == SYNC)):
                    m.d.sync += [part.eq(Part.HEAD), left.eq(4)]
            with m.Case(Part.HEAD):
                with m.If(byte):
                    m.d.sync += head.eq(Cat(head[8:], self.i_byte.payload))
                with m.If(last):
                    self._look(m, part, left, Cat(head[8:], self.i_byte.payload))
            with m.Case(Part.PAYLOAD):
                with m.If(last):
                    m.d.sync += [part.eq(Part.CRC), left.eq(2)]
            with m.Case(Part.CRC):
                with m.If(last):
                    m.d.sync += part.eq(Part.CHECK)
            with m.Case(Part.CHECK):
                m.d.sync += [part.eq(Part.SYNC), self.reason.eq(BAD_CRC)]
                m.d.sync += [self.done.eq(crc.match_detected), self.refused.eq(~crc.match_detected)]
        with m.If(self.done | self.refused):
            m.d.sync += [self.done.eq(0), self.refused.eq(0)]
        with m.If(silent):
            m.d.sync += [part.eq(Part.SYNC), self.refused.eq(1)]
            with m.If(part != Part.SKIP):
                m.d.sync += self.reason.eq(SILENCE)
        return m

    def _look(self, m: Module, part: Signal, left: Signal, head: Value) -> None:
        """What follows this head."""
        kind, length = head[8:16], head[16:]
        describes = (kind == DESCRIBE) & (length == 0)
        sizes = {CLASSIFY: self._payload} | ({LOAD: self._chunk} if self._chunk else {})
        takes = Cat((kind == of) & (length == size) for of, size in sizes.items()).any()
        known = Cat(kind == of for of in (DESCRIBE, *sizes)).any()
        with m.If(describes):
            m.d.sync += [part.eq(Part.CRC), left.eq(2)]
        with m.Elif((kind == CLASSIFY) & ~self.loaded):
            m.d.sync += [part.eq(Part.SKIP), self.reason.eq(NOT_LOADED)]
        with m.Elif(takes):
            m.d.comb += self.starts.eq(1)
            m.d.sync += [part.eq(Part.PAYLOAD), left.eq(length)]
        with m.Else():
            m.d.sync += [part.eq(Part.SKIP), self.reason.eq(Mux(known, BAD_LENGTH, BAD_KIND))]

    def _silent(self, m: Module, part: Signal) -> Signal:
        """No byte has come for long, within a frame."""
        silent, waited = Signal(), Signal(range(self._silence))
        m.d.comb += silent.eq(waited == self._silence - 1)
        m.d.sync += waited.eq(waited + 1)
        with m.If(self.i_byte.valid | (part == Part.SYNC) | silent):
            m.d.sync += waited.eq(0)
        return silent


class FrameSender(Component):
    """Sends frames of up to `payload` bytes, which it asks for one by one.

    Members
    -------
    start : send a frame; nothing is being sent
    number, kind, length : of it, taken with `start`
    busy : it is being sent
    sends : its kind
    place : of the byte of the payload that is wanted, if one is
    byte : that byte, in the same cycle
    o_byte : to the line
    """

    def __init__(self, payload: int):
        super().__init__(
            {
                "start": In(1),
                "number": In(8),
                "kind": In(8),
                "length": In(range(payload + 1)),
                "busy": Out(1),
                "sends": Out(8),
                "place": Out(range(payload)),
                "byte": In(8),
                "o_byte": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC16_XMODEM().create()
        part, left, given = Signal(Sent), Signal.like(self.length), Signal()
        number, length = Signal(8), Signal.like(self.length)
        at_head, sums = Signal(2), Signal()
        checked = Signal(8)  # a byte of which `sums` says that the checksum takes it now
        m.d.sync += [
            checked.eq(self.o_byte.payload),
            sums.eq(given & ((part == Sent.HEAD) | (part == Sent.PAYLOAD))),
        ]
        m.d.comb += [
            self.busy.eq(part != Sent.NOTHING),
            self.o_byte.valid.eq(self.busy & ~sums),
            given.eq(self.o_byte.valid & self.o_byte.ready),
            self.place.eq(length - left),
            crc.start.eq(self.start),
            crc.data.eq(checked),
            crc.valid.eq(sums),
        ]
        after_head = Mux(length == 0, Sent.CRC_HIGH.value, Sent.PAYLOAD.value)
        with m.Switch(part):
            with m.Case(Sent.SYNC):
                m.d.comb += self.o_byte.payload.eq(SYNC)
                self._go(m, part, given, Sent.HEAD)
            with m.Case(Sent.HEAD):
                head = Array([number, self.sends, length, Const(0, 8)])
                m.d.comb += self.o_byte.payload.eq(head[at_head])
                m.d.sync += at_head.eq(at_head + given)
                self._go(m, part, given & (at_head == 3), after_head)
            with m.Case(Sent.PAYLOAD):
                m.d.comb += self.o_byte.payload.eq(self.byte)
                m.d.sync += left.eq(left - given)
                self._go(m, part, given & (left == 1), Sent.CRC_HIGH)
            with m.Case(Sent.CRC_HIGH):
                m.d.comb += self.o_byte.payload.eq(crc.crc[8:])
                self._go(m, part, given, Sent.CRC_LOW)
            with m.Case(Sent.CRC_LOW):
                m.d.comb += self.o_byte.payload.eq(crc.crc[:8])
                self._go(m, part, given, Sent.NOTHING)
        with m.If(self.start):
            m.d.sync += [
                part.eq(Sent.SYNC),
                number.eq(self.number),
                self.sends.eq(self.kind),
                length.eq(self.length),
                left.eq(self.length),
            ]
        return m

    def _go(self, m: Module, part: Signal, condition: Value, following: Value) -> None:
        with m.If(condition):
            m.d.sync += part.eq(following)
