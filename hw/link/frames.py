"""Frames in hardware, see `hw.link.protocol`: from bytes and to bytes."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, stream
from amaranth.lib.crc.catalog import CRC16_XMODEM
from amaranth.lib.wiring import Component, In, Out

from .protocol import (
    BAD_CRC,
    BAD_KIND,
    BAD_LENGTH,
    CLASSIFY,
    DESCRIBE,
    GAP,
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


class FrameReceiver(Component):
    """Takes frames of kind DESCRIBE, without payload, and CLASSIFY, with `payload` bytes.

    divisor: clock cycles of a bit.

    Members
    -------
    i_byte : from the line; taken at once
    byte_valid : `i_byte` is the next byte of CLASSIFY's payload
    done : a frame is whole, and its checksum right
    refused : a frame is not, for `reason`
    number, kind, reason : of that frame
    """

    def __init__(self, divisor: int, payload: int):
        self._silence, self._payload = GAP * BITS * divisor, payload
        super().__init__(
            {
                "i_byte": In(stream.Signature(8)),
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
        part, left = Signal(Part), Signal(range(max(self._payload, 4) + 1))
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
        classifies = (kind == CLASSIFY) & (length == self._payload)
        with m.If(describes):
            m.d.sync += [part.eq(Part.CRC), left.eq(2)]
        with m.Elif(classifies):
            m.d.sync += [part.eq(Part.PAYLOAD), left.eq(self._payload)]
        with m.Else():
            m.d.sync += [part.eq(Part.SKIP), self.reason.eq(BAD_LENGTH)]
            with m.If((kind != DESCRIBE) & (kind != CLASSIFY)):
                m.d.sync += self.reason.eq(BAD_KIND)

    def _silent(self, m: Module, part: Signal) -> Signal:
        """No byte has come for long, within a frame."""
        silent, waited = Signal(), Signal(range(self._silence))
        m.d.comb += silent.eq(waited == self._silence - 1)
        m.d.sync += waited.eq(waited + 1)
        with m.If(self.i_byte.valid | (part == Part.SYNC) | silent):
            m.d.sync += waited.eq(0)
        return silent


class FrameSender(Component):
    """Sends frames of up to `payload` bytes.

    Members
    -------
    start : send a frame; nothing is being sent
    number, kind, length, payload : of it, taken with `start`
    busy : it is being sent
    o_byte : to the line
    """

    def __init__(self, payload: int):
        super().__init__(
            {
                "start": In(1),
                "number": In(8),
                "kind": In(8),
                "length": In(16),
                "payload": In(8 * payload),
                "busy": Out(1),
                "o_byte": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC16_XMODEM().create()
        rest = Signal(8 + HEAD_BITS + len(self.payload))
        left = Signal(17)  # bytes up to the CRC
        ends = Signal(2)  # bytes of the CRC
        given = Signal()
        m.d.comb += [
            self.busy.eq((left != 0) | (ends != 0)),
            self.o_byte.valid.eq(self.busy),
            self.o_byte.payload.eq(rest[:8]),
            given.eq(self.o_byte.valid & self.o_byte.ready),
            crc.start.eq(self.start),
            crc.data.eq(rest[:8]),
        ]
        synced = Signal()  # the first byte is not of the CRC
        with m.If(given):
            m.d.sync += [rest.eq(rest[8:]), synced.eq(1)]
            m.d.comb += crc.valid.eq(synced & (left != 0))
            with m.If(left != 0):
                m.d.sync += left.eq(left - 1)
            with m.Else():
                m.d.sync += ends.eq(ends - 1)
        with m.If((left == 0) & (ends != 0)):
            m.d.comb += self.o_byte.payload.eq(Mux(ends == 2, crc.crc[8:], crc.crc[:8]))
        with m.If(self.start):
            m.d.sync += [
                rest.eq(Cat(Const(SYNC, 8), self.number, self.kind, self.length, self.payload)),
                left.eq(self.length + 1 + HEAD_BITS // 8),
                ends.eq(2),
                synced.eq(0),
            ]
        return m
