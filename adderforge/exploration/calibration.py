"""Measurements that the cost model is fitted to: those that come with AdderForge, and a store's."""

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files

from .around_model import PJ_PER_CYCLE
from .cost_model import TERMS, Sample
from .design import ARRAY, Design
from .store import Measurement
from .task import tools

SHIPPED = "calibration.json"  # made by `calibrate`
PARTS = {"places": False, "accelerators": True}  # whether samples are of whole accelerators


def samples(measurements: Iterable[Measurement]) -> list[Sample]:
    """Of the shipped measurements, and of those made with the tools that are installed, which win
    where both have a design."""
    found = {_key(sample): sample for sample in shipped()}
    for measurement in measurements:
        found |= {_key(sample): sample for sample in current(measurement)}
    return list(found.values())


def _key(sample: Sample) -> tuple:
    return sample.figure, sample.place, sample.design, sample.accelerator


def current(measurement: Measurement) -> Iterator[Sample]:
    """As `samples_of`, of a measurement made with the tools and sources that are installed."""
    level, of = measurement.subject.level, measurement.subject.of
    target = str(of.get("place", "")).split(" ")[0]
    if of.get("tools") == tools(level, target):
        yield from samples_of(measurement)


def samples_of(measurement: Measurement) -> Iterator[Sample]:
    """None of accuracy, which no model guesses."""
    of = measurement.subject.of
    is_accelerator = bool(of.get("accelerator"))
    for figure, value in measurement.figures.items():
        if figure in (*TERMS, PJ_PER_CYCLE) and value is not None:
            yield Sample(
                figure=figure,
                place=str(of["place"]),
                design=Design.of(measurement.design),
                value=float(value),
                accelerator=is_accelerator,
            )


def shipped() -> Iterator[Sample]:
    text = (files("adderforge.exploration") / SHIPPED).read_text(encoding="utf-8")
    content = json.loads(text)
    for part, is_accelerator in PARTS.items():
        for place, rows in content[part].items():
            for row in rows:
                values = dict(zip(content["parameters"], row["design"], strict=True))
                design = Design.of(values)
                for figure, value in row["figures"].items():
                    yield Sample(
                        figure=figure,
                        place=place,
                        design=design,
                        value=value,
                        accelerator=is_accelerator,
                    )


def to_ship(samples: Iterable[Sample]) -> dict[str, object]:
    """The content of SHIPPED: figures of arrays and of accelerators, by place, in a fixed order."""
    some = list(samples)
    parts = {
        part: _rows(one for one in some if one.accelerator == is_accelerator)
        for part, is_accelerator in PARTS.items()
    }
    return {"parameters": list(ARRAY)} | parts


def _rows(samples: Iterable[Sample]) -> dict[str, list[dict]]:
    places: dict[str, dict[Design, dict[str, float]]] = {}
    for sample in samples:
        designs = places.setdefault(sample.place, {})
        designs.setdefault(sample.design, {})[sample.figure] = sample.value
    return {
        place: [
            {"design": [design.value(name) for name in ARRAY], "figures": figures}
            for design, figures in sorted(designs.items(), key=lambda item: str(item[0].values))
        ]
        for place, designs in sorted(places.items())
    }
