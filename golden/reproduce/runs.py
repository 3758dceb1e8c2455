"""Trainings of an experiment: each is done once, its record and its network are kept."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import checkpoint, data, state
from ..archive import write_whole
from ..train import Step, TrainConfig, train
from ..training import OnStep

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished training. accuracy, top5: on the test images, 0 to 1. seconds: its wall time.
    curve: (loss, accuracy on the training images) of each epoch. test_curve: accuracy on the test
    images after each epoch. network: its checkpoint. top5 and test_curve: None where a record has
    none; so is a value of test_curve."""

    config: dict
    accuracy: float
    seconds: float
    curve: list[tuple[float, float]]
    network: Path
    top5: float | None = None
    test_curve: list[float | None] | None = None


def train_all(
    configs: list[TrainConfig], folder: Path, progress: Progress, test_epochs: bool = False
) -> list[Run]:
    """A run for each configuration, in order; those already in `folder` are not done again, and
    one that was broken off goes on after its last whole epoch.

    test_epochs: with their test_curve; a run that has none is done again.
    """
    records = [folder / f"{_name(config)}.json" for config in configs]
    missing = [
        (config, record)
        for config, record in zip(configs, records, strict=True)
        if not record.exists() or (test_epochs and _read(record).test_curve is None)
    ]
    clock = Clock([config for config, _ in missing], progress)
    for config, record in missing:
        _train(config, record, clock.follow(config), test_epochs)
    return [_read(record) for record in records]


class Clock:
    """Tells `progress` which of the trainings is at which epoch, and how long all of them may
    still take at the mean speed so far. count and total of `progress`: epochs."""

    def __init__(self, configs: list[TrainConfig], progress: Progress) -> None:
        self.progress, self.count = progress, len(configs)
        self.total = sum(config.epochs for config in configs)
        self.number, self.before = 0, 0  # of the training under way; epochs before it
        self.taken_over = 0  # epochs that were done before the clock started
        self.started = time.monotonic()

    def follow(self, config: TrainConfig) -> OnStep:
        """For the steps of the next training."""
        self.number += 1
        number, before, begun = self.number, self.before, False
        self.before += config.epochs

        def on_step(step: Step) -> None:
            nonlocal begun
            if not begun:
                begun, self.taken_over = True, self.taken_over + step.epoch - 1
            done = before + step.epoch - 1 + step.number / step.steps
            pace = (time.monotonic() - self.started) / (done - self.taken_over)
            what = (
                f"run {number} of {self.count} ({config.model} {config.kind}, seed {config.seed}), "
                f"epoch {step.epoch}/{config.epochs}, about {_duration(pace * (self.total - done))}"
                " left; epochs"
            )
            self.progress(what, int(done), self.total)

        return on_step


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _train(config: TrainConfig, record: Path, on_step: OnStep, test_epochs: bool) -> None:
    dataset = data.load(config.data, config.data_dir, config.classes)
    record.parent.mkdir(parents=True, exist_ok=True)
    state_file = record.with_suffix(".state")
    state.remove_leftovers(state_file)
    result = train(
        config,
        dataset=dataset,
        on_step=on_step,
        state_file=state_file,
        test_epochs=test_epochs,
    )
    portable = replace(result, config=replace(config, data_dir=None))
    checkpoint.save(portable, record.with_suffix(".pt"))
    content = {
        "config": asdict(portable.config),
        "accuracy": result.test_accuracy,
        "top5": result.test_top5,
        "seconds": round(sum(epoch.seconds for epoch in result.history), 1),
        "curve": [(epoch.loss, epoch.train_accuracy) for epoch in result.history],
    }
    if test_epochs:
        tested = [epoch.test_accuracy for epoch in result.history]
        content["test_curve"] = [None if math.isnan(share) else share for share in tested]
    write_whole(record, (json.dumps(content, indent=1) + "\n").encode())
    state_file.unlink()


def _read(record: Path) -> Run:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return Run(**content, network=record.with_suffix(".pt"))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{record}: must be the record of a training, and is damaged or another file "
            f"({error}); remove it to train again"
        ) from None


def _name(config: TrainConfig) -> str:
    """What people look for, and a digest of all that is not a default; not where the data lie."""
    default = asdict(TrainConfig())
    chosen = {k: v for k, v in asdict(config).items() if v != default[k] and k != "data_dir"}
    values = json.dumps(chosen, sort_keys=True)
    digest = hashlib.sha256(values.encode()).hexdigest()[:10]
    return f"{config.model}-{config.data}-{config.kind}-seed{config.seed}-{digest}"
