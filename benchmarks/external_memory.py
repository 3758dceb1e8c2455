"""Layers whose weights or maps lie in an external memory, in full size: every code against the
integer reference, and what waiting for the memory costs.

python benchmarks/external_memory.py            all cases, as a table in Markdown; some minutes
python benchmarks/external_memory.py vgg        those whose names have this in them

16 × 16 PEs, 8 bits, a bus of 128 bits at the accelerator's clock. Simulated as Verilog, with
memories of these latencies, from a burst's address to its first beat, and shares of cycles in
which a beat may move.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from golden import reference
from golden.model_file import load
from golden.spec import QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import Program, compile_model
from sim.accelerator_check import compare
from sim.external_run import FULL, run_streamed
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
WIDE = {"kernel": (3, 3), "padding": (1, 1)}
LENET = "LeNet-5-BN on digits"
CASES = {  # what lies in the external memory, the shape of a layer's input, the layer
    "ResNet-18 512 → 512, 7 × 7": ("weights", (512, 7, 7), {"out_channels": 512}),
    "VGG-small 512 → 512, 8 × 8": (
        "weights",
        (512, 8, 8),
        {"out_channels": 512, "pool": (2, 2)},
    ),
    "ResNet-18 64 → 64, 56 × 56, added map": (
        "maps",
        (64, 56, 56),
        {"out_channels": 64, "residual": "image"},
    ),
    "ResNet-18 64 → 128, 56 × 56, stride 2": (
        "maps",
        (64, 56, 56),
        {"out_channels": 128, "stride": (2, 2)},
    ),
    f"{LENET}, weights": ("weights", None, None),
    f"{LENET}, maps": ("maps", None, None),
}
MEMORIES = ((10, FULL), (50, FULL), (200, FULL), (50, FULL // 2), (50, FULL // 4))
ACTIVATION_WORDS = 4096  # 64 KiB, with maps outside


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    print("| layer | layers and bands | cycles | latency | bandwidth | waited | codes |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for name, case in CASES.items():
        if wanted.lower() in name.lower():
            for row in _rows(*case):
                print(f"| {name} | {' | '.join(row)} |", flush=True)


def _rows(
    external: str, shape: tuple[int, int, int] | None, layer: dict | None
) -> Iterator[list[str]]:
    """One for each memory."""
    model, codes = _layer(shape, layer) if layer else _lenet()
    program = _program(model, external)
    for latency, share in MEMORIES:
        with tempfile.TemporaryDirectory() as folder:
            done = run_streamed(program, codes, Path(folder), latency, share)
        comparison = compare(model, codes, done.run)
        if comparison.wrong_codes or comparison.wrong_classes:
            raise SystemExit("\n".join(comparison.lines))
        yield [
            f"{len(program.layers)}",
            f"{program.busy_cycles:,}",
            f"{latency}",
            f"{share / FULL:.0%}",
            f"{done.starved[-1] // len(codes):,}",
            f"{comparison.codes:,}",
        ]


def _layer(shape: tuple[int, int, int], layer: dict) -> tuple[QuantizedModel, np.ndarray]:
    """A network of the layer, random, and one of a single position, which it has to end in."""
    rows, columns = shape[1:]
    last = {"out_channels": 16, "stride": (rows, columns)}
    model = generated_model("adder", shape, [WIDE | layer, last])
    return model, generated_codes(model, 1)


def _lenet() -> tuple[QuantizedModel, np.ndarray]:
    model = load(FIXTURES / "lenet5-bn-digits-adder.npz")
    images = np.load(FIXTURES / "digits-vectors.npz")["images"]
    return model, reference.encode(model, images)


def _program(model: QuantizedModel, external: str) -> Program:
    array = ArrayConfig(rows=16, cols=16, depth=2**14, positions=1024, dataflow="weight-stationary")
    config = AcceleratorConfig(
        array=array, external=external, external_width=128, activation_words=ACTIVATION_WORDS
    )
    return compile_model(model, sized(model, config))


if __name__ == "__main__":
    main()
