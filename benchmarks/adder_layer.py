"""Time and memory of adder layers, forward and backward, as ratios to nn.Conv2d in the same run.

python benchmarks/adder_layer.py [--repeats 20] [--threads 1] [--march x86-64-v3] [--compile]
python benchmarks/adder_layer.py --device cuda [--peak-tflops 19.5]

On a GPU it has never been run.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy, unfold

from golden import kernels
from golden.adder_function import adder_conv2d
from golden.memory import keep_freed_memory
from golden.networks import build
from golden.optimizer import AdderSGD, parameter_groups
from golden.training import memory_format

LAYERS = {
    # images, channels, height and width, filters, kernel, padding
    "LeNet-5 conv2, 6→16, 5×5, 14×14, batch 256": (256, 6, 14, 16, 5, 0),
    "ResNet-20, 16→16, 3×3, 32×32, batch 32": (32, 16, 32, 16, 3, 1),
    "ResNet-20, 64→64, 3×3, 8×8, batch 128": (128, 64, 8, 64, 3, 1),
}
TWIN = "nn.Conv2d"
KERNELS = "adder, compiled kernels"
FAST = (TWIN, KERNELS)  # the others run a tenth as often
STEPS = {  # network, images, image
    "LeNet-5-BN, a training step, batch 256": ("lenet5-bn", 256, (1, 32, 32)),
    "ResNet-20, a training step, batch 128": ("resnet20", 128, (3, 32, 32)),
}
KINDS = {  # kind of layers, gradient of adder filters
    "cnn": ("cnn", "full"),
    "adder": ("adder", "full"),
    "adder, sign gradient": ("adder", "sign"),
}
OPERATIONS = 6  # of each distance: a difference and a sum, forward and in both gradients
# Vector operations of a term on a CPU: a multiply-add in each of the three passes; of an adder
# layer also a maximum forward, a difference and a clipping for the input's gradient.
VECTOR_OPERATIONS = {TWIN: 3, KERNELS: 6}
PRODUCT = 1024  # side of the matrices whose product shows how many a CPU can do


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
    layers = {TWIN: conv2d, KERNELS: kernel, "adder, plain PyTorch": kernel}
    layers |= {"torch.cdist": cdist, "broadcast": broadcast}
    if compiled:
        layers["broadcast, torch.compile"] = torch.compile(broadcast, dynamic=False)
    return layers


def passes(name: str, layer: Callable, shape: tuple[int, ...], device: str) -> Callable[[], None]:
    """A call of forward and backward on fixed tensors."""
    images, channels, size, filters, kernel_size, padding = shape
    torch.manual_seed(0)
    where = {"device": device, "requires_grad": True}
    input = torch.randn(images, channels, size, size, **where)
    weight = torch.randn(filters, channels, kernel_size, kernel_size, **where)
    upstream = torch.randn_like(conv2d(input, weight, padding=padding))

    def call():
        input.grad = weight.grad = None
        output = layer(input, weight, padding=padding)
        output.backward(upstream.view_as(output))

    def call_without_kernels():
        with mock.patch.object(kernels, "suited", lambda *tensors: None):
            call()

    return call_without_kernels if name == "adder, plain PyTorch" else call


def training_step(
    kind: str, gradient: str, model: str, images: int, image: tuple, device: str
) -> Callable:
    """A call of a step on random images."""
    torch.manual_seed(0)
    order = memory_format(model, kind, torch.device(device))
    network = build(model, kind, gradient).to(device, memory_format=order)
    optimizer = AdderSGD(parameter_groups(network), lr=0.1)
    batch = torch.randn(images, *image, device=device)
    labels = torch.randint(10, (images,), device=device)

    def call():
        optimizer.zero_grad()
        cross_entropy(network(batch), labels).backward()
        optimizer.step()

    return call


def seconds_on_cpu(call: Callable[[], None], clock: Callable = time.perf_counter) -> float:
    start = clock()
    call()
    return clock() - start


def seconds_on_gpu(call: Callable[[], None]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1e3


def best_times(
    calls: dict[str, Callable], repeats: dict[str, int], seconds: Callable = seconds_on_cpu
) -> dict[str, float]:
    """Seconds of each call's fastest run; the calls take turns, so that all see the same load."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for turn in range(max(repeats.values())):
        for name, call in calls.items():
            if turn < repeats[name]:
                times[name].append(seconds(call))
    return {name: min(runs) for name, runs in times.items()}


def memory_line(name: str) -> int:
    """Bytes that /proc/self/status gives for VmRSS (now) or VmHWM (peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def _measure_memory(result, threads: int, name: str, layer: Callable, shape: tuple) -> None:
    torch.set_num_threads(threads)
    passes(name, layer, (2, *shape[1:]), "cpu")()  # loads libraries
    call = passes(name, layer, shape, "cpu")
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


def peak_memory_on_gpu(name: str, layer: Callable, shape: tuple) -> int:
    """The same on a GPU."""
    call = passes(name, layer, shape, "cuda")
    call()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


def print_rows(rows: dict[str, tuple[float, float | None]], twin: str) -> None:
    """rows: seconds and bytes by name."""
    seconds, size = rows[twin]
    for name, (row_seconds, row_size) in rows.items():
        memory = "" if row_size is None else f"{row_size / 2**20:8.1f} MiB  {row_size / size:6.2f}"
        print(f"  {name:26}{1e3 * row_seconds:10.2f} ms  {row_seconds / seconds:8.2f}{memory}")


def terms(shape: tuple[int, ...]) -> int:
    """Distances, or products, of a pass."""
    images, channels, size, filters, kernel_size, padding = shape
    side = size + 2 * padding - kernel_size + 1
    return images * side**2 * filters * channels * kernel_size**2


def matrix_product() -> Callable[[], None]:
    """A call of as many multiply-adds as the cube of PRODUCT, nearly all that the CPU can do."""
    one, other = torch.randn(2, PRODUCT, PRODUCT)
    return partial(torch.mm, one, other)


def print_shares(shape: tuple[int, ...], times: dict[str, float], product: float) -> None:
    """How much of the rate of vector operations of a matrix product, which took `product` seconds,
    the fast layers reach."""
    shares = [
        f"{name} {count * terms(shape) / times[name] / (PRODUCT**3 / product):.0%}"
        for name, count in VECTOR_OPERATIONS.items()
    ]
    print(f"  vector operations a second, of a matrix product's: {', '.join(shares)}")


def compare_layers(options: argparse.Namespace) -> None:
    layers = candidates(options.compile)
    if options.device == "cpu":  # before threads are started: processes with threads do not fork
        memory = partial(peak_memory, options.threads)
    else:
        memory = peak_memory_on_gpu
    sizes = {
        (title, name): memory(name, layers[name], shape)
        for title, shape in LAYERS.items()
        for name in layers
    }
    torch.set_num_threads(options.threads)
    few = max(1, options.repeats // 10)
    repeats = {name: options.repeats if name in FAST else few for name in layers}
    for title, shape in LAYERS.items():
        calls = {name: passes(name, layer, shape, options.device) for name, layer in layers.items()}
        if options.device == "cpu":
            calls["product"], repeats["product"] = matrix_product(), options.repeats
        times = best_times(calls, repeats, options.seconds)
        print(title)
        print_rows({name: (times[name], sizes[title, name]) for name in layers}, TWIN)
        if options.device == "cpu":
            print_shares(shape, times, times["product"])
        if options.peak_tflops:
            speed = OPERATIONS * terms(shape) / times[KERNELS] / 1e12
            print(f"  {KERNELS}: {100 * speed / options.peak_tflops:.1f} % of the FP32 peak")


def compare_steps(options: argparse.Namespace) -> None:
    keep_freed_memory()  # as every training does
    for title, step in STEPS.items():
        steps = {name: training_step(*kind, *step, options.device) for name, kind in KINDS.items()}
        repeats = dict.fromkeys(steps, max(1, options.repeats // 5))
        times = best_times(steps, repeats, options.seconds)
        print(title)
        print_rows({name: (seconds, None) for name, seconds in times.items()}, "cnn")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--march", default="native", help="CPU the kernels are compiled for")
    parser.add_argument("--compile", action="store_true", help="also torch.compile of broadcast")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--peak-tflops", type=float, help="the device's FP32 peak, for a fraction")
    parser.add_argument("--cpu-time", action="store_true", help="CPU time, with --threads 1")
    options = parser.parse_args()
    if options.repeats < 1 or options.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    if options.cpu_time and (options.threads > 1 or options.device != "cpu"):
        parser.error("--cpu-time needs --threads 1 and --device cpu")
    if options.peak_tflops is not None and not options.peak_tflops > 0:
        parser.error(f"--peak-tflops must be above 0, not {options.peak_tflops}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda needs a GPU, and PyTorch for CUDA; PyTorch sees none")
    options.seconds = seconds_on_cpu if options.device == "cpu" else seconds_on_gpu
    if options.cpu_time:
        options.seconds = partial(seconds_on_cpu, clock=time.process_time)
    return options


def main() -> None:
    options = parse()
    kernels.FLAGS = tuple(
        f"-march={options.march}" if flag.startswith("-march") else flag for flag in kernels.FLAGS
    )
    torch.backends.cudnn.allow_tf32 = False  # of a GPU: both kinds of layer in full float32
    if (kernels.load() if options.device == "cpu" else kernels.load_for_gpu()) is None:
        raise SystemExit("the kernels could not be built")
    print(f"{options.device}, {options.threads} threads; forward + backward; ratios to {TWIN}")
    compare_layers(options)
    compare_steps(options)


if __name__ == "__main__":
    main()
