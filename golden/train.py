"""Training of float networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from . import data, state
from .distributed import processes
from .images import Images
from .memory import keep_freed_memory
from .train_config import TrainConfig
from .training import Epoch, OnStep, Start, Step, Training, TrainResult, build_network

__all__ = [
    "Epoch",
    "Score",
    "Start",
    "Step",
    "TrainConfig",
    "TrainResult",
    "build_network",
    "evaluate",
    "train",
]

OnEpoch = Callable[[Epoch], None]
ELEMENTS = 4_000_000  # of the images that `evaluate` takes at once, and at most
IMAGES = 1000


class Score(NamedTuple):
    """Shares of images whose class has the highest logit, and a logit among the five highest."""

    top1: float
    top5: float


def train(
    config: TrainConfig,
    on_epoch: OnEpoch | None = None,
    dataset: data.Dataset | None = None,
    *,
    on_step: OnStep | None = None,
    state_file: Path | None = None,
    start: Start | None = None,
    test_epochs: bool = False,
    device: str = "auto",
) -> TrainResult:
    """Train a network as sections 4.1 to 4.3 do: NAG, falling learning rate, Eq. 12 and 13.

    The same seed gives the same network on one machine with one number of threads. The test
    images are looked at once, at the end, and with `test_epochs` after every epoch too, which
    changes nothing else. dataset: in place of the one that the config names.

    state_file: written after every epoch. If it is there already, training goes on from it and
    ends with the same network, bit for bit, as if it had never been broken off; `on_epoch` is told
    the epochs in it first. Under torchrun every process calls this and gets the whole result; the
    first writes the file, and all must see it. device: "cpu", "cuda" or "auto".

    start: weights to start from, see `golden.start`; without effect on a training that goes on
    from its state.

    Raises ValueError when the loss is no longer finite, and says where; the file keeps the state
    after the epoch before. Likewise on a damaged file, or one of another configuration.
    """
    keep_freed_memory()
    dataset = dataset or data.load(config.data, config.data_dir, config.classes)
    on_epoch = on_epoch or (lambda epoch: None)
    with processes(device) as group:
        training = Training(config, dataset, group)
        if state_file is not None and Path(state_file).exists():
            training.restore(state.load(config, state_file))
        elif start is not None:
            training.begin_from(start)
        for epoch in training.history:
            on_epoch(epoch)
        _run(training, on_epoch, on_step, state_file, test_epochs)
        network = build_network(config)
        network.load_state_dict(training.network.state_dict())
        score = _score(training)
    return TrainResult(
        config=config,
        network=network.eval(),
        history=tuple(training.history),
        test_accuracy=score.top1,
        test_top5=score.top5,
        start=training.start,
    )


def evaluate(network: nn.Module, images: Images, labels: np.ndarray) -> Score:
    """How well `network`, which stays in evaluation mode, does."""
    device = next(network.parameters()).device
    first, five = _correct(network, images, labels, device, slice(None))
    return Score(top1=first / len(labels), top5=five / len(labels))


def _run(
    training: Training,
    on_epoch: OnEpoch,
    on_step: OnStep | None,
    state_file: Path | None,
    test_epochs: bool,
) -> None:
    writes = state_file is not None and training.group.rank == 0
    while len(training.history) < training.config.epochs:
        try:
            epoch = training.run_epoch(on_step)
        except ValueError as error:
            if training.history and state_file is not None:
                raise ValueError(
                    f"{error}; the state after epoch {len(training.history)} is kept in "
                    f"{state_file}, from which another training can start (--from-checkpoint)"
                ) from None
            raise
        if test_epochs:
            epoch = training.history[-1] = replace(epoch, test_accuracy=_score(training).top1)
        if writes:
            state.save(training.config, training.state(), state_file)
        on_epoch(epoch)


def _score(training: Training) -> Score:
    """On the test images, each process its share of them."""
    images, labels = training.dataset.test_images, training.dataset.test_labels
    group = training.group
    counts = _correct(training.network, images, labels, group.device, group.share)
    first, five = group.total(*counts)
    return Score(top1=first / len(labels), top5=five / len(labels))


def _correct(
    network: nn.Module, images: Images, labels: np.ndarray, device: torch.device, share: slice
) -> tuple[int, int]:
    """Images classified right, and those with their class among five, in this share of the
    batches."""
    network.eval()
    size = int(min(IMAGES, max(1, ELEMENTS // np.prod(images.shape[1:]))))
    first, five = 0, 0
    with torch.no_grad():
        for begin in range(0, len(labels), size)[share]:
            part = torch.from_numpy(images[begin : begin + size]).to(device)
            wanted = torch.from_numpy(labels[begin : begin + size]).to(device)
            output = network(part)
            first += int((output.argmax(1) == wanted).sum())
            highest = output.topk(min(5, output.shape[1])).indices
            five += int((highest == wanted[:, None]).sum())
    return first, five
