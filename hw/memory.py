"""What operands and sums cost in memories, by stated models.

An array: a mapped one holds none of them, so its energy is without them; that in which a
weight-stationary array adds up folds is part of it, of flip-flops. Every bit that enters or leaves
the array is read or written once in an SRAM, at the same energy, by default Horowitz's for 8 KiB.

An accelerator: every memory is an SRAM of its own size, and every read and write that its ports
are enabled for costs the bits that it reads or writes, at an energy that follows from the size.

Horowitz's figures are for caches in 45 nm at 0.9 V, an access of 64 bits: 10 pJ for 8 KiB, 20 pJ
for 32 KiB, 100 pJ for 1 MiB (ISSCC 2014, fig. 1.1.9). Between them, and beyond the last, the energy
is taken to rise linearly with the square root of the size, as the lengths of lines do; below 8 KiB
it falls with it. They are not scaled to other technologies: give the figure of your memory
compiler. The memories' leakage is not in them.
"""

from bisect import bisect_left
from dataclasses import dataclass
from math import inf, sqrt

from .config import ArrayConfig
from .schedule import plan
from .weight_schedule import WeightSchedule

PJ_PER_BIT = 10 / 64
SOURCE = "8 KiB SRAM, 45 nm, 0.9 V: 10 pJ per 64 bits (Horowitz, ISSCC 2014), not scaled"
SIZES_SOURCE = (
    "SRAMs in 45 nm, 0.9 V: 8 KiB 10 pJ, 32 KiB 20 pJ, 1 MiB 100 pJ per 64 bits (Horowitz, ISSCC "
    "2014), by the square root of their sizes, not scaled"
)
GIVEN = "given"
_KIB = 2**13  # bits
_SIZES, _PJ_PER_64 = (8 * _KIB, 32 * _KIB, 1024 * _KIB), (10.0, 20.0, 100.0)


def sized_pj_per_bit(bits: int) -> float:
    """Energy of a bit that is read from or written to a memory of so many bits."""
    roots = [0.0, *(sqrt(size) for size in _SIZES)]
    energies = [0.0, *_PJ_PER_64]
    place = min(bisect_left(roots, sqrt(bits)), len(_SIZES))
    slope = (energies[place] - energies[place - 1]) / (roots[place] - roots[place - 1])
    return (energies[place] + slope * (sqrt(bits) - roots[place])) / 64


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """A memory's accesses for an image. reads: of words, fresh: those of them at another address
    than the read before, all that a memory that keeps its output would need. uj: their energy, of
    all reads and writes; fresh_uj: with the fresh ones alone."""

    name: str
    words: int
    width: int
    reads: float
    fresh: float
    bits_written: float
    pj_per_bit: float
    uj: float
    fresh_uj: float


def memory_use(
    name: str,
    words: int,
    width: int,
    *,
    reads: float,
    fresh: float,
    bits_written: float,
    per_bit: float | None = None,
) -> MemoryUse:
    """What a memory of words of `width` bits costs an image. per_bit: pJ, by default of its
    size."""
    check_pj_per_bit(per_bit)
    pj = sized_pj_per_bit(words * width) if per_bit is None else per_bit
    return MemoryUse(
        name=name,
        words=words,
        width=width,
        reads=reads,
        fresh=fresh,
        bits_written=bits_written,
        pj_per_bit=pj,
        uj=(reads * width + bits_written) * pj * 1e-6,
        fresh_uj=(fresh * width + bits_written) * pj * 1e-6,
    )


def check_pj_per_bit(pj: float | None) -> None:
    """ValueError when it is given and negative or not finite."""
    if pj is not None and not 0 <= pj < inf:
        raise ValueError(f"pj_per_bit must be finite, at least 0, not {pj}")


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
    check_pj_per_bit(pj_per_bit)
    bits = sum(_bits(shape, config) for shape in shapes)
    per_op = bits / sum(m * k * n for m, k, n in shapes)
    pj = PJ_PER_BIT if pj_per_bit is None else pj_per_bit
    source = SOURCE if pj_per_bit is None else GIVEN
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
