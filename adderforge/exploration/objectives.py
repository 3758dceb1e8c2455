"""What counts: functions of a design point's figures and parameters, to be small or large."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .design import NAMES, DesignPoint

# Figures that measuring gives, by the lowest level that does (see `levels`); a cost model guesses
# those of levels 1 to 3 before.
FIGURES = {
    "cycles": 0,
    "utilization": 0,
    "memory_kbits": 0,
    "luts": 1,
    "carries": 1,
    "flip_flops": 1,
    "dsps": 1,
    "block_rams": 1,
    "area_um2": 1,
    "sequential_area_um2": 1,
    "fmax_mhz": 2,
    "pj_per_op": 3,
    "operations": 0,
    "accuracy": 4,
}
COUNTED = ("block_rams",)  # of accelerators, from the sizes of their memories, before


@dataclass(frozen=True)
class Objective:
    """value: a function whose parameters are names of FIGURES or of a design's parameters."""

    name: str
    value: Callable[..., float]
    needs: tuple[str, ...]
    maximize: bool = False

    @property
    def levels(self) -> set[int]:
        """The lowest levels that measure what it needs."""
        return {FIGURES[name] for name in self.needs if name in FIGURES}

    def of(self, point: DesignPoint) -> float | None:
        """None while a figure is unknown."""
        known = point.figures
        values = [known.get(n) if n in FIGURES else point.design.value(n) for n in self.needs]
        gaps = any(v is None for n, v in zip(self.needs, values, strict=True) if n in FIGURES)
        return None if gaps else float(self.value(*values))

    def cost(self, point: DesignPoint) -> float:
        """The value, negative where much is good; ValueError while a figure is unknown."""
        if (value := self.of(point)) is None:
            raise ValueError(f"objective {self.name!r} is unknown of {point.design.values}")
        return -value if self.maximize else value

    def error(self, point: DesignPoint) -> float:
        """Relative, to first order for products and quotients: the sum of the figures' errors."""
        return sum(point.errors.get(name, 0.0) for name in self.needs)


def objective(value: Callable[..., float] | str | Objective, maximize: bool = False) -> Objective:
    """An objective of a function, by the names of its parameters; or a known one by its name.
    ValueError for other names."""
    if isinstance(value, Objective):
        return value
    if isinstance(value, str):
        if value not in OBJECTIVES:
            raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {value!r}")
        return OBJECTIVES[value]
    needs = tuple(inspect.signature(value).parameters)
    for name in needs:
        if name not in FIGURES and name not in NAMES:
            raise ValueError(
                f"objective {value.__name__!r}: unknown figure {name!r}; there are "
                f"{', '.join((*FIGURES, *NAMES))}"
            )
    return Objective(value.__name__, value, needs, maximize)


def checked(values: Iterable[Callable[..., float] | str | Objective]) -> tuple[Objective, ...]:
    """ValueError also when there is none, or two of a name."""
    found = tuple(map(objective, values))
    names = [one.name for one in found]
    if not found or len(set(names)) < len(names):
        raise ValueError(f"objectives must be one or several different ones, not {names or 'none'}")
    return found


def number(value: float) -> str:
    """For people: whole from 1,000 on, else four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def images_per_second(fmax_mhz: float, cycles: int) -> float:
    return fmax_mhz * 1e6 / cycles


def microseconds(fmax_mhz: float, cycles: int) -> float:
    """Of one image."""
    return cycles / fmax_mhz


def microjoules(pj_per_op: float, operations: int) -> float:
    """Of one image."""
    return pj_per_op * operations * 1e-6


def _figure(name: str, maximize: bool = False) -> Objective:
    return Objective(name, lambda value: value, (name,), maximize)


OBJECTIVES = {
    one.name: one
    for one in (
        *(_figure(name, name in ("utilization", "fmax_mhz", "accuracy")) for name in FIGURES),
        objective(images_per_second, maximize=True),
        objective(microseconds),
        objective(microjoules),
    )
    if one.name != "operations"
}
