"""The experiments by name. Each trains or computes what it needs, draws its figure, and gives
rows that stand beside the paper's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from .. import checkpoint, data
from ..train import TrainConfig, build_network
from . import figures, propositions
from .runs import Progress, Run, train_all


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user chooses. folder: for results and figures; trainings go to folder/runs, and those
    done are used again. data_dir: of the data set. seeds, epochs: None for the paper's or, where
    it names none, ours."""

    folder: Path
    data_dir: str | None = None
    seeds: int | None = None
    epochs: int | None = None

    def length(self, data_name: str) -> str:
        """For titles: nothing at the paper's number of epochs, else both numbers."""
        paper = PAPER_EPOCHS[data_name]
        shorter = self.epochs not in (None, paper)
        return f" ({self.epochs} epochs, the paper's {paper})" if shorter else ""

    def configs(self, variations: list[dict], data_name: str, seeds: int) -> list[TrainConfig]:
        """A configuration for each variation and seed, at the paper's length by default."""
        epochs = self.epochs or PAPER_EPOCHS[data_name]
        chosen = {"epochs": epochs, "data_dir": self.data_dir}
        return [
            TrainConfig.suited_to(data_name, **chosen | {"seed": seed} | variation)
            for variation in variations
            for seed in range(self.seeds or seeds)
        ]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a result: ours beside the paper's figure, None where it gives none."""

    label: str
    ours: str
    paper: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """title: with the paper's number. rows: for people. numbers: JSON values behind them.
    pictures: file names in the folder."""

    title: str
    rows: list[Row]
    numbers: dict
    pictures: list[str] = field(default_factory=list)


PAPER_EPOCHS = {"mnist": 50, "cifar10": 400}
GRADIENTS = {"full": "full-precision", "sign": "sign"}
ABLATION = {
    ("full", "alr"): 99.40,
    ("sign", "alr"): 97.99,
    ("full", "ilr"): 98.99,
    ("sign", "ilr"): 97.72,
    ("full", "plain"): 54.91,
    ("sign", "plain"): 29.26,
}
ETA = {1.0: 99.26, 0.5: 99.30, 0.2: 99.35, 0.1: 99.40, 0.05: 99.32}
TABLE_1 = {"adder": (0.0009, 0.0012, 0.0146), "cnn": (0.2261, 0.2990, 0.4646)}
CIFAR10_RESNET20 = {"adder": 91.84, "cnn": 92.25, "bnn": 84.87}


def mnist(options: Options, progress: Progress) -> Result:
    """Section 4.1: LeNet-5-BN, every layer an adder layer, and its CNN twin; 5 seeds."""
    kinds = ("adder", "cnn")
    configs = options.configs([{"kind": kind} for kind in kinds], "mnist", 5)
    runs = _by(train_all(configs, options.folder / "runs", progress), "kind")
    rows = [Row(label=kind, ours=_spread(runs[kind]), paper="99.40") for kind in kinds]
    return Result(
        title="MNIST, LeNet-5-BN (section 4.1): test accuracy, %" + options.length("mnist"),
        rows=rows,
        numbers=_numbers(runs),
    )


def ablation(options: Options, progress: Progress) -> Result:
    """Figure 3: two gradients with three ways to set the adder filters' rate."""
    keys = [{"gradient": gradient, "schedule": schedule} for gradient, schedule in ABLATION]
    configs = options.configs(keys, "mnist", 1)
    runs = _by(train_all(configs, options.folder / "runs", progress), "gradient", "schedule")
    rows = [
        Row(
            label=f"{GRADIENTS[gradient]} gradient, {schedule}",
            ours=_spread(runs[gradient, schedule]),
            paper=f"{accuracy:.2f}",
        )
        for (gradient, schedule), accuracy in ABLATION.items()
    ]
    curves = {f"{GRADIENTS[g]}, {s}": some[0].curve for (g, s), some in runs.items()}
    picture = figures.learning_curves(curves, options.folder / "ablation.png")
    return Result(
        title="Ablation (Figure 3): test accuracy, %" + options.length("mnist"),
        rows=rows,
        numbers=_numbers(runs),
        pictures=[picture],
    )


def eta(options: Options, progress: Progress) -> Result:
    """Table 4: the impact of η (Eq. 13)."""
    configs = options.configs([{"eta": value} for value in ETA], "mnist", 1)
    runs = _by(train_all(configs, options.folder / "runs", progress), "eta")
    rows = [
        Row(label=f"η = {value:g}", ours=_spread(runs[value]), paper=f"{accuracy:.2f}")
        for value, accuracy in ETA.items()
    ]
    return Result(
        title="Impact of η (Table 4): test accuracy, %" + options.length("mnist"),
        rows=rows,
        numbers=_numbers(runs),
    )


def table1(options: Options, progress: Progress) -> Result:
    """Table 1: ℓ2 norms of the filters' gradients at the first iteration, batch of 256."""
    dataset = data.load("mnist", options.data_dir)
    images, labels = (
        torch.from_numpy(some[:256]) for some in (dataset.train_images, dataset.train_labels)
    )
    norms = {}
    for kind in TABLE_1:
        network = build_network(TrainConfig.suited_to("mnist", kind=kind))
        cross_entropy(network(images), labels).backward()
        blocks = list(network.blocks.values())[:3]
        norms[kind] = [float(block.layer.weight.grad.norm()) for block in blocks]
    rows = [
        Row(label=f"{kind}, layer {n + 1}", ours=f"{norms[kind][n]:.4f}", paper=f"{paper:.4f}")
        for kind, papers in TABLE_1.items()
        for n, paper in enumerate(papers)
    ]
    return Result(title="Gradient norms at the first iteration (Table 1)", rows=rows, numbers=norms)


def figure2(options: Options, progress: Progress) -> Result:
    """Figure 2: filters of the first layer, of the first seed of `mnist`."""
    networks = _first_networks(options, progress)
    filters = {kind: network.blocks["conv1"].layer.weight for kind, network in networks.items()}
    picture = figures.filters(
        {kind: weight.detach()[:, 0].numpy() for kind, weight in filters.items()},
        options.folder / "figure2.png",
    )
    return Result(title="First-layer filters (Figure 2)", rows=[], numbers={}, pictures=[picture])


def figure4(options: Options, progress: Progress) -> Result:
    """Figure 4: weights of the third layer, against Laplace and Gauss of the same spread.

    The better fit is the one of higher likelihood; both are fitted by maximum likelihood.
    """
    networks = _first_networks(options, progress)
    weights = {
        kind: list(network.blocks.values())[2].layer.weight.detach().flatten().double().numpy()
        for kind, network in networks.items()
    }
    fits = {kind: figures.fits(some) for kind, some in weights.items()}
    picture = figures.histograms(weights, options.folder / "figure4.png")
    papers = {"adder": "Laplace", "cnn": "Gauss"}
    rows = [
        Row(label=f"{kind}: closer distribution", ours=max(fit, key=fit.get), paper=papers[kind])
        for kind, fit in fits.items()
    ]
    return Result(
        title="Distribution of weights (Figure 4)", rows=rows, numbers=fits, pictures=[picture]
    )


def figure1(options: Options, progress: Progress) -> Result:
    """Figure 1: the 2-D features of LeNet++ on the test images, by class."""
    configs = options.configs(
        [{"model": "lenet-plus-plus", "kind": kind} for kind in ("adder", "cnn")], "mnist", 1
    )
    runs = train_all(configs, options.folder / "runs", progress)
    dataset = data.load("mnist", options.data_dir)
    features = {run.config["kind"]: _features(run, dataset.test_images) for run in runs}
    picture = figures.features(features, dataset.test_labels, options.folder / "figure1.png")
    rows = [Row(label=f"{run.config['kind']}: accuracy, %", ours=_spread([run])) for run in runs]
    return Result(
        title="Features of LeNet++ (Figure 1)" + options.length("mnist"),
        rows=rows,
        numbers=_numbers(_by(runs, "kind")),
        pictures=[picture],
    )


def cifar10_resnet20(options: Options, progress: Progress) -> Result:
    """Table 2, CIFAR-10: ResNet-20 as adder network, CNN and binary network."""
    variations = [{"model": "resnet20", "kind": kind} for kind in CIFAR10_RESNET20]
    configs = options.configs(variations, "cifar10", 1)
    runs = _by(train_all(configs, options.folder / "runs", progress), "kind")
    rows = [
        Row(label=kind, ours=_spread(runs[kind]), paper=f"{accuracy:.2f}")
        for kind, accuracy in CIFAR10_RESNET20.items()
    ]
    title = "CIFAR-10, ResNet-20 (Table 2): test accuracy, %" + options.length("cifar10")
    return Result(title=title, rows=rows, numbers=_numbers(runs))


def appendix_a(options: Options, progress: Progress) -> Result:
    """Propositions 1 and 2, as a numerical experiment."""
    numbers = propositions.run()
    picture = figures.descent(numbers["curves"], options.folder / "propositions.png")
    last = numbers["last"]
    rows = [
        Row(
            label="sign gradient, mean |x − f| at the end", ours=f"{last['sign']:.2g}", paper="> 0"
        ),
        Row(label="full-precision gradient", ours=f"{last['full']:.2g}", paper="0"),
        Row(label="elements that cycle, sign gradient", ours=f"{numbers['cycling']:.1%}"),
    ]
    title = "Convergence at a fixed rate (Appendix A)"
    return Result(title=title, rows=rows, numbers=numbers, pictures=[picture])


EXPERIMENTS: dict[str, Callable[[Options, Progress], Result]] = {
    "mnist": mnist,
    "ablation": ablation,
    "eta": eta,
    "table1": table1,
    "figure2": figure2,
    "figure4": figure4,
    "figure1": figure1,
    "cifar10-resnet20": cifar10_resnet20,
    "propositions": appendix_a,
}


def _first_networks(options: Options, progress: Progress) -> dict:
    configs = options.configs([{"kind": "adder"}, {"kind": "cnn"}], "mnist", 1)
    firsts = [config for config in configs if config.seed == 0]
    runs = train_all(firsts, options.folder / "runs", progress)
    return {run.config["kind"]: checkpoint.load(run.network).network for run in runs}


def _features(run: Run, images: np.ndarray) -> np.ndarray:
    """(images, 2) outputs of the layer before the last."""
    network = checkpoint.load(run.network).network
    with torch.no_grad():
        parts = [network(part, last="fc1") for part in torch.from_numpy(images).split(500)]
    return torch.cat(parts).flatten(1).numpy()


def _by(runs: list[Run], *names: str) -> dict:
    groups: dict = {}
    for run in runs:
        key = tuple(run.config[name] for name in names)
        groups.setdefault(key if len(names) > 1 else key[0], []).append(run)
    return groups


def _spread(runs: list[Run]) -> str:
    """Mean ± standard deviation over seeds, and the best; one run's accuracy alone."""
    shares = [100 * run.accuracy for run in runs]
    if len(shares) == 1:
        return f"{shares[0]:.2f}"
    return f"{mean(shares):.2f} ± {stdev(shares):.2f}, best {max(shares):.2f}"


def _numbers(runs: dict) -> dict:
    return {
        " ".join(map(str, key)) if isinstance(key, tuple) else str(key): [
            {
                "seed": run.config["seed"],
                "epochs": run.config["epochs"],
                "accuracy": run.accuracy,
                "seconds": run.seconds,
            }
            for run in some
        ]
        for key, some in runs.items()
    }
