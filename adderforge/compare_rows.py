"""Tables of a comparison as text, and their rows: a figure of every contender, and the ratio."""

from collections.abc import Callable
from dataclasses import dataclass

NAMES = {"mac": "MAC (CNN)", "xnor": "XNOR (BNN)"}
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Table:
    """rows: of cells, the first one the label. note: what the figures are. charts: that go with it,
    by name."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    charts: tuple[str, ...] = ()


def name_of(pe: str) -> str:
    """The twin's name in headings."""
    return NAMES.get(pe, f"adder ({pe})")


def headings(twins: dict[str, dict]) -> tuple[str, ...]:
    return ("", *map(name_of, twins), "adder / MAC")


def row(
    label: str, twins: dict[str, dict], figure: Callable[[dict], float | None]
) -> tuple[str, ...]:
    """The figure of each twin, and the first one's share of the second's."""
    values = [figure(twin) for twin in twins.values()]
    adder, mac, *_ = values
    ratio = f"{adder / mac:.2f}" if adder is not None and mac else NOTHING
    return (label, *map(number, values), ratio)


def number(value: float | None) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, int) or value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
