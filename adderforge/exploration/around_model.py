"""What an accelerator will take of an FPGA: its array by the cost model, and what stands around it
by a sum of terms, fitted to accelerators that were synthesized, with the error of the whole. The
energy of a cycle is a sum of terms alone.

Around an array are the sequencer, the loops of addresses and the serial line, and for each column
a requantizer, pooling and the search for the largest code. Only accelerators whose memories and
requantizer are of one kind, on one place, guess each other. The networks that were measured are
few, see `calibrate`: others need more or less for their layers.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from .cost_model import SPARE, CostModel, Fit, Sample, table, weights_of
from .design import Design
from .effort import Effort

SIZES = ("luts", "flip_flops")
PJ_PER_CYCLE = "pj_per_cycle"
FIGURES = (*SIZES, PJ_PER_CYCLE)
POSITIONS = 16
NAMES = ("figure", "place", "requantize", "external", "external_width")


class AroundModel:
    """Fits for each kind of accelerator of which enough were measured. arrays: guesses theirs.
    Designs, also of samples, are `Design.requantized` as their network is."""

    def __init__(self, samples: Iterable[Sample], arrays: CostModel) -> None:
        self._arrays = arrays
        groups: dict[tuple, list[Sample]] = defaultdict(list)
        for sample in samples:
            if sample.accelerator and sample.figure in FIGURES:
                groups[(sample.figure, sample.place, *_kind(sample.design))].append(sample)
        self._pes = {  # whose energy was measured: that of others would not follow from it
            sample.design.array.pe
            for (figure, *_), some in groups.items()
            for sample in some
            if figure == PJ_PER_CYCLE
        }
        found = {group: self._fit(group[0], some) for group, some in groups.items()}
        self.fits = {group: fit for group, fit in found.items() if fit}

    def knows(self, effort: Effort, requantize: str) -> bool:
        """Whether there is any fit for the place and the requantizer."""
        return any(group[1:3] == (effort.accelerator_place, requantize) for group in self.fits)

    def guess(
        self, designs: Sequence[Design], effort: Effort
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        """For each design its figures and their stated errors, as far as there is a fit for what
        stands around the array, and one for the array."""
        found = []
        arrays = self._arrays.guess(list(map(bare, designs)), effort.place)
        for design, (array, _) in zip(designs, arrays, strict=True):
            figures, errors = {}, {}
            for name in FIGURES:
                fit = self.fits.get((name, effort.accelerator_place, *_kind(design)))
                by_itself = self._by_itself(name, array, design)
                if fit and by_itself is not None:
                    figures[name] = float(by_itself + np.dot(_terms(name, design), fit.weights))
                    errors[name] = fit.error
            found.append((figures, errors))
        return found

    def _by_itself(self, figure: str, array: dict[str, float], design: Design) -> float | None:
        """Of the array; None where there is no guess for such PEs."""
        known = figure in SIZES or design.array.pe in self._pes
        return _of_array(figure, array) if known else None

    def _fit(self, figure: str, samples: list[Sample]) -> Fit | None:
        """None where there are too few, or no model of their arrays."""
        place = samples[0].place.split(" ")[0]
        designs = [bare(sample.design) for sample in samples]
        arrays = [_of_array(figure, some) for some, _ in self._arrays.guess(designs, place)]
        known = [(s, a) for s, a in zip(samples, arrays, strict=True) if a is not None]
        terms = np.array([_terms(figure, sample.design) for sample, _ in known])
        if not known or len(known) < terms.shape[1] + SPARE:
            return None
        around = np.array([sample.value - array for sample, array in known])
        relative = terms / around[:, None]
        errors = []
        for index, (sample, array) in enumerate(known):
            weights = weights_of(np.delete(relative, index, axis=0))
            errors.append(abs((array + float(terms[index] @ weights)) / sample.value - 1))
        return Fit.of(weights_of(relative), errors)

    def table(self) -> list[dict[str, object]]:
        """Every fit's group, count and errors."""
        return table(NAMES, self.fits)


def bare(design: Design) -> Design:
    """With so small a memory of sums as the arrays have that were measured: a larger one is of
    block RAM, and takes no LUTs and flip-flops."""
    positions = min(design.array.positions, POSITIONS)
    return replace(design, array=design.array.model_copy(update={"positions": positions}))


def _kind(design: Design) -> tuple:
    around = design.around
    external = around.external != "none"
    requantize = around.requantize or "multiply"
    return requantize, around.external, around.external_width if external else None


def _of_array(figure: str, array: dict[str, float]) -> float | None:
    """Of the array, by its guessed figures; None where there is no guess."""
    return array.get(figure) if figure in SIZES else 0.0


def _terms(figure: str, design: Design) -> tuple[float, ...]:
    """What there is once, and what there is for each bit of the columns' sums; for an energy also
    for each bit of the PEs' operands. Bits of a word's channels were tried, too; with few
    accelerators they made guesses worse."""
    array = design.array
    around = 1, array.cols * array.acc_width
    bits = array.rows * array.cols * array.lanes * array.width
    return around if figure in SIZES else (*around, bits)
