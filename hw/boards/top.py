"""What stands on a board: the accelerator between the pins of its serial port."""

from amaranth import Elaboratable, Module
from amaranth.lib import io

from ..link.device import SerialAccelerator
from .clocks import Clock, add_clock

TOP = "adderforge_board"


class OnBoard(Elaboratable):
    """The accelerator on the board's serial port; its first LED shows that an image is in work.
    clock: None for the board's oscillator itself."""

    def __init__(self, device: SerialAccelerator, clock: Clock | None = None):
        self._device, self._clock = device, clock

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._clock:
            add_clock(m, platform, self._clock)
        m.submodules.device = device = self._device
        uart, led = platform.request("uart", 0, dir="-"), platform.request("led", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.submodules.led = light = io.Buffer("o", led)
        m.d.comb += [device.rx.eq(rx.i), tx.o.eq(device.tx), light.o.eq(device.busy)]
        return m
