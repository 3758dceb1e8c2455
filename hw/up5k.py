"""What an iCE40 UP5K draws, from currents that were measured on one.

tinyVision.ai measured the core's rail, 1.219 V, of a UP5K on Lattice's breakout board with a
Joulescope JS110: github.com/tinyvision-ai-inc/ice40_power, README, and for what was in it its
power_test/rgb_blink.v. Three figures follow, `benchmarks/up5k_energy.py` shows how:

A counter that grows by 196 flip-flops, which all but never change, gives the energy of a clocked
flip-flop. A multiplier of two counters, made of lookup tables, gives, divided by the transitions of
routed nets that a simulation of it with gate delays sees, the energy of such a transition, which is
so that of the cell behind it, too. What is left of a small counter, at several rates, is what the
clock's network and the device at rest draw, and the PLL if it makes the clock.

Memories were not measured. A block's access is taken to cost what a cache of its size does
(`hw.memory`, 45 nm), scaled from 0.9 V to the core's voltage by its square. Pins, their banks, and
what is beside the FPGA on a board are in none of it.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from .activity import Activity
from .ice40_cells import BEHIND_CARRY, CARRY, LUT
from .memory import sized_pj_per_bit
from .netlist import Netlist

SOURCE = "currents measured on a UP5K by tinyVision.ai (ice40_power)"
VOLTS = 1.219
BLANK_UA = 85.6
CLOCK_MHZ = 12.0  # of those that follow
COUNTER_UA, COUNTER_BITS = 613.5, 28
WIDE_COUNTER_UA, WIDE_COUNTER_BITS = 641.3, 224
OSCILLATOR_UA, PRODUCT_UA = 645.0, 996.0  # a counter, and the same with the product of two
PLL_UA = {16.0: 1419 + 138.6, 32.0: 2029 + 138.9, 48.0: 2573 + 103.6}  # both rails, by MHz
PLL_COUNTER_BITS = 24
PRODUCT_TRANSITIONS, PRODUCT_FLIP_FLOPS = 56.3, 16  # a cycle, beyond the counter's
COUNTER_TRANSITIONS = 2.0  # of any: the sum of 1 / 2^bit

_MEASURED_AT_V = 0.9  # of `hw.memory`'s figures
_PORT = 16  # bits that a block's access takes or gives at most
_RAM_BITS, _RAM_WORDS, _MOST_WORDS = 2**12, 2**8, 2**11
_SPRAM_BITS, _SPRAM_WORDS = 2**18, 2**14
_IN_CHAIN = ((CARRY, "CI"), (BEHIND_CARRY, "I3"))  # pins that a carry reaches without routing


def _pj(microamperes: float) -> float:
    """Of a cycle at CLOCK_MHZ."""
    return microamperes * VOLTS / CLOCK_MHZ


CLOCKED_PJ = _pj(WIDE_COUNTER_UA - COUNTER_UA) / (WIDE_COUNTER_BITS - COUNTER_BITS)
TRANSITION_PJ = (
    _pj(PRODUCT_UA - OSCILLATOR_UA) - PRODUCT_FLIP_FLOPS * CLOCKED_PJ
) / PRODUCT_TRANSITIONS


def _counter_pj(bits: int) -> float:
    return bits * CLOCKED_PJ + COUNTER_TRANSITIONS * TRANSITION_PJ


def base_mw(clock_mhz: float, pll: bool) -> float:
    """What the device draws whatever is in it: at rest, and for the clock. pll: it makes the clock;
    interpolated, or the line beyond what was measured."""
    if pll:
        slope, rest = np.polyfit(list(PLL_UA), list(PLL_UA.values()), 1)
        at_rate = (rest + slope * clock_mhz) * VOLTS
        return float(at_rate - clock_mhz * _counter_pj(PLL_COUNTER_BITS)) * 1e-3
    cycle_pj = _pj(COUNTER_UA - BLANK_UA) - _counter_pj(COUNTER_BITS)
    return (BLANK_UA * VOLTS + cycle_pj * clock_mhz) * 1e-3


def access_pj(words: int, width: int, spram: bool) -> float:
    """Of a read or a write of a word of `width` bits. spram: of single-port RAM. A block RAM has
    fewer bits in a word the more words it has; where there are more than it can have, all blocks
    are read."""
    if spram:
        blocks, bits = ceil(words / _SPRAM_WORDS) * ceil(width / _PORT), _SPRAM_BITS
    else:
        deep = min(_MOST_WORDS, max(_RAM_WORDS, 2 ** (words - 1).bit_length()))
        blocks, bits = ceil(words / deep) * ceil(width * deep / _RAM_BITS), _RAM_BITS
    return blocks * _PORT * sized_pj_per_bit(bits) * (VOLTS / _MEASURED_AT_V) ** 2


@dataclass(frozen=True, kw_only=True)
class LogicEnergy:
    """pJ of a cycle: of routed nets' transitions, and of the flip-flops' clock."""

    transitions: float
    clock: float

    @property
    def pj(self) -> float:
        return self.transitions + self.clock


def logic_energy(netlist: Netlist, activity: Activity) -> LogicEnergy:
    """Of a netlist of `hw.ice40_cells`; what its inputs' transitions cost is in it."""
    transitions = activity.changes.sum(axis=1)[_routed(netlist)].sum() / activity.cycles
    flip_flops = sum(len(some.names) for some in netlist.flip_flops())
    return LogicEnergy(
        transitions=float(transitions) * TRANSITION_PJ, clock=flip_flops * CLOCKED_PJ
    )


def _routed(netlist: Netlist) -> np.ndarray:
    """(nets,), whether they leave the cell that drives them, other than for the next carry. A
    flip-flop takes its D from the lookup table of its own cell."""
    routed, of_tables = np.zeros((2, netlist.net_count), dtype=bool)
    for nets in netlist.outputs.values():
        routed[nets] = True
    for kind, some in netlist.instances.items():
        if kind.startswith(LUT):
            of_tables[some.nets["O"]] = True
    for kind, some in netlist.instances.items():
        for pin in some.cell.inputs:
            nets = some.nets[pin.name]
            if pin.name == "D":
                routed[nets[~of_tables[nets]]] = True
            elif (kind.split()[-1], pin.name) not in _IN_CHAIN:
                routed[nets] = True
    return routed
