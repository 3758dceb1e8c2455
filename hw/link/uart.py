"""Bytes over one wire each way: 8 data bits, no parity, one stop bit."""

from amaranth import Cat, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

BITS = 10  # of a byte on the wire
MOST_OFF = 0.02  # half a bit in the last of them would be 5 %


def divisor_of(clock_mhz: float, baud: int) -> int:
    """Clock cycles of a bit. ValueError when a bit would last fewer than 4, or be off by more than
    2 %."""
    if baud < 1:
        raise ValueError(f"baud must be at least 1, not {baud}")
    cycles = clock_mhz * 1e6 / baud
    divisor = round(cycles)
    if divisor < 4:
        raise ValueError(
            f"a bit must last at least 4 clock cycles, not {cycles:.2g}; choose a lower baud rate "
            f"than {baud}"
        )
    if abs(divisor / cycles - 1) > MOST_OFF:
        raise ValueError(
            f"baud rate {baud} must divide the clock, {clock_mhz:g} MHz, to 2 %: a bit of "
            f"{cycles:.2f} cycles cannot last {divisor}"
        )
    return divisor


class UartReceiver(Component):
    """Samples each bit in its middle. A byte whose stop bit is not 1 is dropped. Nothing
    can make the other side wait, so a byte that is not taken until the next one comes is lost.

    divisor: clock cycles of a bit.

    Members
    -------
    rx : the wire; it may be of another clock
    o_byte : bytes
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "o_byte": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, wire = Signal(init=1), Signal(init=1)
        m.d.sync += [first.eq(self.rx), wire.eq(first)]
        left, wait = Signal(range(BITS + 1)), Signal(range(self.divisor + self.divisor // 2))
        bits = Signal(BITS - 1)
        with m.If(self.o_byte.ready):
            m.d.sync += self.o_byte.valid.eq(0)
        with m.If(left == 0):
            with m.If(~wire):  # a start bit, whose middle is half a bit away
                m.d.sync += [left.eq(BITS), wait.eq(self.divisor // 2 - 1)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self.divisor - 1), left.eq(left - 1), bits.eq(Cat(bits[1:], wire))]
            with m.If((left == BITS) & wire):  # no start bit but a spike
                m.d.sync += left.eq(0)
            with m.If((left == 1) & wire):
                m.d.sync += [self.o_byte.payload.eq(bits[1:]), self.o_byte.valid.eq(1)]
        return m


class UartTransmitter(Component):
    """divisor: clock cycles of a bit.

    Members
    -------
    i_byte : bytes
    tx : the wire
    """

    def __init__(self, divisor: int):
        self.divisor = divisor
        super().__init__({"i_byte": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left, wait = Signal(range(BITS + 1)), Signal(range(self.divisor))
        bits = Signal(BITS, init=-1)
        m.d.comb += [self.i_byte.ready.eq(left == 0), self.tx.eq(bits[0])]
        with m.If(left == 0):
            with m.If(self.i_byte.valid):
                m.d.sync += [
                    bits.eq(Cat(0, self.i_byte.payload, 1)),
                    left.eq(BITS),
                    wait.eq(self.divisor - 1),
                ]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self.divisor - 1), left.eq(left - 1), bits.eq(Cat(bits[1:], 1))]
        return m
