"""The experiments that look into networks: gradients, filters, weights, features."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from .. import checkpoint, data
from ..train import TrainConfig, build_network
from . import figures, paper
from .results import Options, Pair, Result, Row, accuracies, by, numbers, spread
from .runs import Progress, Run, train_all

KINDS = ("adder", "cnn")


def table1(options: Options, progress: Progress) -> Result:
    """Table 1: ℓ2 norms of the filters' gradients at the first iteration, batch of 256.

    Of the networks that are trained here; and once more without batch norm of the logits, adder
    filters drawn as Xavier's, for the paper says of neither how it was.
    """
    dataset = data.load("mnist", options.data_dir)
    images, labels = (
        torch.from_numpy(some[:256]) for some in (dataset.train_images, dataset.train_labels)
    )
    norms, pairs = {}, []
    for plain in (False, True):
        for kind, theirs in paper.TABLE_1.items():
            name = f"{kind}, logits not normalized" if plain else kind
            name += ", Xavier's filters" if plain and kind == "adder" else ""
            norms[name] = _gradient_norms(kind, plain, images, labels)
            pairs += [
                Pair(label=f"{name}, layer {layer}", ours=[norm], paper=published, digits=4)
                for layer, (norm, published) in enumerate(zip(norms[name], theirs, strict=True), 1)
            ]
    picture = figures.beside(pairs, "ℓ2 norm", options.folder / "table1.png", scale="log")
    rows = [pair.row for pair in pairs]
    return Result(title=paper.TITLES["table1"], rows=rows, numbers=norms, pictures=[picture])


def _gradient_norms(
    kind: str, plain: bool, images: torch.Tensor, labels: torch.Tensor
) -> list[float]:
    """Of the first three layers. plain: logits are not normalized, adder filters are Xavier's."""
    init = "xavier" if plain else "normal"
    network = build_network(TrainConfig.suited_to("mnist", kind=kind, init=init))
    *_, last = blocks = list(network.blocks.values())
    if plain:
        last.norm = torch.nn.Identity()
    cross_entropy(network(images), labels).backward()
    return [float(block.layer.weight.grad.norm()) for block in blocks[:3]]


def figure1(options: Options, progress: Progress) -> Result:
    """Figure 1: the 2-D features of LeNet++ on the test images, by class."""
    configs = options.configs(
        [{"model": "lenet-plus-plus", "kind": kind} for kind in KINDS], "mnist", 1
    )
    runs = train_all(configs, options.folder / "runs", progress)
    dataset = data.load("mnist", options.data_dir)
    firsts = [run for run in runs if run.config["seed"] == 0]
    features = {run.config["kind"]: _features(run, dataset.test_images) for run in firsts}
    picture = figures.features(features, dataset.test_labels, options.folder / "figure1.png")
    groups = by(runs, "kind")
    return Result(
        title=paper.TITLES["figure1"] + options.length("mnist", "our"),
        rows=[
            Row(label=f"{kind}: accuracy, %", ours=spread(accuracies(some)))
            for kind, some in groups.items()
        ],
        numbers=numbers(groups),
        pictures=[picture],
    )


def figure2(options: Options, progress: Progress) -> Result:
    """Figure 2: filters of the first layer, of the first seed of `mnist`."""
    networks = _first_networks(options, progress)
    filters = {kind: network.blocks["conv1"].layer.weight for kind, network in networks.items()}
    picture = figures.filters(
        {kind: weight.detach()[:, 0].numpy() for kind, weight in filters.items()},
        options.folder / "figure2.png",
    )
    return Result(title=paper.TITLES["figure2"], rows=[], numbers={}, pictures=[picture])


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
    rows = [
        Row(
            label=f"{kind}: closer distribution",
            ours=max(fit, key=fit.get),
            paper=paper.FIGURE_4[kind],
        )
        for kind, fit in fits.items()
    ]
    return Result(title=paper.TITLES["figure4"], rows=rows, numbers=fits, pictures=[picture])


def _first_networks(options: Options, progress: Progress) -> dict:
    configs = options.configs([{"kind": kind} for kind in KINDS], "mnist", 1)
    firsts = [config for config in configs if config.seed == 0]
    runs = train_all(firsts, options.folder / "runs", progress)
    return {run.config["kind"]: checkpoint.load(run.network).network for run in runs}


def _features(run: Run, images: np.ndarray) -> np.ndarray:
    """(images, 2) outputs of the layer before the last."""
    network = checkpoint.load(run.network).network
    with torch.no_grad():
        parts = [network(part, last="fc1") for part in torch.from_numpy(images).split(500)]
    return torch.cat(parts).flatten(1).numpy()
