"""Training of float networks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import data, state
from .distributed import processes
from .images import Images
from .train_config import TrainConfig
from .training import Epoch, OnStep, Step, Training, build_network

__all__ = [
    "Epoch",
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


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The trained network, in evaluation mode, on the CPU; accuracies are from 0 to 1."""

    config: TrainConfig
    network: nn.Module
    history: tuple[Epoch, ...]
    test_accuracy: float


def train(
    config: TrainConfig,
    on_epoch: OnEpoch | None = None,
    dataset: data.Dataset | None = None,
    *,
    on_step: OnStep | None = None,
    state_file: Path | None = None,
    device: str = "auto",
) -> TrainResult:
    """Train a network as sections 4.1 to 4.3 do: NAG, falling learning rate, Eq. 12 and 13.

    The same seed gives the same network on one machine with one number of threads. The test
    images are looked at once, at the end. dataset: in place of the one that the config names.

    state_file: written after every epoch. If it is there already, training goes on from it and
    ends with the same network, bit for bit, as if it had never been broken off; `on_epoch` is told
    the epochs in it first. Under torchrun every process calls this and gets the whole result; the
    first writes the file, and all must see it. device: "cpu", "cuda" or "auto".

    Raises ValueError when the loss is no longer finite, and says where; the file keeps the state
    after the epoch before. Likewise on a damaged file, or one of another configuration.
    """
    dataset = dataset or data.load(config.data, config.data_dir, config.classes)
    on_epoch = on_epoch or (lambda epoch: None)
    with processes(device) as group:
        training = Training(config, dataset, group)
        if state_file is not None and Path(state_file).exists():
            training.restore(state.load(config, state_file))
        for epoch in training.history:
            on_epoch(epoch)
        _run(training, on_epoch, on_step, state_file)
        network = build_network(config)
        network.load_state_dict(training.network.state_dict())
        correct = _correct(
            training.network, dataset.test_images, dataset.test_labels, group.device, group.share
        )
        accuracy = group.total(correct)[0] / len(dataset.test_labels)
    return TrainResult(
        config=config,
        network=network.eval(),
        history=tuple(training.history),
        test_accuracy=accuracy,
    )


def evaluate(network: nn.Module, images: Images, labels: np.ndarray) -> float:
    """Accuracy from 0 to 1 of `network`, which stays in evaluation mode."""
    device = next(network.parameters()).device
    return _correct(network, images, labels, device, slice(None)) / len(labels)


def _run(
    training: Training, on_epoch: OnEpoch, on_step: OnStep | None, state_file: Path | None
) -> None:
    writes = state_file is not None and training.group.rank == 0
    while len(training.history) < training.config.epochs:
        try:
            epoch = training.run_epoch(on_step)
        except ValueError as error:
            if training.history and state_file is not None:
                done = f"the state after epoch {len(training.history)} is kept in {state_file}"
                raise ValueError(f"{error}; {done}") from None
            raise
        if writes:
            state.save(training.config, training.state(), state_file)
        on_epoch(epoch)


def _correct(
    network: nn.Module, images: Images, labels: np.ndarray, device: torch.device, share: slice
) -> int:
    """Images classified right, in this share of the batches."""
    network.eval()
    size = int(min(IMAGES, max(1, ELEMENTS // np.prod(images.shape[1:]))))
    correct = 0
    with torch.no_grad():
        for start in range(0, len(labels), size)[share]:
            part = torch.from_numpy(images[start : start + size]).to(device)
            predicted = network(part).argmax(1).cpu().numpy()
            correct += int((predicted == labels[start : start + size]).sum())
    return correct
