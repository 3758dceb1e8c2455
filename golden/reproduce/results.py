"""What a user chooses of an experiment, and what comes out of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from ..train import TrainConfig
from .runs import Run


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user chooses. folder: for results and figures; trainings go to folder/runs, and those
    done are used again. data_dir: of the data set. seeds, epochs: None for the paper's or, where
    it names none, ours. kinds: of a network of the paper's tables only these; empty for all."""

    folder: Path
    data_dir: str | None = None
    seeds: int | None = None
    epochs: int | None = None
    kinds: tuple[str, ...] = ()

    def chosen(self, kinds: Iterable[str]) -> list[str]:
        """Of an experiment's kinds those wanted. Raises ValueError on one that it does not have."""
        kinds = list(kinds)
        if strange := set(self.kinds) - {*kinds}:
            raise ValueError(
                f"kind must be one of the experiment's, {', '.join(kinds)}, not {min(strange)!r}"
            )
        return [kind for kind in kinds if not self.kinds or kind in self.kinds]

    def length(self, data_name: str, whose: str = "the paper's") -> str:
        """For titles: nothing at the usual number of epochs, else both numbers; whose: the usual
        one, for the paper does not always name one."""
        usual = TrainConfig.suited_to(data_name).epochs
        shorter = self.epochs not in (None, usual)
        unit = "epoch" if self.epochs == 1 else "epochs"
        return f" ({self.epochs} {unit}, {whose} {usual})" if shorter else ""

    def configs(self, variations: list[dict], data_name: str, seeds: int) -> list[TrainConfig]:
        """A configuration for each variation and seed, at the paper's length by default."""
        chosen = {"data_dir": self.data_dir}
        if self.epochs is not None:
            chosen["epochs"] = self.epochs
        return [
            TrainConfig.suited_to(data_name, **chosen | {"seed": seed} | variation)
            for variation in variations
            for seed in range(self.seeds or seeds)
        ]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a result: ours beside the paper's figure, None where it gives none."""

    label: str
    ours: str
    paper: str | None = None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Our values, of one run each, beside the paper's. digits: behind the point, in text."""

    label: str
    ours: list[float]
    paper: float
    digits: int = 2

    @property
    def row(self) -> Row:
        ours, paper = spread(self.ours, self.digits), f"{self.paper:.{self.digits}f}"
        return Row(label=self.label, ours=ours, paper=paper)


@dataclass(frozen=True, kw_only=True)
class Result:
    """title: with the paper's number. rows: for people. numbers: JSON values behind them.
    pictures: file names in the folder."""

    title: str
    rows: list[Row]
    numbers: dict
    pictures: list[str] = field(default_factory=list)


def by(runs: list[Run], *names: str) -> dict:
    """Runs with the same values of these keys of their configuration, by the value or values."""
    groups: dict = {}
    for run in runs:
        key = tuple(run.config[name] for name in names)
        groups.setdefault(key if len(names) > 1 else key[0], []).append(run)
    return groups


def spread(values: list[float], digits: int = 2) -> str:
    """Mean ± standard deviation, and the highest; of one value, itself."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    middle, deviation = mean(values), stdev(values)
    return f"{middle:.{digits}f} ± {deviation:.{digits}f}, best {max(values):.{digits}f}"


def accuracies(runs: list[Run]) -> list[float]:
    """In percent."""
    return [100 * run.accuracy for run in runs]


def numbers(runs: dict) -> dict:
    """Of groups of runs, as JSON values."""
    return {
        " ".join(map(str, key)) if isinstance(key, tuple) else str(key): [
            {
                "seed": run.config["seed"],
                "epochs": run.config["epochs"],
                "accuracy": run.accuracy,
                "top5": run.top5,
                "seconds": run.seconds,
            }
            for run in some
        ]
        for key, some in runs.items()
    }
