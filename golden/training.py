"""A training under way: what changes from step to step, and one epoch of it."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch.nn.functional import cross_entropy

from .batches import batches, count_batches
from .data import Dataset
from .distributed import Processes
from .networks import NETWORKS
from .optimizer import AdderSGD, parameter_groups
from .train_config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch's mean loss, accuracy on the training images as seen (0 … 1), seconds, and the
    learning rate of its last step."""

    number: int
    loss: float
    train_accuracy: float
    seconds: float
    images_per_second: float = math.nan
    learning_rate: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step, of `steps` in all, in an epoch; loss and accuracy are the epoch's until here."""

    epoch: int
    number: int
    steps: int
    loss: float
    train_accuracy: float
    images_per_second: float


OnStep = Callable[[Step], None]


def build_network(config: TrainConfig) -> torch.nn.Module:
    """The untrained network, its weights drawn from the config's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        build = NETWORKS[config.model]
        return build(kind=config.kind, gradient=config.gradient, classes=config.outputs)


class Training:
    """Network, optimizer, random generator and history of a training, in this process."""

    def __init__(self, config: TrainConfig, dataset: Dataset, group: Processes) -> None:
        smallest = min(config.batch_size, len(dataset.train_images))
        if group.count > smallest:
            raise ValueError(
                f"processes must not be more than the images of a batch, {smallest}, but are "
                f"{group.count}; start fewer"
            )
        self.config, self.dataset, self.group = config, dataset, group
        self.network = build_network(config).to(group.device)
        self.joined = group.joined(self.network)
        self.optimizer = AdderSGD(
            parameter_groups(self.network),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            eta=config.eta,
            rate=config.schedule,
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.history: list[Epoch] = []

    def state(self) -> dict:
        """All that later epochs depend on; the learning rate follows from the number of epochs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]

    def run_epoch(self, on_step: OnStep | None = None) -> Epoch:
        """Train for one more epoch. Raises ValueError when loss or weights are not finite."""
        number, start = len(self.history) + 1, time.perf_counter()
        steps = count_batches(self.dataset, self.config)
        self.joined.train()
        seen, loss, correct = 0, 0.0, 0.0
        parts = batches(self.dataset, self.config, self.generator, self.group.share)
        for step, (images, labels, size) in enumerate(parts, 1):
            done = (number - 1) * steps + step - 1
            rate = self.config.rate_at(done / (self.config.epochs * steps))
            batch_loss, batch_correct = self._step(images, labels, size, rate)
            if not math.isfinite(batch_loss):
                raise ValueError(
                    f"the loss must stay finite, but was {batch_loss} in epoch {number}, step "
                    f"{step}; lower learning_rate or eta"
                )
            seen, loss, correct = seen + size, loss + batch_loss, correct + batch_correct
            speed = seen / (time.perf_counter() - start)
            if on_step is not None:
                on_step(
                    Step(
                        epoch=number,
                        number=step,
                        steps=steps,
                        loss=loss / seen,
                        train_accuracy=correct / seen,
                        images_per_second=speed,
                    )
                )
        self._check_weights(number)
        self.history.append(
            Epoch(
                number=number,
                loss=loss / seen,
                train_accuracy=correct / seen,
                seconds=time.perf_counter() - start,
                images_per_second=speed,
                learning_rate=rate,
            )
        )
        return self.history[-1]

    def _step(self, images, labels, size: int, rate: float) -> tuple[float, float]:
        """The whole batch's summed loss and right answers, before the step is taken."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, labels = images.to(self.group.device), labels.to(self.group.device)
        output = self.joined(images)
        loss = cross_entropy(output, labels, reduction="sum")
        self.optimizer.zero_grad()
        (loss * (self.group.count / size)).backward()  # processes are averaged, see `joined`
        self.optimizer.step()
        correct = (output.argmax(1) == labels).sum()
        total_loss, total_correct = self.group.total(loss.item(), correct.item())
        return total_loss, total_correct

    def _check_weights(self, number: int) -> None:
        for name, parameter in self.network.named_parameters():
            if not parameter.isfinite().all():
                raise ValueError(
                    f"weights must stay finite, but {name} is not after epoch {number}; lower "
                    "learning_rate or eta"
                )
