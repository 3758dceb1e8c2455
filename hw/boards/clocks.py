"""Clocks of another rate than the board's oscillator, from the device's own PLL."""

import math
from dataclasses import dataclass

from amaranth import ClockDomain, ClockSignal, Const, Instance, Module, Mux, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

MOST_OFF = 0.02  # of the rate that was asked for
WAIT = 1024  # cycles after the lock; memories of iCE40 are not there for the first 3 µs


@dataclass(frozen=True, kw_only=True)
class Clock:
    """target: the fabric. mhz: the rate. settings: of the PLL, its parameters by name."""

    target: str
    mhz: float
    settings: dict[str, object]


def find_clock(target: str, board_mhz: float, mhz: float) -> Clock:
    """The clock that comes nearest. ValueError when the fabric has no PLL that is known here, or
    it makes no rate within 2 %."""
    if not 0 < mhz < math.inf:
        raise ValueError(f"clock_mhz must be positive, not {mhz}")
    if target not in _SEARCHES:
        raise ValueError(
            f"clock_mhz must be the board's own, {board_mhz:g}, on {target}, not {mhz:g}"
        )
    found = [(abs(rate / mhz - 1), rate, s) for rate, s in _SEARCHES[target](board_mhz)]
    off, rate, settings = min(found, key=lambda one: one[0])
    if off > MOST_OFF:
        raise ValueError(
            f"clock_mhz must be a rate that the PLL makes of {board_mhz:g} MHz, to 2 %, not "
            f"{mhz:g}; {rate:g} comes nearest"
        )
    return Clock(target=target, mhz=rate, settings=settings)


def _ice40(board_mhz: float):
    """Lattice FPGA-TN-02052: the VCO runs at 533 to 1066 MHz, and gives 16 MHz at least."""
    for multiplier in range(1, 129):
        vco = board_mhz * multiplier
        if 533 <= vco <= 1066:
            for power in range(1, 7):
                if vco / 2**power >= 16:
                    yield vco / 2**power, {"DIVR": 0, "DIVF": multiplier - 1, "DIVQ": power}


def _ecp5(board_mhz: float):
    """Lattice FPGA-TN-02200: the VCO runs at 400 to 800 MHz, the comparison above 10 MHz."""
    for divider in range(1, int(board_mhz // 10) + 1):
        for multiplier in range(1, 81):
            rate = board_mhz / divider * multiplier
            post = round(600 / rate)
            if 1 <= post <= 128 and 400 <= rate * post <= 800:
                yield rate, {"CLKI_DIV": divider, "CLKFB_DIV": multiplier, "CLKOP_DIV": post}


def _xilinx7(board_mhz: float):
    """Xilinx DS181, speed grade -1L: the VCO runs at 600 to 1200 MHz."""
    for multiplier in range(2, 65):
        vco = board_mhz * multiplier
        if 600 <= vco <= 1200:
            for post in range(1, 129):
                yield (
                    vco / post,
                    {
                        "CLKFBOUT_MULT_F": float(multiplier),
                        "CLKOUT0_DIVIDE_F": float(post),
                        "CLKIN1_PERIOD": 1000 / board_mhz,
                    },
                )


_SEARCHES = {"ice40": _ice40, "ecp5": _ecp5, "xilinx7": _xilinx7}


def add_clock(m: Module, platform: object, clock: Clock) -> None:
    """Domain `sync` of this clock, in reset until the PLL has locked and WAIT cycles went by."""
    pin = platform.request(platform.default_clk, dir="-")
    m.domains.sync = ClockDomain()
    m.domains.counts = ClockDomain(reset_less=True)  # the same clock, while `sync` is in reset
    made, locked, waited = Signal(), Signal(), Signal(range(WAIT))
    settings = {f"p_{name}": value for name, value in clock.settings.items()}
    {"ice40": _add_ice40, "ecp5": _add_ecp5, "xilinx7": _add_xilinx7}[clock.target](
        m, pin, made, locked, settings
    )
    m.d.comb += [ClockSignal("sync").eq(made), ClockSignal("counts").eq(made)]
    m.d.counts += waited.eq(Mux(locked & (waited != WAIT - 1), waited + 1, waited))
    m.submodules.starts = ResetSynchronizer(waited != WAIT - 1, domain="sync")


def _add_ice40(m, pin, made, locked, settings) -> None:
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_FILTER_RANGE=1,  # for comparisons below 17 MHz
        **settings,
        i_PACKAGEPIN=pin.io,
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=made,
        o_LOCK=locked,
    )


def _add_ecp5(m, pin, made, locked, settings) -> None:
    m.submodules.clock_pin = buffer = io.Buffer("i", pin)
    m.submodules.pll = Instance(
        "EHXPLLL",
        p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=settings["p_CLKOP_DIV"] - 1,
        **settings,
        i_CLKI=buffer.i,
        i_CLKFB=made,
        i_RST=Const(0),
        i_STDBY=Const(0),
        o_CLKOP=made,
        o_LOCK=locked,
    )


def _add_xilinx7(m, pin, made, locked, settings) -> None:
    m.submodules.clock_pin = buffer = io.Buffer("i", pin)
    feedback, out = Signal(), Signal()
    m.submodules.pll = Instance(
        "MMCME2_BASE",
        **settings,
        i_CLKIN1=buffer.i,
        i_CLKFBIN=feedback,
        i_RST=Const(0),
        i_PWRDWN=Const(0),
        o_CLKFBOUT=feedback,
        o_CLKOUT0=out,
        o_LOCKED=locked,
    )
    m.submodules.global_clock = Instance("BUFG", i_I=out, o_O=made)
