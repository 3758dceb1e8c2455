"""An accelerator's run beside the integer reference: what differs."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from golden import reference
from golden.reference import Accumulate
from golden.spec import QuantizedModel

from .accelerator_run import Run, Update

BATCH = 50  # images at a time


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A stored code that is not the reference's. place: filter, row, column, after pooling."""

    image: int
    layer: str
    place: tuple[int, int, int]
    expected: int
    actual: int

    @property
    def summary(self) -> str:
        return (
            f"first in image {self.image}, layer {self.layer}, filter "
            "{}, row {}, column {}: ".format(*self.place)
            + f"code {self.actual}, expected {self.expected}"
        )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """images, codes: how many were compared. wrong_*: how many differ. image: the first of which
    something differs. first: its first code, in the order of layers."""

    images: int
    codes: int
    wrong_classes: int
    wrong_cycles: int
    wrong_codes: int
    image: int | None
    first: Difference | None

    @property
    def passed(self) -> bool:
        return self.image is None

    @property
    def lines(self) -> list[str]:
        """Counts, and the first code that differs."""
        counts = (
            f"{self.images:,} images: {self.wrong_classes:,} classes and {self.wrong_codes:,} of "
            f"{self.codes:,} codes differ from the reference, {self.wrong_cycles:,} cycle counts "
            "from the prediction"
        )
        return [counts, self.first.summary] if self.first else [counts]


def compare(
    model: QuantizedModel,
    codes: np.ndarray,
    run: Run,
    sums_of: Accumulate | None = None,
    update: Update | None = None,
) -> Comparison:
    """Every image's class, cycles and stored codes. codes, sums_of: as of `reference.run`."""
    classes, wrong, compared, wrong_codes, first = [], [], 0, 0, None
    for start, stop in pairwise([*range(0, len(codes), BATCH), len(codes)]):
        if update:
            update("compare", start, len(codes))
        records = reference.run(model, codes[start:stop], sums_of=sums_of)
        classes.append(records[-1].codes_out.reshape(stop - start, -1).argmax(1))
        maps = run.maps(slice(start, stop))
        for record in records[:-1]:
            name, given = record.layer.spec.name, maps[record.layer.spec.name]
            places = np.argwhere(given != record.codes_out)
            compared, wrong_codes = compared + given.size, wrong_codes + len(places)
            wrong += (start + places[:, 0]).tolist()
            if len(places) and (first is None or start + places[0, 0] < first.image):
                place = tuple(places[0].tolist())
                first = Difference(
                    image=start + place[0],
                    layer=name,
                    place=place[1:],
                    expected=int(record.codes_out[place]),
                    actual=int(given[place]),
                )
    wrong_classes = np.flatnonzero(np.concatenate(classes) != run.classes).tolist()
    wrong_cycles = np.flatnonzero(run.cycles != run.due).tolist()
    wrong += wrong_classes + wrong_cycles
    return Comparison(
        images=len(codes),
        codes=compared,
        wrong_classes=len(wrong_classes),
        wrong_cycles=len(wrong_cycles),
        wrong_codes=wrong_codes,
        image=min(wrong, default=None),
        first=first,
    )
