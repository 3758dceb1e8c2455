"""The study in docs/results/exploration.md: adders beside MACs for ResNet-20 and LeNet-5-BN.

python benchmarks/exploration.py STORE     sizes are guessed by the measurements that come with
                                           AdderForge; what needs synthesis stays as it was
    --check                                designs of the Pareto sets are synthesized too, to see
                                           how good the guesses are, and MACs made of DSP blocks
    --models FOLDER                        accuracy and energy of adder.pt and cnn.pt, LeNet-5-BN
                                           trained by `adderforge train --data digits`

Writes docs/results/exploration.json, .md and .png; synthesis is kept in the folder STORE.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np

from adderforge.exploration.calibration import shipped
from adderforge.exploration.design import Design, DesignPoint
from adderforge.exploration.effort import ACCURACY, SYNTHESIS, Effort
from adderforge.exploration.executors import processes
from adderforge.exploration.explore import explore
from adderforge.exploration.measuring import Laboratory
from adderforge.exploration.objectives import OBJECTIVES
from adderforge.exploration.pareto import pareto_set
from adderforge.exploration.result import Exploration
from adderforge.exploration.space import Space
from adderforge.exploration.store import Store
from adderforge.exploration.task import Task
from adderforge.exploration.workloads import network
from hw.tools import tool_versions

RESULTS = Path(__file__).parent.parent / "docs" / "results"
NETWORKS = ("resnet20", "lenet5-bn")
WIDTHS = (4, 5, 6, 8, 10, 12, 14, 16)
SIDES = (1, 2, 3, 4, 6, 8, 12, 16)
LANES = (1, 2, 4, 8)
ADDERS = ("complement", "min")
SIZES = {"asic": "area_um2", "ecp5": "luts"}
CHECKED = 5  # designs of each kind that are synthesized
MOST_PRODUCTS = 300  # of such a design, a cycle
SPACE = {
    "pe": (*ADDERS, "mac"),
    "width": WIDTHS,
    "rows": SIDES,
    "cols": SIDES,
    "lanes": LANES,
    "dataflow": ("output-stationary", "weight-stationary"),
    "positions": 16,
}


def guessed(name: str, target: str, store: Store) -> Exploration:
    """Every design of SPACE with its exact cycles and guessed size."""
    goals = (SIZES[target], "cycles")
    return explore(Space(**SPACE), network(name), goals, store=store, effort=Effort(target=target))


def twins(found: Exploration, target: str) -> list[dict]:
    """Of each width and dataflow: the least size of an adder array ÷ its MAC twin's, which takes
    the same cycles, over all rows, columns and lanes: median, least, most."""
    size, table = OBJECTIVES[SIZES[target]], {}
    for point in found.points:
        array = point.design.array
        if (value := size.of(point)) is not None:
            key = (array.width, array.dataflow, array.rows, array.cols, array.lanes)
            sides = table.setdefault(key, {})
            side = "mac" if array.pe == "mac" else "adder"
            sides[side] = min(value, sides.get(side, value))
    rows = []
    for width in WIDTHS:
        for dataflow in SPACE["dataflow"]:
            ratios = {
                lanes: [
                    sides["adder"] / sides["mac"]
                    for key, sides in table.items()
                    if key[:2] == (width, dataflow) and key[4] == lanes and len(sides) == 2
                ]
                for lanes in LANES
            }
            if all(ratios.values()):
                rows.append(
                    {"width": width, "dataflow": dataflow}
                    | {f"lanes_{lanes}": median(some) for lanes, some in ratios.items()}
                )
    return rows


def at_equal_cycles(found: Exploration, target: str) -> list[dict]:
    """Of each width: over the MACs' own Pareto set, the least size of an adder array that is as
    fast ÷ the MAC array's size: geometric mean, least, most; and the dataflows of both sets."""
    rows = []
    for width in WIDTHS:
        macs = front(found, target, width, ("mac",))
        adders = front(found, target, width, ADDERS)
        size = OBJECTIVES[SIZES[target]]
        ratios = []
        for mac in macs:
            sizes = [
                size.of(adder)
                for adder in adders
                if adder.figures["cycles"] <= mac.figures["cycles"]
            ]
            if sizes:
                ratios.append(min(sizes) / size.of(mac))
        if ratios:
            rows.append(
                {
                    "width": width,
                    "mean": geometric_mean(ratios),
                    "least": min(ratios),
                    "most": max(ratios),
                    "points": len(ratios),
                    "stationary_outputs": _share(adders),
                }
            )
    return rows


def _share(points: list[DesignPoint]) -> float:
    """Of output-stationary arrays."""
    return sum(p.design.array.dataflow == "output-stationary" for p in points) / len(points)


def front(found: Exploration, target: str, width: int, pes: Iterable[str]) -> list[DesignPoint]:
    """The Pareto set of size and cycles of PEs of some kinds at one width."""
    size = OBJECTIVES[SIZES[target]]
    points = [
        point
        for point in found.points
        if point.design.array.width == width
        and point.design.array.pe in pes
        and size.of(point) is not None
    ]
    if not points:
        return []
    costs = np.array([[size.of(point), point.figures["cycles"]] for point in points])
    chosen = [point for point, wins in zip(points, pareto_set(costs), strict=True) if wins]
    return sorted(chosen, key=lambda point: point.figures["cycles"])


def utilization(found: Exploration) -> dict[str, float]:
    """By lanes, the most that any 8-bit array of at least 64 products a cycle reaches."""
    best: dict[str, float] = {}
    for point in found.points:
        array = point.design.array
        if array.rows * array.cols * array.lanes >= 64 and array.width == 8:
            key = f"{array.dataflow}, {array.lanes} lanes"
            best[key] = max(best.get(key, 0.0), point.figures["utilization"])
    return best


def check(found: Exploration, target: str, store: Store) -> list[dict]:
    """Guesses beside synthesis, of 8-bit designs spread over the Pareto sets of each kind, which
    the model was not fitted to."""
    effort, tasks, guesses = Effort(target=target), [], []
    fitted = {sample.design for sample in shipped() if sample.place == effort.place}
    for pes in (("mac",), ("complement",), ("min",)):
        points = [
            point
            for point in front(found, target, 8, pes)
            if point.design not in fitted
            and 16
            <= point.design.array.rows * point.design.array.cols * point.design.array.lanes
            <= MOST_PRODUCTS
        ]
        places = np.linspace(0, len(points) - 1, CHECKED).round().astype(int)
        for place in dict.fromkeys(places.tolist()):
            design = points[place].design
            guesses.append(points[place].figures[SIZES[target]])
            tasks.append(
                Task(level=SYNTHESIS, design=design, workload=found.workload, effort=effort)
            )
    with processes(1) as pool:
        results = Laboratory(pool, store).measure(tasks)
    return [
        {
            "target": target,
            "design": task.design.options,
            "pe": task.design.array.pe,
            "guess": guess,
            "synthesis": result.figures.get(SIZES[target]),
            "failure": result.reason,
        }
        for task, guess, result in zip(tasks, guesses, results, strict=True)
    ]


def with_dsps(store: Store) -> list[dict]:
    """4 × 4 PEs of 4 lanes on ECP5: of adders, of MACs made of logic and of DSP blocks."""
    space = Space(
        pe=["complement", "mac"],
        width=[4, 8, 16],
        rows=4,
        cols=4,
        lanes=4,
        multiplier=[None, "dsp"],
    )
    effort, workload = Effort(target="ecp5"), network("resnet20")
    designs = space.designs(depth=workload.depth, **effort.defaults)
    tasks = [
        Task(level=SYNTHESIS, design=design, workload=workload, effort=effort) for design in designs
    ]
    with processes(1) as pool:
        results = Laboratory(pool, store).measure(tasks)
    return [
        {
            "width": design.array.width,
            "made_of": _made_of(design),
            "luts": result.figures["luts"],
            "dsps": result.figures["dsps"],
        }
        for design, result in zip(designs, results, strict=True)
    ]


def _made_of(design: Design) -> str:
    if design.array.pe != "mac":
        return "adders"
    return "DSP blocks" if design.multiplier == "dsp" else "MACs of logic"


def networks(store: Store, models: Path) -> list[dict]:
    """Accuracy, energy and area of LeNet-5-BN on 2 × 2 PEs of 4 lanes, by PE and width."""
    space = Space(pe=["complement", "min", "mac"], width=[4, 8, 16], rows=2, cols=2, lanes=4)
    kinds = {kind: models / f"{kind}.pt" for kind in ("adder", "cnn")}
    found = explore(
        space,
        network("lenet5-bn", models=kinds),
        ["accuracy", "pj_per_op", "area_um2"],
        ACCURACY,
        store=store,
        effort=Effort(cycles=1000),
        sweep=True,
    )
    names = ("accuracy", "pj_per_op", "glitch_share", "area_um2")
    return [
        {"pe": point.design.array.pe, "width": point.design.array.width}
        | {name: point.figures[name] for name in names}
        for point in found.points
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--models", type=Path)
    asked = parser.parse_args()
    store, empty = Store(asked.store / "checks"), Store(asked.store / "none")
    path = RESULTS / "exploration.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    report = {"dsps": [], "networks": [], "checks": {}} | report
    report |= {"tools": tool_versions(), "studies": {}, "errors": {}}
    pictures = []
    for target in SIZES:
        for name in NETWORKS:
            found = guessed(name, target, empty)
            pictures.append((name, target, found))
            report["studies"][f"{name}, {target}"] = {
                "designs": len(found.points),
                "twins": twins(found, target),
                "at_equal_cycles": at_equal_cycles(found, target),
                "utilization": utilization(found),
            }
        report["errors"][target] = [
            row
            for row in found.model.table()
            if (row["figure"], row["place"]) == (SIZES[target], found.effort.place)
            and row["multiplier"] == "logic"
        ]
        if asked.check:
            report["checks"][target] = check(pictures[-2][2], target, store)
    if asked.check:
        report["dsps"] = with_dsps(store)
    if asked.models:
        report["networks"] = networks(store, asked.models)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    (RESULTS / "exploration.md").write_text(page(report), encoding="utf-8")
    draw(pictures, RESULTS / "exploration.png")


def page(report: dict) -> str:
    from jinja2 import Environment, StrictUndefined

    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(text).render(report) + "\n"


def draw(pictures: list[tuple[str, str, Exploration]], path: Path) -> None:
    """Size against cycles at 4, 8 and 16 bits: the Pareto sets of adders and of MACs."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2).flat
    for axes, (name, target, found) in zip(panels, pictures, strict=True):
        size = OBJECTIVES[SIZES[target]]
        for width, style in ((4, ":"), (8, "-"), (16, "--")):
            for pes, color, word in ((ADDERS, "#2a6f97", "adders"), (("mac",), "#9b2226", "MACs")):
                points = front(found, target, width, pes)
                places = [(size.of(point), point.figures["cycles"]) for point in points]
                if places:
                    label = f"{word}, {width} bits"
                    axes.plot(*zip(*places, strict=True), style, color=color, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("area, µm²" if target == "asic" else "ECP5 LUTs")
        axes.set_ylabel("cycles of an image")
        axes.set_title(f"{name}, {'130 nm' if target == 'asic' else 'ECP5'}", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
