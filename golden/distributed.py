"""Training in several processes, each with its share of every batch, started by `torchrun`.

Batch norm takes its mean and variance over the whole batch, and the loss is the whole batch's, so
the number of processes changes the result by rounding only.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process is number `rank` of `count`, and computes on `device`."""

    rank: int
    count: int
    device: torch.device

    @property
    def share(self) -> slice:
        """This process's part of every batch."""
        return slice(self.rank, None, self.count)

    def total(self, *numbers: float) -> list[float]:
        """The sum of each number over all processes."""
        if self.count == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        distributed.all_reduce(values)
        return values.tolist()

    def joined(self, network: nn.Module) -> nn.Module:
        """`network` with batch norms over whole batches and gradients averaged over processes; it
        shares its parameters. Exactly `network` with one process."""
        if self.count == 1:
            return network
        _synchronize(network)
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Those that torchrun started, joined until the end; without torchrun, this one alone.

    device: "cpu", "cuda", or "auto" for a GPU if there is one. On GPUs, untested: no machine with
    one was at hand. Raises ValueError on other words and when there is no GPU.
    """
    rank, count = rank_and_count()
    place = _device(device)
    if count == 1:
        yield Processes(rank=0, count=1, device=place)
        return
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Processes(rank=rank, count=count, device=place)
    finally:
        distributed.destroy_process_group()


def rank_and_count() -> tuple[int, int]:
    """This process's rank and the number of processes, as torchrun has set them; 0 and 1 else."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _device(name: str) -> torch.device:
    if name not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be there, but PyTorch finds no GPU; choose cpu or auto")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


class _Total(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Total.forward(ctx, gradient.contiguous())


class SyncedBatchNorm(nn.Module):
    """A batch norm whose mean and variance are those of all processes' images together; it has the
    parameters and buffers of `norm`, under the same names. Unlike `nn.SyncBatchNorm`, it runs on
    CPUs."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.eps, self.momentum = norm.eps, norm.momentum
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, input: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (input.dim() - 2)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        if not self.training:
            mean, variance = self.running_mean, self.running_var
            centered = input - mean.view(shape)
        else:
            elements = input.new_full((1,), input.numel() / input.shape[1])
            sums = _Total.apply(torch.cat([input.sum(axes), elements]))
            count = sums[-1].detach()
            mean = sums[:-1] / count
            centered = input - mean.view(shape)
            variance = _Total.apply(centered.square().sum(axes)) / count
            self._track(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return centered * scale.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


def _synchronize(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, SyncedBatchNorm(child))
        else:
            _synchronize(child)
