"""Trainings of an experiment: each is done once, its record and its network are kept."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import checkpoint, data
from ..archive import write_whole
from ..train import Epoch, TrainConfig, train

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training. accuracy: on the test images, 0 to 1. seconds: its wall time.
    curve: (loss, accuracy on the training images) of each epoch. network: its checkpoint."""

    config: dict
    accuracy: float
    seconds: float
    curve: list[tuple[float, float]]
    network: Path


def train_all(configs: list[TrainConfig], folder: Path, progress: Progress) -> list[Run]:
    """A run for each configuration, in order; those already in `folder` are not done again."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = sum(config.epochs for config in configs)
    runs, done = [], 0
    for config in configs:
        record = folder / f"{_name(config)}.json"
        if not record.exists():
            _train(config, record, lambda epoch, done=done: progress("epochs", done + epoch, steps))
        runs.append(_read(record))
        done += config.epochs
        progress("epochs", done, steps)
    return runs


def _train(config: TrainConfig, record: Path, on_epoch: Callable[[int], None]) -> None:
    history: list[Epoch] = []

    def note(epoch: Epoch) -> None:
        history.append(epoch)
        on_epoch(epoch.number)

    result = train(config, on_epoch=note, dataset=data.load(config.data, config.data_dir))
    portable = replace(result, config=replace(config, data_dir=None))
    checkpoint.save(portable, record.with_suffix(".pt"))
    content = {
        "config": asdict(portable.config),
        "accuracy": result.test_accuracy,
        "seconds": round(sum(epoch.seconds for epoch in history), 1),
        "curve": [(epoch.loss, epoch.train_accuracy) for epoch in history],
    }
    write_whole(record, (json.dumps(content, indent=1) + "\n").encode())


def _read(record: Path) -> Run:
    content = json.loads(record.read_text(encoding="utf-8"))
    return Run(**content, network=record.with_suffix(".pt"))


def _name(config: TrainConfig) -> str:
    """What people look for, and a digest of all that is not a default; not where the data lie."""
    default = asdict(TrainConfig())
    chosen = {k: v for k, v in asdict(config).items() if v != default[k] and k != "data_dir"}
    values = json.dumps(chosen, sort_keys=True)
    digest = hashlib.sha256(values.encode()).hexdigest()[:10]
    return f"{config.model}-{config.data}-{config.kind}-seed{config.seed}-{digest}"
