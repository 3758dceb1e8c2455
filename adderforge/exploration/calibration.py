"""Measurements that the cost model is fitted to: those that come with AdderForge, and a store's."""

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files

from .cost_model import TERMS, Sample
from .design import Design
from .store import Measurement
from .task import tools

SHIPPED = "calibration.json"  # made by `calibrate`


def samples(measurements: Iterable[Measurement]) -> list[Sample]:
    """Of the shipped measurements, and of those made with the tools that are installed, which win
    where both have a design."""
    found = {(s.figure, s.place, s.design): s for s in shipped()}
    for measurement in measurements:
        if measurement.subject.of["tools"] == tools(measurement.subject.level):
            found |= {(s.figure, s.place, s.design): s for s in samples_of(measurement)}
    return list(found.values())


def samples_of(measurement: Measurement) -> Iterator[Sample]:
    """None of accuracy, which no model guesses."""
    of = measurement.subject.of
    for figure, value in measurement.figures.items():
        if figure in TERMS and value is not None:
            yield Sample(
                figure=figure,
                place=str(of["place"]),
                design=Design.of(measurement.design),
                value=float(value),
            )


def shipped() -> Iterator[Sample]:
    text = (files("adderforge.exploration") / SHIPPED).read_text(encoding="utf-8")
    content = json.loads(text)
    for place, rows in content["places"].items():
        for row in rows:
            values = dict(zip(content["parameters"], row["design"], strict=True))
            design = Design.of(values)
            for figure, value in row["figures"].items():
                yield Sample(figure=figure, place=place, design=design, value=value)


def to_ship(measurements: Iterable[Measurement]) -> dict[str, object]:
    """The content of SHIPPED: figures of designs, by place, in a fixed order."""
    places: dict[str, dict[Design, dict[str, float]]] = {}
    for measurement in measurements:
        for sample in samples_of(measurement):
            designs = places.setdefault(sample.place, {})
            designs.setdefault(sample.design, {})[sample.figure] = sample.value
    parameters = list(Design.of({}).values)
    return {
        "parameters": parameters,
        "places": {
            place: [
                {"design": list(design.values.values()), "figures": figures}
                for design, figures in sorted(designs.items(), key=lambda item: str(item[0].values))
            ]
            for place, designs in sorted(places.items())
        },
    }
