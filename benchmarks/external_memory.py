"""Whole networks and layers of them in full size, with weights and maps in an external memory.

python benchmarks/external_memory.py            the networks' cycles, then all layers; an hour
python benchmarks/external_memory.py vgg        those whose names have this in them

16 × 16 PEs, 8 bits, a bus of 128 bits at the accelerator's clock, 128 KiB of activations. Networks
are compiled, and their cycles and bytes counted. Layers run as Verilog, on the hardware that is
made for ResNet-50, with memories of these latencies, from a burst's address to its first beat, and
shares of cycles in which a beat may move; every code is compared with the integer reference.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from golden import fast
from golden.spec import Pool, QuantizedModel
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model
from sim.accelerator_check import compare
from sim.external_run import FULL, Hardware, build_hardware, run_streamed
from sim.generated_models import generated_codes, generated_model
from sim.network_models import full_model

CLOCK_HZ = 100e6
NETWORKS = ("resnet18", "resnet50", "vgg-small")
WIDE, POINT = {"kernel": (3, 3), "padding": (1, 1)}, {"kernel": (1, 1)}
STEM = {
    **{"kind": "mac", "out_channels": 64, "kernel": (7, 7), "stride": (2, 2), "padding": (3, 3)},
    "pool": Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
}
SHARES = ((10, FULL), (100, FULL), (100, FULL // 4))
LAYERS = {  # the shape of a layer's input, the layer, memories
    "ResNet-50 256 → 64, 1 × 1, 56 × 56": ((256, 56, 56), POINT | {"out_channels": 64}, SHARES),
    "ResNet-50 512 → 2048, 1 × 1, 7 × 7": ((512, 7, 7), POINT | {"out_channels": 2048}, SHARES),
    "ResNet-18 64 → 64, 3 × 3, 56 × 56, added map": (
        (64, 56, 56),
        WIDE | {"out_channels": 64, "residual": "image"},
        SHARES,
    ),
    "ResNet-18 64 → 128, 3 × 3, 56 × 56, stride 2": (
        (64, 56, 56),
        WIDE | {"out_channels": 128, "stride": (2, 2)},
        SHARES,
    ),
    "ResNet-18 512 → 512, 3 × 3, 7 × 7": ((512, 7, 7), WIDE | {"out_channels": 512}, SHARES),
    "VGG-small 512 → 512, 3 × 3, 8 × 8, max pool": (
        (512, 8, 8),
        WIDE | {"out_channels": 512, "pool": (2, 2)},
        SHARES,
    ),
    "ResNet 3 → 64, 7 × 7, 224 × 224, ordinary, max pool": ((3, 224, 224), STEM, SHARES[1:2]),
}


def main() -> None:
    wanted = sys.argv[1].lower() if len(sys.argv) > 1 else ""
    names = [name for name in NETWORKS if wanted in name]
    if names:
        print("| network | cycles | utilization | MB of weights | MB of maps | images/s |")
        print("| --- | --: | --: | --: | --: | --: |")
    for name in names:
        print(f"| {name} | {' | '.join(_counted(full_model(name)))} |", flush=True)
    print("\n| layer | bands | cycles | latency | bandwidth | waited | codes | wrong |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        largest = full_model("resnet50")
        hardware = build_hardware(compile_model(largest, _config(largest)), Path(folder))
        for name, case in LAYERS.items():
            if wanted in name.lower():
                for row in _rows(hardware, *case):
                    print(f"| {name} | {' | '.join(row)} |", flush=True)


def _config(model: QuantizedModel) -> AcceleratorConfig:
    array = ArrayConfig(rows=16, cols=16, depth=2**21, positions=1024, dataflow="weight-stationary")
    words = {"external_width": 128, "activation_words": 8192}
    return sized(model, AcceleratorConfig(array=array, external="maps", **words))


def _counted(model: QuantizedModel) -> list[str]:
    """What an image takes when nothing is waited for."""
    program = compile_model(model, _config(model))
    config, beat = program.config, program.config.external_width // 8
    weights = sum(layer.weight_words for layer in program.layers) * config.word_beats * beat
    moves = ("store", "fetch", "fetch_added")
    words = sum(getattr(layer, move).words for layer in program.layers for move in moves)
    maps = (words + program.image.words) * config.map_beats * beat
    return [
        f"{program.busy_cycles:,}",
        f"{program.utilization:.0%}",
        f"{weights / 1e6:.1f}",
        f"{maps / 1e6:.1f}",
        f"{CLOCK_HZ / program.busy_cycles:.1f}",
    ]


def _rows(
    hardware: Hardware,
    shape: tuple[int, int, int],
    layer: dict,
    memories: tuple[tuple[int, int], ...],
) -> Iterator[list[str]]:
    """One for each memory."""
    model, codes = _layer(shape, layer)
    program = compile_model(model, hardware.program.config)
    for latency, share in memories:
        folder = hardware.simulator.parent.parent
        done = run_streamed(program, codes, folder, latency, share, hardware)
        comparison = compare(model, codes, done.run, sums_of=fast.accumulate)
        if not comparison.passed:
            raise SystemExit("\n".join(comparison.lines))
        yield [
            f"{len(program.layers)}",
            f"{program.busy_cycles:,}",
            f"{latency}",
            f"{share / FULL:.0%}",
            f"{done.starved[-1]:,}",
            f"{comparison.codes:,}",
            f"{comparison.wrong_codes}",
        ]


def _layer(shape: tuple[int, int, int], layer: dict) -> tuple[QuantizedModel, np.ndarray]:
    """A network of the layer, random, and one of a single position, which it has to end in."""
    rows, columns = shape[1:]
    last = {"out_channels": 16, "stride": (rows, columns)}
    model = generated_model("adder", shape, [layer, last])
    return model, generated_codes(model, 1)


if __name__ == "__main__":
    main()
