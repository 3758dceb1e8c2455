"""A design: everything that can be chosen about the hardware; and a design with its figures."""

from dataclasses import dataclass, field
from functools import cached_property

from hw.config import ArrayConfig

NAMES = (*ArrayConfig.model_fields, "multiplier")


@dataclass(frozen=True, kw_only=True)
class Design:
    """An array, and for MACs how products are made: one of `hw.synth.candidates`, such as "dsp",
    or None for the smallest made of logic. Other PEs have no multiplier: theirs is None. PEs made
    by hand for an FPGA hold their own, so a design with another has the target "generic"."""

    array: ArrayConfig
    multiplier: str | None = None

    @classmethod
    def of(cls, values: dict[str, object]) -> "Design":
        """From flat values by NAMES; ValueError where `ArrayConfig` refuses them."""
        values = dict(values)
        multiplier = values.pop("multiplier", None)
        array = ArrayConfig(**values)
        if array.pe != "mac" or multiplier is None:
            return cls(array=array)
        return cls(array=array.model_copy(update={"target": "generic"}), multiplier=multiplier)

    @cached_property
    def values(self) -> dict[str, object]:
        """By NAMES."""
        return self.array.model_dump() | {"multiplier": self.multiplier}

    @property
    def options(self) -> str:
        """As options of the command line that differ from its defaults, to build it again."""
        defaults = ArrayConfig().model_dump() | {"multiplier": None, "target": self.array.target}
        return " ".join(
            f"--{name} {value}" for name, value in self.values.items() if value != defaults[name]
        )


@dataclass(frozen=True, kw_only=True)
class DesignPoint:
    """A design with its figures. errors: of those that a model guessed, its stated relative error;
    the others were measured or are exact. level: up to which it was measured. failures: reasons,
    by the level that failed."""

    design: Design
    figures: dict[str, float | str | None]
    errors: dict[str, float] = field(default_factory=dict)
    level: int = 0
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, object]:
        """Flat, for tables."""
        failure = "; ".join(self.failures.values())
        guessed = " ".join(sorted(self.errors))
        ends = {"level": self.level, "guessed": guessed, "failure": failure}
        return self.design.values | self.figures | ends
