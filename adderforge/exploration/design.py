"""A design: everything that can be chosen about the hardware; and a design with its figures."""

from dataclasses import dataclass, field, replace
from functools import cached_property

from hw.config import ArrayConfig

from .around import AS_NEEDED, Around

ARRAY = (*ArrayConfig.model_fields, "multiplier")
NAMES = (*ARRAY, *Around.model_fields)
_DEFAULTS = AS_NEEDED.model_dump()


@dataclass(frozen=True, kw_only=True)
class Design:
    """An array, and for MACs how products are made: one of `hw.choices.candidates`, such as "dsp",
    or None for the smallest made of logic. Other PEs have no multiplier: theirs is None. PEs made
    by hand for an FPGA hold their own, so a design with another has the target "generic". around:
    of the accelerator, where the workload is run by one, and of the network's quantization; an
    external memory that is not there has no width."""

    array: ArrayConfig
    multiplier: str | None = None
    around: Around = AS_NEEDED

    @classmethod
    def of(cls, values: dict[str, object]) -> "Design":
        """From flat values by NAMES; ValueError where `ArrayConfig` refuses them."""
        values = dict(values)
        multiplier = values.pop("multiplier", None)
        others = {name: values.pop(name) for name in _DEFAULTS if name in values}
        if others.get("external", "none") == "none":
            others.pop("external_width", None)
        around = Around(**others) if others else AS_NEEDED
        array = ArrayConfig(**values)
        if array.pe != "mac" or multiplier is None:
            return cls(array=array, around=around)
        array = array.model_copy(update={"target": "generic"})
        return cls(array=array, multiplier=multiplier, around=around)

    def requantized(self, requantize: str) -> "Design":
        """With its network's requantizer where it leaves that open; "multiply", which most have,
        stays unnamed."""
        if self.around.requantize or requantize == "multiply":
            return self
        around = self.around.model_copy(update={"requantize": requantize})
        return replace(self, around=around)

    @cached_property
    def values(self) -> dict[str, object]:
        """By names of ARRAY, and those of `around` that are not left to their defaults."""
        chosen = self.array.model_dump() | {"multiplier": self.multiplier}
        if self.around is AS_NEEDED:
            return chosen
        around = self.around.model_dump()
        return chosen | {n: value for n, value in around.items() if value != _DEFAULTS[n]}

    def value(self, name: str) -> object:
        """Of any of NAMES."""
        return self.values[name] if name in self.values else _DEFAULTS[name]

    @property
    def options(self) -> str:
        """As options of the command line that differ from its defaults, for people: the target, and
        what stands around an array, are no options of commands that take the others."""
        defaults = ArrayConfig().model_dump() | {"multiplier": None, "target": self.array.target}
        return " ".join(
            f"--{name.replace('_', '-')} {value}"
            for name, value in self.values.items()
            if name in _DEFAULTS or value != defaults[name]
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
