"""What a design will measure, guessed from those that were measured, with the error of guessing.

A figure is a weighted sum of terms that count what the hardware is made of; the weights are fitted
to the measurements of arrays of the same PE, dataflow, target and so on, so that squares of
relative errors are least and no weight is negative (with a ridge of RIDGE, terms scaled to one
size). The stated error is that of leave-one-out cross-validation: each measurement is guessed from
all others.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, log2

import numpy as np

from hw.config import DRAIN_GROUP, ArrayConfig

from .design import Design

RIDGE = 1e-4
GROUP = ("pe", "dataflow", "pipeline", "mapping", "multiplier")
SPARE = 2  # measurements more than terms, below which there is no model
QUANTILE = 0.9  # of the errors, that is stated beside a guess


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A measured figure of a design, of its array or of the whole accelerator. place: target and
    cell library."""

    figure: str
    place: str
    design: Design
    value: float
    accelerator: bool = False


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Weights of the terms, and the relative errors, |guess ÷ measurement − 1|, of leave-one-out:
    their median, the one that 90 % do not exceed, and the largest, of `count` measurements."""

    weights: tuple[float, ...]
    count: int
    median_error: float
    error: float
    largest_error: float

    @classmethod
    def of(cls, weights: np.ndarray, errors: list[float]) -> "Fit":
        """errors: of each measurement, guessed from all others."""
        return cls(
            weights=tuple(weights),
            count=len(errors),
            median_error=float(np.median(errors)),
            error=float(np.quantile(errors, QUANTILE)),
            largest_error=max(errors),
        )


class CostModel:
    """Fits for each figure and group of arrays that has enough samples."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        groups: dict[tuple, list[Sample]] = defaultdict(list)
        for sample in samples:
            if sample.figure in TERMS and sample.value > 0 and not sample.accelerator:
                groups[sample.figure, sample.place, *group_of(sample.design)].append(sample)
        self._samples = groups
        self._fits: dict[tuple, Fit | None] = {}

    def fit(self, group: tuple) -> Fit | None:
        """Of one group, found when it is first asked for."""
        if group not in self._fits:
            self._fits[group] = _fit(group[0], self._samples.get(group, []))
        return self._fits[group]

    @property
    def fits(self) -> dict[tuple, Fit]:
        return {group: fit for group in self._samples if (fit := self.fit(group))}

    def guess(
        self, designs: Sequence[Design], place: str
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        """For each design its figures and their stated errors, as far as there is a fit and the
        guess is positive."""
        found: list[tuple[dict[str, float], dict[str, float]]] = [({}, {}) for _ in designs]
        groups: dict[tuple, list[int]] = defaultdict(list)
        for index, design in enumerate(designs):
            groups[place, *group_of(design)].append(index)
        for figure, terms in TERMS.items():
            for group, members in groups.items():
                if fit := self.fit((figure, *group)):
                    rows = np.array([terms(designs[index].array) for index in members])
                    for index, value in zip(members, rows @ fit.weights, strict=True):
                        if value > 0:
                            found[index][0][figure] = TO_FIGURE.get(figure, float)(value)
                            found[index][1][figure] = fit.error
        return found

    def table(self) -> list[dict[str, object]]:
        """Every fit's group, count and errors."""
        return table(("figure", "place", *GROUP), self.fits)


def table(names: Sequence[str], fits: dict[tuple, Fit]) -> list[dict[str, object]]:
    """Every fit's group, by these names, its count and errors."""
    return [
        dict(zip(names, group, strict=True))
        | {
            "measurements": fit.count,
            "median_error": fit.median_error,
            "error_90": fit.error,
            "largest_error": fit.largest_error,
        }
        for group, fit in sorted(fits.items(), key=str)
    ]


def group_of(design: Design) -> tuple:
    """What designs have in common that are guessed by each other, by GROUP."""
    array, made_of = design.array, "dsp" if design.multiplier == "dsp" else "logic"
    return array.pe, array.dataflow, array.pipeline, array.target, made_of


def _fit(figure: str, samples: list[Sample]) -> Fit | None:
    if not samples or len(samples) < len(TERMS[figure](samples[0].design.array)) + SPARE:
        return None
    samples = sorted(samples, key=lambda sample: (str(sample.design.values), sample.value))
    terms = np.array([TERMS[figure](sample.design.array) for sample in samples])
    values = np.array([FROM_FIGURE.get(figure, float)(sample.value) for sample in samples])
    relative = terms / values[:, None]
    errors = []
    for index in range(len(samples)):
        others = np.delete(relative, index, axis=0)
        errors.append(abs(float(relative[index] @ weights_of(others)) - 1))
    return Fit.of(weights_of(relative), errors)


def weights_of(relative: np.ndarray) -> np.ndarray:
    """None negative: terms that would be are left out, the most negative first. relative: terms ÷
    the measured value, (samples, terms), whose weighted sums are to be 1."""
    size = np.sqrt((relative**2).mean(axis=0)) + 1e-300
    scaled, kept = relative / size, np.arange(relative.shape[1])
    while True:
        some = scaled[:, kept]
        found = np.linalg.solve(some.T @ some + RIDGE * np.eye(len(kept)), some.sum(axis=0))
        if found.min() >= 0:
            break
        kept = np.delete(kept, found.argmin())
    weights = np.zeros(relative.shape[1])
    weights[kept] = found
    return weights / size


def _size_terms(config: ArrayConfig) -> tuple[float, ...]:
    """PEs with what each has by itself, by lane, by operand bit, by bit of its sum, and by partial
    product; 1; if sums leave through a bus, PEs that add lanes before they accumulate, and gates
    that let rows on the bus; registers that skew operands, hand them on, and lead sums out."""
    rows, cols, bits = config.rows, config.cols, config.lanes * config.width
    pes, skew = rows * cols, (rows * (rows - 1) + cols * (cols - 1)) / 2
    terms = [pes, pes * config.lanes, pes * bits, pes * config.sum_width, 1]
    if config.dataflow == "output-stationary":
        terms += [pes * config.width * (config.lanes > 1), (rows - 1) * cols * config.acc_width]
    if config.pe in ("mac", "square"):
        terms.append(pes * bits * config.width)
    if config.dataflow == "weight-stationary":
        memory = cols * config.acc_width * config.positions
        return (*terms, skew * bits, cols * config.acc_width, memory)
    if config.pe == "min":  # sums of each row's activations
        terms.append(rows * (bits + config.sum_width))
    handed_on = rows * (cols - 1) + (rows - 1) * cols
    drained = cols * _bus_registers(config) + cols * (cols - 1) / 2
    return (*terms, (skew + handed_on) * bits, drained * config.acc_width)


def _bus_registers(config: ArrayConfig) -> int:
    """Of a column of an output-stationary array, see `ArrayConfig.drain_stages`."""
    left = ceil(config.rows / config.drain_group)
    count = left
    while left > 1:
        left = ceil(left / DRAIN_GROUP)
        count += left
    return count


def _path_terms(config: ArrayConfig) -> tuple[float, ...]:
    """Of the longest path, in ns: a carry's way through the sum, the depth of a tree of lanes."""
    return 1, config.sum_width, config.width, log2(config.lanes), log2(config.rows * config.cols)


def _energy_terms(config: ArrayConfig) -> tuple[float, ...]:
    """Per operation: by operand bit, of the sum's share, of what the array's edges hand in, and
    of partial products."""
    edge = config.width * (config.rows + config.cols) / (config.rows * config.cols)
    terms = [1, config.width, 1 / config.lanes, config.sum_width / config.lanes, edge]
    if config.pe in ("mac", "square"):
        terms.append(config.width**2)
    return tuple(terms)


def _inverse(value: float) -> float:
    return 1000 / value


SIZES = ("luts", "carries", "flip_flops", "area_um2", "sequential_area_um2")
TERMS = dict.fromkeys(SIZES, _size_terms)
TERMS |= {"fmax_mhz": _path_terms, "pj_per_op": _energy_terms}
FROM_FIGURE = {"fmax_mhz": _inverse}  # clock rates are guessed by their period, in ns
TO_FIGURE = {"fmax_mhz": lambda period: float(1000 / period)}
