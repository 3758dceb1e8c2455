"""What is wished of a network's hardware, and what a design promises."""

from dataclasses import dataclass, field

from golden.spec import QuantizedModel

from .design import Design


def check_positive(**values: float | None) -> None:
    """ValueError for one that is given and not positive."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, not {value}")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A network, at least so many images a second, and at most so many µJ for each, as far as they
    are wished. ValueError for numbers that are not positive."""

    model: QuantizedModel
    images_per_second: float | None = None
    microjoules: float | None = None

    def __post_init__(self) -> None:
        check_positive(images_per_second=self.images_per_second, microjoules=self.microjoules)

    @property
    def width(self) -> int:
        return max(layer.spec.width for layer in self.model.layers)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step more of a parameter: what it leads to, and whether the wishes still hold."""

    parameter: str
    value: int
    images_per_second: float
    used: dict[str, float]
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Option:
    """A design with its promise. used: resources of a board, or area and energy, by name.
    errors: relative ones, of what was guessed. built: the same measured, with `fmax_mhz` where that
    is known, and the rate that follows."""

    design: Design
    images_per_second: float | None = None
    used: dict[str, float]
    errors: dict[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    built: dict[str, float] | None = None
    failure: str | None = None


def shares(used: dict[str, float], limits: dict[str, float]) -> dict[str, float]:
    """Of each limit, as far as it is known; where that is 0, all or nothing."""
    return {
        name: used[name] / most if most else float(used[name] > 0)
        for name, most in limits.items()
        if name in used
    }


def fits(used: dict[str, float], limits: dict[str, float]) -> bool:
    return all(used[name] <= most for name, most in limits.items() if name in used)
