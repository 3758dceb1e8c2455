"""A training under way: what changes from step to step, one epoch of it, and what comes of it."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import torch
from torch.nn.functional import cross_entropy

from .batches import batches, count_batches
from .data import Dataset
from .distributed import Processes
from .networks import NETWORKS
from .optimizer import AdderSGD, adaptive_filters, parameter_groups
from .train_config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch's mean loss, accuracy on the training images as seen (0 … 1), seconds, the
    learning rate of its last step, and, where it was asked for, accuracy on the test images."""

    number: int
    loss: float
    train_accuracy: float
    seconds: float
    images_per_second: float = math.nan
    learning_rate: float = math.nan
    test_accuracy: float = math.nan


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The trained network, in evaluation mode, on the CPU; accuracies are from 0 to 1.

    test_top5: of the test images, those whose class is among the five of the highest logits; None
    where it was not kept. start: `Start.record` of the checkpoint that the training
    began from, None for weights drawn at random.
    """

    config: TrainConfig
    network: torch.nn.Module
    history: tuple[Epoch, ...]
    test_accuracy: float
    test_top5: float | None = None
    start: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step, of `steps` in all, in an epoch; loss and accuracy are the epoch's until here."""

    epoch: int
    number: int
    steps: int
    loss: float
    train_accuracy: float
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Start:
    """Weights to start from, read by `golden.start`. tensors: the whole state of the network. file:
    the checkpoint's name, without its folder. sha256: of its content."""

    file: str
    sha256: str
    tensors: dict[str, torch.Tensor]

    @property
    def record(self) -> dict[str, str]:
        """What a training keeps of it."""
        return {"file": self.file, "sha256": self.sha256}


OnStep = Callable[[Step], None]
# Whose ordinary and binary layers are faster on channels-last maps, by 10 to 17 % of a step on a
# CPU; LeNet's, with few channels, are slower so, and adder layers compute on contiguous ones.
CHANNELS_LAST = ("vgg-small", "resnet20", "resnet32", "resnet18", "resnet50")


def build_network(config: TrainConfig) -> torch.nn.Module:
    """The untrained network, its weights drawn from the config's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        build = NETWORKS[config.model]
        network = build(kind=config.kind, gradient=config.gradient, classes=config.outputs)
        if config.init == "xavier":
            for weight in adaptive_filters(network):
                torch.nn.init.xavier_normal_(weight)
    return network


def memory_format(model: str, kind: str, device: torch.device) -> torch.memory_format:
    """In which order of a map's values this network trains fastest; it learns the same up to
    rounding."""
    last = model in CHANNELS_LAST and kind in ("cnn", "bnn") and device.type == "cpu"
    return torch.channels_last if last else torch.contiguous_format


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
        order = memory_format(config.model, config.kind, group.device)
        self.network = build_network(config).to(group.device, memory_format=order)
        self.joined = group.joined(self.network)
        self.optimizer = AdderSGD(
            parameter_groups(self.network, config.filter_decay),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            eta=config.eta,
            rate=config.schedule,
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.history: list[Epoch] = []
        self.start: dict[str, str] | None = None

    def begin_from(self, start: Start) -> None:
        """Take its weights in place of those drawn at random."""
        self.network.load_state_dict(start.tensors)
        self.start = start.record

    def state(self) -> dict:
        """All that later epochs depend on; the learning rate follows from the number of epochs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "history": [asdict(epoch) for epoch in self.history],
            "start": self.start,
        }

    def restore(self, state: dict) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.start = state.get("start")

    def run_epoch(self, on_step: OnStep | None = None) -> Epoch:
        """Train for one more epoch. Raises ValueError when loss or weights are not finite."""
        number, steps = len(self.history) + 1, count_batches(self.dataset, self.config)
        self.joined.train()
        sums = _Sums()
        parts = batches(self.dataset, self.config, self.generator, self.group.share)
        for step, (images, labels, size) in enumerate(parts, 1):
            done = (number - 1) * steps + step - 1
            rate = self.config.rate_at(done / (self.config.epochs * steps))
            loss, correct = self._step(images, labels, size, rate)
            _check_loss(loss, number, step)
            self._check_weights(number, step)
            sums.add(size, loss, correct)
            if on_step is not None:
                on_step(Step(epoch=number, number=step, steps=steps, **sums.means()))
        epoch = Epoch(number=number, seconds=sums.seconds, learning_rate=rate, **sums.means())
        self.history.append(epoch)
        return epoch

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

    def _check_weights(self, epoch: int, step: int) -> None:
        """Binary layers take the sign of what is not a number, too, and so hide it from the loss;
        and a step can end in weights that only the next loss would show."""
        with torch.no_grad():
            sums = torch.stack([parameter.sum() for parameter in self.network.parameters()])
        if not sums.isfinite().all():
            finite = sums.isfinite().tolist()
            name = [name for name, _ in self.network.named_parameters()][finite.index(False)]
            raise ValueError(
                f"weights must stay finite, but {name} is not after epoch {epoch}, step {step}; "
                "check the images, or lower learning_rate or eta"
            )


@dataclass
class _Sums:
    """What an epoch has seen so far."""

    started: float = field(default_factory=time.perf_counter)
    images: int = 0
    loss: float = 0.0
    correct: float = 0.0

    def add(self, images: int, loss: float, correct: float) -> None:
        self.images += images
        self.loss += loss
        self.correct += correct

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def means(self) -> dict[str, float]:
        """The fields that `Step` and `Epoch` share."""
        return {
            "loss": self.loss / self.images,
            "train_accuracy": self.correct / self.images,
            "images_per_second": self.images / self.seconds,
        }


def _check_loss(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise ValueError(
            f"the loss must stay finite, but was {loss} in epoch {epoch}, step {step}; lower "
            "learning_rate or eta"
        )
