"""The compiled forward pass and gradients of the adder layer, built on first use.

Tensors on a GPU go to `gpu_kernels`. Without a C++ compiler, or on a GPU without Triton, everything
works in plain PyTorch, slower, after one warning. ADDERFORGE_KERNELS=0 in the environment means
plain PyTorch without a warning.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import warnings
from functools import cache, partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from .kept import kept_library

SOURCE = Path(__file__).parent / "cpu" / "kernels.cpp"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
COMPILE_TIMEOUT = 300  # seconds
PLAIN = {Tensor, nn.Parameter}  # types derived from them may hold no numbers


class Shape(ctypes.Structure):
    """Sizes of a layer: the twin of `Shape` in cpu/shape.h."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in (
            *("images", "channels", "height", "width"),
            *("filters", "kernel_rows", "kernel_cols"),
            *("stride_rows", "stride_cols", "padding_rows", "padding_cols"),
            *("dilation_rows", "dilation_cols", "groups", "map_rows", "map_cols"),
        )
    )


class Kernels:
    """The functions of a built library, on float32 tensors in the CPU's memory."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._forward = library.adder_forward
        self._forward.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int]
        self._input_gradient = library.adder_input_gradient
        self._input_gradient.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int] * 2
        self._sign_gradient = library.adder_sign_gradient
        self._sign_gradient.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int]
        for function in (self._forward, self._input_gradient, self._sign_gradient):
            function.restype = None

    def forward(self, shape: Shape, input: Tensor, weight: Tensor) -> Tensor:
        """Y = -Σ|X - F|: (images, filters, map rows, map columns)."""
        output = input.new_empty(shape.images, shape.filters, shape.map_rows, shape.map_cols)
        _call(self._forward, shape, input, weight, output)
        return output

    def input_gradient(
        self, shape: Shape, input: Tensor, weight: Tensor, grad_output: Tensor, sign: bool
    ) -> Tensor:
        """Σ g HT(F - X) (Eq. 6, 7), or with `sign` Σ g sgn(F - X), of the input's shape."""
        grad_input = input.new_empty(input.shape)
        _call(self._input_gradient, shape, input, weight, grad_output, grad_input, choice=(sign,))
        return grad_input

    def sign_gradient(
        self, shape: Shape, input: Tensor, weight: Tensor, grad_output: Tensor
    ) -> Tensor:
        """Σ g sgn(X - F) (Eq. 4), of the weight's shape."""
        grad_weight = weight.new_empty(weight.shape)
        _call(self._sign_gradient, shape, input, weight, grad_output, grad_weight)
        return grad_weight


def _call(function, shape: Shape, *tensors: Tensor, choice: tuple[bool, ...] = ()) -> None:
    rows = [tensor.resolve_neg().contiguous() for tensor in tensors]  # kept until the call returns
    addresses = [tensor.data_ptr() for tensor in rows]
    function(ctypes.byref(shape), *addresses, *choice, torch.get_num_threads())


def suited(input: Tensor, weight: Tensor) -> Kernels | ModuleType | None:
    """The kernels, if they are there and take these tensors; on a GPU, `gpu_kernels`. Tensors
    without numbers, as compilers and exporters pass them through, are none of theirs."""
    if not {type(input), type(weight)} <= PLAIN or torch.compiler.is_compiling():
        return None
    if (input.dtype, weight.dtype) != (torch.float32, torch.float32):
        return None
    if input.device != weight.device or input.device.type not in ("cpu", "cuda"):
        return None
    return load() if input.device.type == "cpu" else load_for_gpu()


@cache
def load() -> Kernels | None:
    """The kernels, compiled unless they are in the user's cache; None where that is impossible."""
    if _are_off():
        return None
    try:
        return Kernels(_library())
    except (OSError, RuntimeError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        warnings.warn(_advice(error), stacklevel=2)
        return None


@cache
def load_for_gpu() -> ModuleType | None:
    """`gpu_kernels`, whose functions are the methods of `Kernels`; None without Triton."""
    if _are_off():
        return None
    try:
        from . import gpu_kernels
    except ImportError as error:
        warnings.warn(
            f"adder layers on the GPU run in plain PyTorch, slower: {error}. Install Triton, which "
            "comes with PyTorch for CUDA, or set ADDERFORGE_KERNELS=0 to hide this warning.",
            stacklevel=2,
        )
        return None
    return gpu_kernels


def _are_off() -> bool:
    return os.environ.get("ADDERFORGE_KERNELS") == "0"


def _advice(error: Exception) -> str:
    reason = getattr(error, "stderr", None) or str(error)
    return (
        f"adder layers run in plain PyTorch, some ten times slower: {reason.strip()}. "
        "Install g++ with OpenMP (Debian: apt install g++), let XDG_CACHE_HOME name a writable "
        "folder, or set ADDERFORGE_KERNELS=0 to hide this warning."
    )


def _library() -> Path:
    """The library for these sources, compiler and CPU; from the cache if it is there and whole."""
    compiler = shlex.split(os.environ.get("CXX") or "g++")  # perhaps with options, or by ccache
    if shutil.which(compiler[0]) is None:
        raise FileNotFoundError("no C++ compiler was found")
    version = _run(*compiler, "--version")
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCE.parent.glob("*.[ch]*"))]
    made_of = [*sources, version, *compiler[1:], *FLAGS, _cpu()]
    return kept_library(_cache_folder(), "adder_kernels", made_of, partial(_build, compiler))


def _cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "adderforge"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cpu() -> str:
    """What -march=native depends on: the first CPU's name and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model", "flags", "Features")))


def _build(compiler: list[str], path: Path) -> None:
    _run(*compiler, *FLAGS, str(SOURCE), "-o", str(path))


def _run(*command: str) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=COMPILE_TIMEOUT
    ).stdout
