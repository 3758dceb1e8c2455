"""Area of one PE of every kind on cell libraries, and its ratio to the best MAC's.

python benchmarks/pe_area.py [--liberty FILE ...] [--widths 4 8 16] [--lanes 1 16] [--depth 1024]

A PE here is what an array repeats: its logic, the accumulator, the registers that hand activations,
weights and `last` on; without its gates at the column's bus, which are the same for all kinds but
for the accumulator's width, and, in `min`, without the sum of activations, one per row. Three
figures per lane: with both operand registers, with the weights' alone (for arrays that broadcast
activations), with neither; each with its ratio to the MAC whose area is least of all candidates.
"""

import argparse
import tempfile
from pathlib import Path

from hw.config import ArrayConfig
from hw.liberty import read_library
from hw.synth import BUILT_IN_LIBRARY, SynthReport, candidates, synthesize

KINDS = ("mac", "complement", "min", "two_adder", "compare_swap", "square", "xnor")


def main() -> None:
    arguments = _arguments()
    for liberty in arguments.liberty:
        print(f"\n{liberty.name}, depth {arguments.depth}, µm² per lane (ratio to the MAC)")
        print(f"{'width lanes kind':28}{'a, w registers':>18}{'w register':>18}{'neither':>18}")
        for width in arguments.widths:
            for lanes in arguments.lanes:
                values = {"width": width, "lanes": lanes, "depth": arguments.depth}
                _compare(ArrayConfig(**values, rows=1, cols=1), liberty)


def _compare(config: ArrayConfig, liberty: Path) -> None:
    baseline = None
    for kind in KINDS:
        report = _smallest(config.twin(kind), liberty)
        areas = _areas(config.twin(kind), report, liberty)
        baseline = baseline or areas
        name = f"{kind} ({report.multiplier})" if kind == "mac" else kind
        figures = "".join(
            f"{area:11.0f} ({area / mac:.3f})" for area, mac in zip(areas, baseline, strict=True)
        )
        print(f"{config.width:2} {config.lanes:3} {name:20}{figures}", flush=True)


def _smallest(config: ArrayConfig, liberty: Path) -> SynthReport:
    """The PE made with each candidate; the smallest."""
    with tempfile.TemporaryDirectory() as folder:
        reports = [
            synthesize(config, "asic", Path(folder) / name, name, liberty)
            for name in candidates(config.pe, "asic")
        ]
    return min(reports, key=lambda report: report.pe_area_um2)


def _areas(config: ArrayConfig, report: SynthReport, liberty: Path) -> tuple[float, float, float]:
    """Area per lane with both operand registers, with one, with none."""
    cells = read_library(liberty).cells
    [flip_flop] = [name for name in report.cells if cells[name].flip_flop]
    register = config.width * cells[flip_flop].area_um2
    area = report.pe_area_um2 / config.lanes
    return area, area - register, area - 2 * register


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--liberty", type=Path, nargs="+", default=[BUILT_IN_LIBRARY])
    parser.add_argument("--widths", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--depth", type=int, default=1024)
    return parser.parse_args()


if __name__ == "__main__":
    main()
