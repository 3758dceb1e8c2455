"""What the runner gives a bench, and what the bench gives back, as files in the run's folder."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from golden.archive import load_arrays, save_arrays, write_whole
from hw.config import ArrayConfig

from .workload import MatrixForm

JOB_VARIABLE = "ADDERFORGE_JOB"
RESULTS = "results.json"
LEFT_MAPS = "maps.bin"  # words of the external memory, as bytes


@dataclass(frozen=True, kw_only=True)
class FormResult:
    """What simulating one matrix form showed. first_mismatch: (row, column, expected, actual).
    leftover_rows: rows of sums beyond those that the schedule says must come out."""

    name: str
    shape: tuple[int, int, int]
    compared: int
    mismatches: int
    first_mismatch: tuple[int, int, int, int] | None
    cycles: int
    predicted_cycles: int
    leftover_rows: int

    @property
    def passed(self) -> bool:
        counted_right = self.cycles == self.predicted_cycles and self.leftover_rows == 0
        return self.mismatches == 0 and counted_right

    @property
    def summary(self) -> str:
        sums = f"{self.compared} sums, {self.mismatches} wrong"
        return f"{sums}; {self.cycles} cycles, {self.predicted_cycles} predicted"


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """What one scenario showed. rows: of sums that were due. compared, mismatches: sums. missing,
    unexpected: rows that did not come when due, or came when none was. first: what differed
    first, in words, or None."""

    name: str
    seed: int
    cycles: int
    rows: int
    compared: int
    mismatches: int
    missing: int
    unexpected: int
    first: str | None

    @property
    def passed(self) -> bool:
        return self.first is None

    @property
    def summary(self) -> str:
        """Counts, and after a failure the seed and what differed first before them."""
        sums = f"{self.compared} sums, {self.mismatches} wrong"
        rows = f"{self.rows} rows, {self.missing} missing, {self.unexpected} unexpected"
        counts = f"{sums}; {rows}; {self.cycles} cycles"
        return counts if self.passed else f"seed {self.seed}: {self.first}; {counts}"


def write_job(path: Path, config: ArrayConfig, forms: Iterable[MatrixForm]) -> None:
    """Write the array's configuration and the matrix forms as one .npz."""
    members = {"config": np.array(config.model_dump_json())}
    for index, form in enumerate(forms):
        members[f"{index:03}.name"] = np.array(form.name)
        for field in ("activations", "weights", "sums"):
            members[f"{index:03}.{field}"] = getattr(form, field)
    save_arrays(members, path)


def read_job(path: Path) -> tuple[ArrayConfig, list[MatrixForm]]:
    members = load_arrays(path)
    config = ArrayConfig(**json.loads(str(members.pop("config"))))
    forms = []
    for index in range(len(members) // 4):
        name = str(members[f"{index:03}.name"])
        fields = {f: members[f"{index:03}.{f}"] for f in ("activations", "weights", "sums")}
        forms.append(MatrixForm(name=name, **fields))
    return config, forms


def write_scenario_job(path: Path, config: ArrayConfig, seed: int) -> None:
    """Write what the scenarios follow from as JSON."""
    write_whole(path, json.dumps({"config": config.model_dump(), "seed": seed}).encode())


def read_scenario_job(path: Path) -> tuple[ArrayConfig, int]:
    job = json.loads(path.read_text(encoding="utf-8"))
    return ArrayConfig(**job["config"]), job["seed"]


def write_results(folder: Path, results: list[FormResult] | list[ScenarioResult]) -> None:
    text = json.dumps([asdict(result) for result in results], indent=1)
    write_whole(folder / RESULTS, text.encode())


def read_results(folder: Path) -> list[FormResult]:
    entries = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    for entry in entries:
        for name in ("shape", "first_mismatch"):
            entry[name] = entry[name] and tuple(entry[name])
    return [FormResult(**entry) for entry in entries]


def read_scenario_results(folder: Path) -> list[ScenarioResult]:
    entries = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    return [ScenarioResult(**entry) for entry in entries]
