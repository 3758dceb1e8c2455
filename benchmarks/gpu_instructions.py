"""What the inner loops of the GPU kernels are made of, compiled for a GPU that need not be there.

python benchmarks/gpu_instructions.py [--capability 90]

Compiles `golden.gpu_kernels` for layers of ResNet-20 and counts the instructions of each kernel's
inner loops. The share of additions and multiply-adds among them bounds the fraction of the GPU's
FP32 rate that a kernel can reach; what memory and synchronization cost comes on top. Needs Triton
(`pip install -e ".[gpu]"`), which brings NVIDIA's assembler and disassembler.
"""

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from golden import gpu_kernels

LAYERS = {  # images, channels and filters, height and width
    "ResNet-20, 16→16, 3×3, 32×32, batch 128": (128, 16, 32),
    "ResNet-20, 64→64, 3×3, 8×8, batch 128": (128, 64, 8),
}
ARITHMETIC = ("FADD", "FMUL", "FFMA")
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z]\w*)(.*);")


class Driver:
    """Stands for a GPU of this compute capability."""

    def __init__(self, capability: int) -> None:
        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def kernels(images: int, channels: int, side: int) -> dict[str, tuple]:
    """name: (kernel, arguments) of a layer with as many filters as channels, 3 × 3, padding 1."""
    sizes = (images, channels, side, side, channels, 3, 3, *[1] * 6, 1, side, side)
    tensor, tile = torch.empty(16), gpu_kernels._tile(channels)
    rows = (images * side, 8)
    return {
        "forward": (gpu_kernels._forward_tile, (*[tensor] * 3, *tile, *sizes)),
        "input gradient": (gpu_kernels._input_gradient_tile, (*[tensor] * 4, False, *tile, *sizes)),
        "sign gradient": (gpu_kernels._sign_gradient_tile, (*[tensor] * 4, *rows, *tile, *sizes)),
    }


def disassembled(kernel, arguments: tuple) -> str:
    code = kernel.warmup(*arguments, enable_fp_fusion=True, num_warps=gpu_kernels.WARPS, grid=(1,))
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code.asm["cubin"])
        file.flush()
        command = [TOOLS / "nvdisasm", "-c", file.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def loops(assembly: str) -> Iterator[list[str]]:
    """The instructions of every loop: from a label to a branch back to it."""
    names, labels = [], {}
    for line in assembly.splitlines():
        if label := re.match(r"(\.L_\w+):", line.strip()):
            labels[label[1]] = len(names)
        elif found := INSTRUCTION.search(line):
            names.append(found[1])
            target = re.search(r"`\((\.L_\w+)\)", found[2])
            if found[1] == "BRA" and target and target[1] in labels:
                yield names[labels[target[1]] :]


def share(loop: list[str]) -> float:
    """Of the arithmetic among a loop's instructions."""
    return sum(name in ARITHMETIC for name in loop) / len(loop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capability", type=int, default=90, help="80: A100; 90: H100, H200")
    options = parser.parse_args()
    driver.set_active(Driver(options.capability))
    for title, sizes in LAYERS.items():
        print(f"{title}, compute capability {options.capability / 10}")
        for name, (kernel, arguments) in kernels(*sizes).items():
            inner = max(loops(disassembled(kernel, arguments)), key=share)
            print(
                f"  {name:16}{len(inner):4} instructions, {share(inner):.0%} additions, products "
                f"and multiply-adds, {inner.count('BAR')} barriers"
            )


if __name__ == "__main__":
    main()
