"""What a design will measure, guessed from those that were measured, with the error of guessing.

A figure is a weighted sum of terms that count what the hardware is made of; the weights are fitted
to the measurements of arrays of the same PE, dataflow, target and so on, so that squares of
relative errors are least (with a ridge of RIDGE, terms scaled to one size). The stated error is
that of leave-one-out cross-validation: each measurement is guessed from all others.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np

from hw.config import ArrayConfig

from .design import Design

RIDGE = 1e-4
SPARE = 2  # measurements more than terms, below which there is no model
QUANTILE = 0.9  # of the errors, that is stated beside a guess


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A measured figure of a design. place: target and cell library."""

    figure: str
    place: str
    design: Design
    value: float


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Weights of the terms, and the relative errors, |guess ÷ measurement − 1|, of leave-one-out:
    their median, the one that 90 % do not exceed, and the largest, of `count` measurements."""

    weights: tuple[float, ...]
    count: int
    median_error: float
    error: float
    largest_error: float


class CostModel:
    """Fits for each figure and group of designs that has enough samples."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        groups: dict[tuple, list[Sample]] = defaultdict(list)
        for sample in samples:
            if sample.figure in TERMS and sample.value > 0:
                groups[_group(sample.figure, sample.place, sample.design)].append(sample)
        fits = {group: _fit(group[0], some) for group, some in groups.items()}
        self.fits: dict[tuple, Fit] = {group: fit for group, fit in fits.items() if fit}

    def guess(
        self, designs: Sequence[Design], place: str
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        """For each design its figures and their stated errors, as far as there is a fit and the
        guess is positive."""
        found: list[tuple[dict[str, float], dict[str, float]]] = [({}, {}) for _ in designs]
        groups: dict[tuple, list[int]] = defaultdict(list)
        for index, design in enumerate(designs):
            groups[_group("", place, design)[1:]].append(index)
        for figure, terms in TERMS.items():
            for group, members in groups.items():
                if fit := self.fits.get((figure, *group)):
                    rows = np.array([terms(designs[index].array) for index in members])
                    for index, value in zip(members, rows @ fit.weights, strict=True):
                        if value > 0:
                            found[index][0][figure] = TO_FIGURE.get(figure, float)(value)
                            found[index][1][figure] = fit.error
        return found

    def table(self) -> list[dict[str, object]]:
        """Every fit's group, count and errors."""
        names = ("figure", "place", "pe", "dataflow", "pipeline", "mapping", "multiplier")
        return [
            dict(zip(names, group, strict=True))
            | {
                "measurements": fit.count,
                "median_error": fit.median_error,
                "error_90": fit.error,
                "largest_error": fit.largest_error,
            }
            for group, fit in sorted(self.fits.items(), key=str)
        ]


def _group(figure: str, place: str, design: Design) -> tuple:
    array, dsp = design.array, "dsp" if design.multiplier == "dsp" else "logic"
    return figure, place, array.pe, array.dataflow, array.pipeline, array.target, dsp


def _fit(figure: str, samples: list[Sample]) -> Fit | None:
    samples = sorted(samples, key=lambda sample: (str(sample.design.values), sample.value))
    terms = np.array([TERMS[figure](sample.design.array) for sample in samples])
    values = np.array([FROM_FIGURE.get(figure, float)(sample.value) for sample in samples])
    if len(samples) < terms.shape[1] + SPARE:
        return None
    relative = terms / values[:, None]
    size = np.sqrt((relative**2).mean(axis=0)) + 1e-300
    scaled = relative / size
    inverse = np.linalg.inv(scaled.T @ scaled + RIDGE * np.eye(len(size)))
    solve = inverse @ scaled.T
    weights = solve.sum(axis=1)
    leverage = np.einsum("ij,ji->i", scaled, solve)
    errors = np.abs((scaled @ weights - 1) / (1 - leverage))
    return Fit(
        weights=tuple(weights / size),
        count=len(samples),
        median_error=float(np.median(errors)),
        error=float(np.quantile(errors, QUANTILE)),
        largest_error=float(errors.max()),
    )


def _size_terms(config: ArrayConfig) -> tuple[float, ...]:
    """PEs with what each has by itself, by lane, by operand bit, by bit of its sum, and by partial
    product; registers that skew operands; what stands once for a column's sums, and once."""
    pes, bits = config.rows * config.cols, config.lanes * config.width
    skew = (config.rows * (config.rows - 1) + config.cols * (config.cols - 1)) / 2 * bits
    terms = [pes, pes * config.lanes, pes * bits, pes * config.sum_width, skew]
    terms += [config.cols * config.acc_width, 1]
    if config.pe in ("mac", "square"):
        terms.append(pes * bits * config.width)
    if config.dataflow == "weight-stationary":
        terms.append(config.cols * config.acc_width * config.positions)
    return tuple(terms)


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
