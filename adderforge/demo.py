"""`adderforge demo`: the whole flow on a small real network, and a report at the end."""

from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from golden import data, reference
from golden.recipe import Recipe
from golden.spec import QuantizedModel
from golden.train import TrainConfig
from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.tools import tool_versions
from sim.runner import check_simulator
from sim.workload import matrix_forms

from . import stages
from .chart import draw_chart
from .contenders import check_power
from .progress import Stages
from .report import build_report, markdown, rows
from .runs import new_run_folder, write_json, write_text

STAGES = 7
EPOCHS = {"mnist": 5}  # a demonstration takes minutes; the paper's 50 take longer


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """What the demo runs. epochs: None for what suits the data set, on MNIST 5. width: bits of
    operands. images: test images whose activations the arrays are simulated on. liberty: files
    of the cell library."""

    data: str = "digits"
    data_dir: str | None = None
    epochs: int | None = None
    seed: int = 0
    width: int = 8
    rows: int = 4
    cols: int = 4
    lanes: int = 4
    images: int = 8
    simulator: str = "verilator"
    liberty: tuple[str, ...] = (str(BUILT_IN_LIBRARY),)

    def __post_init__(self) -> None:
        if self.data not in ("digits", "mnist"):
            raise ValueError(f"data must be digits or mnist in the demo, not {self.data!r}")
        if self.images < 1:
            raise ValueError(f"images must be at least 1, not {self.images}")

    def train_config(self, kind: str) -> TrainConfig:
        epochs = EPOCHS.get(self.data) if self.epochs is None else self.epochs
        chosen = {} if epochs is None else {"epochs": epochs}
        return TrainConfig.suited_to(
            self.data, kind=kind, data_dir=self.data_dir, seed=self.seed, **chosen
        )

    def array_config(self, pe: str, depth: int) -> ArrayConfig:
        sizes = {name: getattr(self, name) for name in ("width", "rows", "cols", "lanes")}
        return ArrayConfig(pe=pe, depth=depth, **sizes)


def run_demo(config: DemoConfig, out: Path | None, console: Console) -> tuple[dict, Path]:
    """Run every stage; returns the report and the run folder it was written into.

    What can be refused is refused before the first stage, and before there is a folder.
    """
    config.array_config("complement", 1)
    trainings = [config.train_config(kind) for kind in stages.PE_OF_KIND]
    check_simulator(config.simulator)
    check_power(config.liberty)
    dataset = data.load(config.data, config.data_dir)
    folder = new_run_folder(f"demo-{config.data}", out)
    write_json(
        folder / "configuration.json",
        {"demo": asdict(config), "train": [asdict(training) for training in trainings]},
    )
    write_json(folder / "tools.json", tool_versions())
    line = Stages(STAGES, console)
    twins = _networks(config, trainings, dataset, folder, line)
    return _hardware(config, twins, dataset, folder, line), folder


def _networks(
    config: DemoConfig,
    trainings: list[TrainConfig],
    dataset: data.Dataset,
    folder: Path,
    line: Stages,
) -> list[tuple[QuantizedModel, stages.Accuracy]]:
    """Train and quantize the adder network and its CNN twin."""
    with line.stage("train") as update:
        place = new_place(folder, "train")
        results = [stages.train_network(some, dataset, place, update) for some in trainings]
    with line.stage("quantize") as update:
        place = new_place(folder, "quantize")
        return [
            stages.quantize_network(result, dataset, Recipe(width=config.width), place, update)
            for result in results
        ]


def _hardware(
    config: DemoConfig,
    twins: list[tuple[QuantizedModel, stages.Accuracy]],
    dataset: data.Dataset,
    folder: Path,
    line: Stages,
) -> dict:
    """Generate, simulate, synthesize and measure both arrays; write and return the report."""
    models, accuracies = zip(*twins, strict=True)
    depth = max(layer.spec.reduction for model in models for layer in model.layers)
    arrays = [config.array_config(pe, depth) for pe in stages.PE_OF_KIND.values()]
    images = dataset.test_images[: config.images]
    forms = [list(matrix_forms(model, reference.encode(model, images))) for model in models]
    work = list(zip(arrays, forms, strict=True))
    with line.stage("verilog") as update:
        stages.write_verilog(arrays, new_place(folder, "verilog"), update)
    with line.stage("simulate") as update:
        place = new_place(folder, "simulate")
        simulations = stages.simulate_arrays(work, config.simulator, place, update)
    with line.stage("synthesize") as update:
        place = new_place(folder, "synth")
        syntheses = stages.synthesize_arrays(arrays, config.liberty, place, update)
    with line.stage("energy") as update:
        runs = stages.measure_energy(work, syntheses, config.liberty, place, update)
    with line.stage("report"):
        report = build_report(asdict(config), arrays, accuracies, simulations, syntheses, runs)
        report["seconds"] = dict(line.seconds)
        write_json(folder / "report.json", report)
        draw_chart(rows(report), folder / "report.png")
        write_text(folder / "report.md", markdown(report))
    return report


def new_place(folder: Path, name: str) -> Path:
    """A new folder for a stage in the run's folder."""
    place = folder / name
    place.mkdir()
    return place
