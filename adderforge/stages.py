"""The stages of the flow: each a function between named types that writes what it makes into a
folder of its own. A twin is known by its network's kind, its array by the PE kind that runs it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from golden import checkpoint, fast, quality
from golden import state as training_state
from golden.data import Dataset
from golden.distributed import rank_and_count
from golden.finetune import CALIBRATION_IMAGES, Tuning, finetune
from golden.metrics import Metrics
from golden.model_file import save
from golden.quantize import Quantization, quantize_whole
from golden.recipe import Recipe
from golden.spec import QuantizedModel
from golden.start import check_start, read_start
from golden.train import Start, Step, TrainConfig, TrainResult, train
from hw.best import synthesize_best
from hw.choices import TREES
from hw.config import ArrayConfig
from hw.liberty import Liberty, read_library
from hw.mapping import on_fabric
from hw.netlist import read_netlist
from hw.synth import SynthReport, synthesize
from hw.verilog import array_verilog
from sim.gate_run import GateRun, measure
from sim.job import FormResult
from sim.runner import simulate
from sim.workload import MatrixForm

from .progress import Update
from .quality_chart import draw_quality
from .runs import write_text

PE_OF_KIND = {"adder": "complement", "cnn": "mac"}
QUALITY_IMAGES = 200  # of the test set
BATCH = 200
TARGETS = ("ice40", "ecp5", "asic")  # that arrays are synthesized for
WORKERS = 2  # external tools running at a time


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Test images classified right by the float and by the integer network, out of `images`."""

    float_correct: int
    integer_correct: int
    images: int


def train_network(
    config: TrainConfig,
    dataset: Dataset,
    folder: Path,
    update: Update,
    device: str = "auto",
    resume: bool = False,
    from_checkpoint: Path | None = None,
) -> TrainResult:
    """Train a network; writes `<kind>.pt` and its metrics into `folder`, see `golden.metrics`, and
    until it is done `<kind>.state`, from which `resume` goes on.

    resume: without a state train from the start, unless `<kind>.pt` is there: then that is the
    result. Without `resume` a finished training is not replaced. Under torchrun only the first
    process writes. from_checkpoint: where a new training
    takes its first weights from, see `golden.start`; it is not read to resume.

    Raises ValueError on an unfinished or finished training without `resume`, on one of another
    configuration or start with it, and on a checkpoint that does not fit the network.
    """
    path, state = folder / f"{config.kind}.pt", folder / f"{config.kind}.state"
    first = rank_and_count()[0] == 0
    if state.exists() and not resume:
        raise ValueError(
            f"{state}: an unfinished training must be resumed or removed; add --resume, or remove "
            "the file to train from the start"
        )
    if path.exists() and not state.exists() and not resume:
        raise ValueError(
            f"{path}: a finished training must not be replaced; choose another folder, or remove "
            "the file"
        )
    if resume and path.exists() and not state.exists():
        result = checkpoint.load(path)
        training_state.check_same(config, asdict(result.config), path)
        check_start(from_checkpoint, result.start, path)
        return result
    begun = _start(from_checkpoint, config, state)
    if first:
        for left in (state, path, path.with_suffix(".csv")):
            training_state.remove_leftovers(left)
        metrics = Metrics(folder, config.kind)
    result = train(
        config,
        on_epoch=metrics.add if first else None,
        dataset=dataset,
        on_step=lambda step: update(*_at(config, step)),
        state_file=state,
        start=begun,
        device=device,
    )
    if first:
        checkpoint.save(result, path)
        state.unlink()
    return result


def _start(from_checkpoint: Path | None, config: TrainConfig, state: Path) -> Start | None:
    """Weights to start from; None for random ones, and when the training goes on from `state`."""
    if from_checkpoint is None:
        return None
    if not state.exists():
        return read_start(from_checkpoint, config)
    check_start(from_checkpoint, training_state.load(config, state).get("start"), state)
    return None


def _at(config: TrainConfig, step: Step) -> tuple[str, int, int]:
    text = (
        f"{config.kind}, epoch {step.epoch}/{config.epochs}, loss {step.loss:.3f}, accuracy "
        f"{step.train_accuracy:.1%}, {step.images_per_second:,.0f} images/s"
    )
    return text, (step.epoch - 1) * step.steps + step.number, config.epochs * step.steps


def finetune_network(
    result: TrainResult,
    dataset: Dataset,
    recipe: Recipe,
    tuning: Tuning,
    folder: Path,
    update: Update,
    images: int = CALIBRATION_IMAGES,
) -> TrainResult:
    """Fine-tune a float network to its integers; writes `<kind>-finetuned.pt`, with the config of
    the training before: what was done since has no place in the format."""
    config = replace(result.config, epochs=tuning.epochs)
    tuned = finetune(
        result, dataset, recipe, tuning, images, lambda step: update(*_at(config, step))
    )
    checkpoint.save(tuned, folder / f"{config.kind}-finetuned.pt")
    return tuned


def quantize_network(
    result: TrainResult,
    dataset: Dataset,
    recipe: Recipe,
    folder: Path,
    update: Update,
    images: int = CALIBRATION_IMAGES,
    tuning: Tuning | None = None,
) -> tuple[QuantizedModel, Accuracy]:
    """Quantize, classify every test image with the integers; writes `<model's name>.npz` and what
    `golden.quality` tells of it: `.quality.json`, `.quality.md` and, where there is matplotlib,
    `.quality.png`.

    images: of the training set, for calibration. tuning: that the network has had, for the
    model's metadata.
    """
    kind, count = result.config.kind, len(dataset.test_images)
    metadata = {"kind": kind, "data": dataset.name, "seed": result.config.seed}
    if tuning and tuning.epochs:
        metadata["finetuned"] = asdict(tuning)
    made = quantize_whole(
        result.network,
        dataset.train_images[:images],
        recipe,
        name=f"{result.config.model}-{dataset.name}-{kind}",
        metadata=metadata,
    )
    model = made.model
    save(model, folder / f"{model.name}.npz")
    correct = 0
    for start in range(0, count, BATCH):
        batch = slice(start, start + BATCH)
        classes = fast.classify(model, dataset.test_images[batch])
        correct += int(np.sum(classes == dataset.test_labels[batch]))
        update(f"{kind}, integer network", min(start + BATCH, count), count)
    _write_quality(result, made, dataset.test_images[:QUALITY_IMAGES], folder)
    float_correct = round(result.test_accuracy * count)
    return model, Accuracy(float_correct=float_correct, integer_correct=correct, images=count)


def _write_quality(
    result: TrainResult, made: Quantization, images: np.ndarray, folder: Path
) -> None:
    qualities = quality.measure(result.network, made, images)
    quality.save(qualities, made, len(images), folder)
    if find_spec("matplotlib"):
        name = made.model.name
        draw_quality(name, qualities, folder / f"{name}.quality.png")


def write_verilog(configs: list[ArrayConfig], folder: Path, update: Update) -> list[Path]:
    """Write `<pe>_array.v` of every configuration."""
    paths = []
    for done, config in enumerate(configs):
        update(config.pe, done, len(configs))
        paths.append(folder / f"{config.pe}_array.v")
        write_text(paths[-1], array_verilog(config))
    return paths


def simulate_arrays(
    work: list[tuple[ArrayConfig, list[MatrixForm]]],
    simulator: str,
    folder: Path,
    update: Update,
) -> list[list[FormResult]]:
    """Simulate every array on its matrix forms, each in `<pe>/`; the results in order."""

    def one(config: ArrayConfig, forms: list[MatrixForm]) -> list[FormResult]:
        return simulate(config, forms, folder / config.pe, simulator)

    return _parallel([lambda item=item: one(*item) for item in work], "arrays", update)


def synthesize_arrays(
    configs: list[ArrayConfig], liberty: Liberty, folder: Path, update: Update
) -> list[SynthReport]:
    """Synthesize every array for each of TARGETS, each in `<target>/<pe>/`.

    On FPGAs PEs are made by hand where that is known. A mac array gets the best multiplier made of
    logic, and on FPGAs one with DSPs beside it.
    """

    def one(config: ArrayConfig, target: str, dsp: bool) -> SynthReport:
        if dsp:
            return synthesize(config, target, folder / target / f"{config.pe}-dsp", "dsp")
        made = config if target == "asic" else on_fabric(config, target)
        return synthesize_best(made, target, folder / target / config.pe, liberty)

    jobs = [(config, target, False) for config in configs for target in TARGETS]
    jobs += [(c, t, True) for c in configs if c.pe == "mac" for t in TARGETS if t != "asic"]
    return _parallel([lambda job=job: one(*job) for job in jobs], "syntheses", update)


@dataclass(frozen=True, kw_only=True)
class NetlistRun:
    """A run of an array's netlist, and the multiplier in it."""

    multiplier: str
    run: GateRun


def measure_energy(
    work: list[tuple[ArrayConfig, list[MatrixForm]]],
    reports: list[SynthReport],
    liberty: Liberty,
    folder: Path,
    update: Update,
) -> list[NetlistRun]:
    """Run every array's mapped netlist, left in `folder` by `synthesize_arrays`, on its forms; of
    a mac array those of both trees, and return the one of less energy."""
    library = read_library(liberty)
    smallest = {report.pe: report.multiplier for report in reports if report.target == "asic"}
    found = []
    for config, forms in work:
        runs = []
        own = smallest[config.pe]
        for name in dict.fromkeys((own, *(TREES if config.pe == "mac" else ()))):
            place = folder / "asic" / (config.pe if name == own else f"{config.pe}-{name}")
            if name != own:
                synthesize(config, "asic", place, name, liberty)
            netlist = read_netlist(place / "netlist.json", library)
            show = partial(update, f"{config.pe} netlist ({name}), cycles")
            run = measure(config, netlist, forms, progress=show)
            runs.append(NetlistRun(multiplier=name, run=run))
        found.append(min(runs, key=lambda one: one.run.energy.pj_per_op))
    return found


def _parallel(jobs: list[Callable], what: str, update: Update) -> list:
    """Run the jobs, WORKERS at a time; the first failure is raised when the running ones end."""
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(job) for job in jobs]
        update(what, 0, len(jobs))
        for future in futures:
            future.add_done_callback(
                lambda _: update(what, sum(f.done() for f in futures), len(jobs))
            )
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
