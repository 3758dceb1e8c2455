"""Time and memory of adder layers, forward and backward, as ratios to nn.Conv2d in the same run.

python benchmarks/adder_layer.py [--repeats 20] [--threads N] [--compile]
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy, unfold

from golden import kernels
from golden.adder_function import adder_conv2d
from golden.networks import lenet5_bn
from golden.optimizer import AdderSGD, parameter_groups

LAYERS = {
    # images, channels, height and width, filters, kernel, padding
    "LeNet-5 conv2, 6→16, 5×5, 14×14, batch 256": (256, 6, 14, 16, 5, 0),
    "ResNet-20, 16→16, 3×3, 32×32, batch 32": (32, 16, 32, 16, 3, 1),
    "ResNet-20, 64→64, 3×3, 8×8, batch 128": (128, 64, 8, 64, 3, 1),
}
TWIN = "nn.Conv2d"
FAST = (TWIN, "adder, compiled kernels")  # the others run a tenth as often


class Broadcast(torch.autograd.Function):
    """The formulas as the authors' public layer has them: every difference of filters ×
    reduction × positions in memory at once. columns: (reduction, positions)."""

    @staticmethod
    def forward(ctx, columns, filters):
        ctx.save_for_backward(columns, filters)
        return -(columns[None] - filters[:, :, None]).abs().sum(1)

    @staticmethod
    def backward(ctx, grad_output):
        columns, filters = ctx.saved_tensors
        step = columns[None] - filters[:, :, None]
        grad_filters = (step * grad_output[:, None]).sum(2)
        return (-step.clamp(-1, 1) * grad_output[:, None]).sum(0), grad_filters


def broadcast(input: Tensor, weight: Tensor, padding: int) -> Tensor:
    columns = unfold(input, weight.shape[2], padding=padding).permute(1, 2, 0)
    output = Broadcast.apply(columns.flatten(1), weight.flatten(1))
    side = input.shape[2] + 2 * padding - weight.shape[2] + 1
    return output.view(len(weight), side, side, len(input)).permute(3, 0, 1, 2)


def cdist(input: Tensor, weight: Tensor, padding: int) -> Tensor:
    """With the derivative that torch.cdist has: signs, not the paper's gradients."""
    columns = unfold(input, weight.shape[2], padding=padding).mT
    return -torch.cdist(columns, weight.flatten(1), p=1).mT


def kernel(input: Tensor, weight: Tensor, padding: int) -> Tensor:
    return adder_conv2d(input, weight, padding=(padding, padding))


def candidates(compiled: bool) -> dict[str, Callable]:
    layers = {TWIN: conv2d, "adder, compiled kernels": kernel, "adder, plain PyTorch": kernel}
    layers |= {"torch.cdist": cdist, "broadcast": broadcast}
    return layers | ({"broadcast, torch.compile": torch.compile(broadcast)} if compiled else {})


def passes(name: str, layer: Callable, shape: tuple[int, ...]) -> Callable[[], None]:
    """A call of forward and backward on fixed tensors."""
    images, channels, size, filters, kernel_size, padding = shape
    torch.manual_seed(0)
    input = torch.randn(images, channels, size, size, requires_grad=True)
    weight = torch.randn(filters, channels, kernel_size, kernel_size, requires_grad=True)
    upstream = torch.randn(conv2d(input, weight, padding=padding).shape)

    def call():
        input.grad = weight.grad = None
        output = layer(input, weight, padding=padding)
        output.backward(upstream.view_as(output))

    def call_without_kernels():
        with mock.patch.object(kernels, "load", lambda: None):
            call()

    return call_without_kernels if name == "adder, plain PyTorch" else call


def training_step(kind: str) -> Callable[[], None]:
    """A step of LeNet-5-BN on 256 images of 32 × 32."""
    torch.manual_seed(0)
    network = lenet5_bn(kind)
    optimizer = AdderSGD(parameter_groups(network), lr=0.1)
    images, labels = torch.randn(256, 1, 32, 32), torch.randint(10, (256,))

    def call():
        optimizer.zero_grad()
        cross_entropy(network(images), labels).backward()
        optimizer.step()

    return call


def best_times(calls: dict[str, Callable], repeats: dict[str, int]) -> dict[str, float]:
    """Seconds of each call's fastest run; the calls take turns, so that all see the same load."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for turn in range(max(repeats.values())):
        for name, call in calls.items():
            if turn < repeats[name]:
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
    return {name: min(seconds) for name, seconds in times.items()}


def memory_line(name: str) -> int:
    """Bytes that /proc/self/status gives for VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _measure_memory(result, threads: int, name: str, layer: Callable, shape: tuple) -> None:
    torch.set_num_threads(threads)
    passes(name, layer, (2, *shape[1:]))()  # loads libraries
    call = passes(name, layer, shape)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = memory_line("VmRSS")
    call()
    result.put(memory_line("VmHWM") - before)


def peak_memory(*arguments) -> int:
    """Bytes that forward and backward take beyond input, weight and upstream gradient (Linux)."""
    fork = multiprocessing.get_context("fork")
    result = fork.SimpleQueue()
    process = fork.Process(target=_measure_memory, args=(result, *arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the measurement of {arguments[1]} ended with {process.exitcode}")
    return result.get()


def print_rows(rows: dict[str, tuple[float, float | None]], twin: str) -> None:
    """rows: seconds and bytes by name."""
    seconds, size = rows[twin]
    for name, (row_seconds, row_size) in rows.items():
        memory = "" if row_size is None else f"{row_size / 2**20:8.1f} MiB  {row_size / size:6.2f}"
        print(f"  {name:26}{1e3 * row_seconds:10.2f} ms  {row_seconds / seconds:8.2f}{memory}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="also torch.compile of broadcast")
    options = parser.parse_args()
    if kernels.load() is None:
        raise SystemExit("the kernels could not be built")
    layers = candidates(options.compile)
    sizes = {  # before threads are started, since processes with threads do not fork
        (title, name): peak_memory(options.threads, name, layers[name], shape)
        for title, shape in LAYERS.items()
        for name in layers
    }
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads; forward + backward; ratios to {TWIN}")
    repeats = {
        name: options.repeats if name in FAST else max(1, options.repeats // 10) for name in layers
    }
    for title, shape in LAYERS.items():
        calls = {name: passes(name, layer, shape) for name, layer in layers.items()}
        times = best_times(calls, repeats)
        print(title)
        print_rows({name: (times[name], sizes[title, name]) for name in layers}, TWIN)
    steps = {kind: training_step(kind) for kind in ("adder", "cnn")}
    times = best_times(steps, dict.fromkeys(steps, options.repeats))
    print("LeNet-5-BN, a training step, batch 256")
    print_rows({kind: (seconds, None) for kind, seconds in times.items()}, "cnn")


if __name__ == "__main__":
    main()
