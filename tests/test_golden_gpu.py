"""The GPU kernels against plain PyTorch in float64, which test_golden_kernels.py holds to the
paper's equations: on the GPU if there is one, otherwise in Triton's interpreter."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from golden import kernels
from golden.adder_function import GRADIENTS, adder_conv2d

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETER = {} if DEVICE == "cuda" else {"TRITON_INTERPRET": "1"}
with mock.patch.dict(os.environ, INTERPRETER):
    pytest.importorskip("triton", reason="Triton is not installed; PyTorch for CUDA brings it")
    gpu_kernels = importlib.import_module("golden.gpu_kernels")

SHAPES = {
    # images, channels, height, width, filters, kernel, stride, padding, dilation, groups
    "a single pixel": (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "odd sizes": (3, 5, 7, 9, 11, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    "stride 2": (3, 3, 8, 7, 9, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "all at once": (5, 6, 9, 10, 4, (2, 3), (2, 3), (0, 2), (3, 2), 2),
    "one channel per group": (2, 7, 5, 6, 7, (3, 3), (1, 1), (1, 1), (1, 1), 7),
    "padding beyond the kernel": (2, 2, 3, 3, 3, (1, 2), (3, 4), (4, 3), (1, 1), 1),
    "inputs that no window reaches": (2, 3, 9, 9, 2, (1, 1), (4, 4), (0, 0), (1, 1), 1),
    "a linear layer": (19, 45, 1, 1, 13, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "more than a tile each way": (2, 67, 5, 5, 66, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "groups of more than a tile": (1, 132, 3, 2, 134, (1, 1), (1, 1), (0, 0), (1, 1), 2),
}


@pytest.fixture(autouse=True)
def kernels_of_the_gpu(monkeypatch):
    """Also for tensors on the CPU, in the interpreter, where NumPy shall not warn of the infinities
    by which signs are told."""
    monkeypatch.setattr(kernels, "load", lambda: gpu_kernels)
    with mock.patch.dict(os.environ, INTERPRETER), np.errstate(over="ignore"):
        yield


def tensors(shape):
    """input, weight, upstream gradient and the window's moves"""
    torch.manual_seed(0)
    images, channels, height, width, filters, kernel, stride, padding, dilation, groups = shape
    moves = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    input = 2 * torch.randn(images, channels, height, width, device=DEVICE) + 0.5
    weight = torch.randn(filters, channels // groups, *kernel, device=DEVICE)
    return input, weight, torch.randn_like(adder_conv2d(input, weight, **moves)), moves


def run(input, weight, upstream, moves, gradient="sign"):
    """output, input gradient, weight gradient"""
    input, weight = input.detach().requires_grad_(), weight.detach().requires_grad_()
    output = adder_conv2d(input, weight, **moves, gradient=gradient)
    output.backward(upstream)
    return output.detach(), input.grad, weight.grad


def check(input, weight, upstream, moves, gradient="sign"):
    wanted = run(input.double(), weight.double(), upstream.double(), moves, gradient)
    for got, exact in zip(run(input, weight, upstream, moves, gradient), wanted, strict=True):
        assert got.dtype == torch.float32
        largest = exact.abs().max().item()
        torch.testing.assert_close(got.double(), exact, rtol=2e-6, atol=2e-6 * max(1e-3, largest))


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["sign", "derivative"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_kernels_are_the_papers_equations(shape, gradient):
    check(*tensors(shape), gradient)


@pytest.mark.parametrize("programs", [1, 4, 5])
def test_however_many_programs_share_a_sign_gradient_it_is_the_same(programs, monkeypatch):
    monkeypatch.setattr(gpu_kernels, "PROGRAMS", programs)
    check(*tensors(SHAPES["stride 2"]))


def test_the_sign_of_a_zero_difference_is_zero():
    input, weight, upstream, moves = tensors(SHAPES["all at once"])
    check(input.div(2).round(), weight.div(2).round(), upstream, moves, "derivative")


def test_the_sign_of_the_smallest_difference_is_one():
    """Of two neighbors among the floats, as near to 0 as they come, and of the largest."""
    shape = kernels.Shape(1, 1, 1, 4, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 4)
    input = torch.tensor([1.4e-45, 0.0, 1.0, 3e38], device=DEVICE).view(1, 1, 1, 4)
    upstream = torch.tensor([1.0, 10.0, 100.0, 1000.0], device=DEVICE).view(1, 1, 1, 4)
    for weight, wanted in ((0.0, 1101.0), (1.4e-45, 1090.0), (-3e38, 1111.0), (3e38, -111.0)):
        filters = torch.full((1, 1, 1, 1), weight, device=DEVICE)
        assert gpu_kernels.sign_gradient(shape, input, filters, upstream) == wanted
        by_input = gpu_kernels.input_gradient(shape, input, filters, upstream, True)
        assert -by_input.sum() == wanted


def test_tensors_that_are_not_contiguous_give_the_same():
    input, weight, upstream, moves = tensors(SHAPES["stride 2"])
    wanted = run(input, weight, upstream, moves)
    turned = weight.transpose(2, 3).contiguous().transpose(2, 3)
    channels_last = input.contiguous(memory_format=torch.channels_last)
    strided = upstream.transpose(0, 3).contiguous().transpose(0, 3)
    for one, other in zip(run(channels_last, turned, strided, moves), wanted, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_an_empty_batch_gives_empty_maps_and_a_zero_gradient(gradient):
    case = tensors((0, *SHAPES["odd sizes"][1:]))
    output, grad_input, grad_weight = run(*case, gradient)
    assert output.shape == (0, 11, 5, 7) and grad_input.shape == (0, 5, 7, 9)
    assert not grad_weight.any()


COMPILATION = """
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver
from golden import gpu_kernels

class Driver:
    get_current_device = get_current_stream = lambda self, *_: 0
    get_current_target = lambda self: GPUTarget("cuda", {capability}, 32)

driver.set_active(Driver())
tensor, moves = torch.empty(16), (2, 3, 2, 3, 0, 2, 3, 2)
for images, channels, groups in ((2, 6, 2), (1, 1, 1), (2**31, 16, 1)):
    sizes = (images, channels, 9, 10, 5 * groups, *moves, groups, 3, 4)
    for kernel, tensors, numbers in (
        (gpu_kernels._forward_tile, 3, ()),
        (gpu_kernels._input_gradient_tile, 4, (False,)),
        (gpu_kernels._input_gradient_tile, 4, (True,)),
        (gpu_kernels._sign_gradient_tile, 4, (3 * images, 100)),
    ):
        arguments = (*[tensor] * tensors, *numbers, 8, 64, *sizes)
        code = kernel.warmup(*arguments, enable_fp_fusion=True, num_warps=1, grid=(1,))
        assert code.asm["cubin"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_nvidia_gpus(capability, tmp_path):
    """In a process without the interpreter; also for sizes that are 1, or need 64 bits."""
    script = COMPILATION.replace("{capability}", str(capability))
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, env=environment)


@pytest.mark.slow
def test_the_inner_loops_are_arithmetic_for_the_most_part(tmp_path):
    script = Path(__file__).parent.parent / "benchmarks" / "gpu_instructions.py"
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    command = [sys.executable, script, "--capability", "90"]
    printed = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    shares = [int(share) for share in re.findall(r"(\d+)% additions", printed.stdout)]
    assert len(shares) == 6 and min(shares) > 50
