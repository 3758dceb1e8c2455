"""What operands and sums cost in the memories outside an array, by a stated model.

A mapped array holds none of them, so its energy is without them; that in which a weight-stationary
array adds up folds is part of it, of flip-flops. The model: every bit that enters or
leaves the array is read or written once in an SRAM, at the same energy. The default figure is
Horowitz's for a cache of 8 KiB in 45 nm at 0.9 V, 10 pJ an access of 64 bits (ISSCC 2014, fig.
1.1.9); it is not scaled to other technologies: give the figure of your memory compiler.
"""

from dataclasses import dataclass

from .config import ArrayConfig
from .schedule import plan
from .weight_schedule import WeightSchedule

PJ_PER_BIT = 10 / 64
SOURCE = "8 KiB SRAM, 45 nm, 0.9 V: 10 pJ per 64 bits (Horowitz, ISSCC 2014), not scaled"


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """bits_per_op: read and written by the array for each useful operation. source: of the
    energy of a bit."""

    bits_per_op: float
    pj_per_bit: float
    pj_per_op: float
    source: str


def memory_energy(
    shapes: list[tuple[int, int, int]], config: ArrayConfig, pj_per_bit: float | None = None
) -> MemoryReport:
    """Returns the memories' energy for matrix forms (m, k, n) on an array: operands of every cycle
    with operands, and all sums."""
    if pj_per_bit is not None and not pj_per_bit >= 0:
        raise ValueError(f"pj_per_bit must be at least 0, not {pj_per_bit}")
    bits = sum(_bits(shape, config) for shape in shapes)
    per_op = bits / sum(m * k * n for m, k, n in shapes)
    pj = PJ_PER_BIT if pj_per_bit is None else pj_per_bit
    source = SOURCE if pj_per_bit is None else "given"
    return MemoryReport(bits_per_op=per_op, pj_per_bit=pj, pj_per_op=per_op * pj, source=source)


def _bits(shape: tuple[int, int, int], config: ArrayConfig) -> int:
    schedule = plan(shape, config)
    if isinstance(schedule, WeightSchedule):
        return _bits_of_passes(schedule, config)
    operands = schedule.steps * (config.rows + config.cols) * config.lanes * config.width
    sums = config.rows * config.cols * config.acc_width
    tiles_m, tiles_n = schedule.tiles
    return tiles_m * tiles_n * (operands + sums)


def _bits_of_passes(schedule: WeightSchedule, config: ArrayConfig) -> int:
    """A pass takes the weights of its tile and the activations of its block."""
    term = config.rows * config.lanes * config.width
    passes = sum(term * (config.cols + run.size) for run in schedule.passes())
    return passes + schedule.rows_out * config.cols * config.acc_width
