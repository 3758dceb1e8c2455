"""The pictures of the experiments, as PNG; every function returns the file's name."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .results import Pair
from .runs import Run


def beside(pairs: list[Pair], xlabel: str, path: Path, scale: str = "linear") -> str:
    """A line for each pair: a dot for each of our values, and the paper's as a stroke."""
    figure, axes = _figure(7, 1 + 0.35 * len(pairs), 1, 1)
    for height, pair in enumerate(pairs):
        ours = axes.plot(pair.ours, [height] * len(pair.ours), "o", color="#2b6c99", alpha=0.7)
        papers = axes.plot(pair.paper, height, "|", color="#c0392b", ms=16, mew=2)
    axes.set(xlabel=xlabel, xscale=scale, yticks=range(len(pairs)), ylim=(len(pairs) - 0.5, -0.5))
    axes.set_yticklabels([pair.label for pair in pairs])
    axes.grid(axis="x", alpha=0.3)
    figure.legend((*ours, *papers), ("ours", "paper"), loc="outside lower center", ncols=2)
    return _save(figure, path)


def learning_curves(runs: dict[str, Run], path: Path) -> str:
    """Accuracy on the test images, and training loss, of every run by epoch (Figure 3)."""
    figure, (left, right) = _figure(10, 4, 1, 2)
    for label, run in runs.items():
        epochs = range(1, len(run.curve) + 1)
        percent = 100 * np.array(run.test_curve, dtype=float)  # None becomes NaN: a gap
        left.plot(epochs, percent, label=label)
        right.plot(epochs, [loss for loss, _ in run.curve], label=label)
    left.set(xlabel="epoch", ylabel="test accuracy, %")
    right.set(xlabel="epoch", ylabel="training loss", yscale="log")
    left.figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return _save(figure, path)


def filters(weights: dict[str, np.ndarray], path: Path) -> str:
    """The first layer's filters (count, rows, cols) of every network, a row each (Figure 2)."""
    count = max(len(some) for some in weights.values())
    figure, axes = _figure(1.2 * count, 1.5 * len(weights), len(weights), count)
    for row, (kind, some) in zip(axes, weights.items(), strict=True):
        for index, cell in enumerate(row):
            cell.set(xticks=[], yticks=[])
            cell.imshow(some[index], cmap="gray")
        row[0].set_ylabel(kind)
    return _save(figure, path)


def histograms(weights: dict[str, np.ndarray], path: Path) -> str:
    """Weights of a layer, (count,) each, with the fitted Laplace and Gauss (Figure 4)."""
    figure, axes = _figure(10, 4, 1, len(weights))
    for cell, (kind, some) in zip(axes, weights.items(), strict=True):
        cell.hist(some, bins=120, density=True, color="#a9c6d9")
        x = np.linspace(*np.quantile(some, [0.0005, 0.9995]), 400)
        for (name, density), style in zip(_densities(some).items(), "-:", strict=True):
            cell.plot(x, density(x), "k" + style, label=name)
        cell.set(title=kind, xlabel="weight", xlim=(x[0], x[-1]))
        cell.legend()
    return _save(figure, path)


def features(points: dict[str, np.ndarray], labels: np.ndarray, path: Path) -> str:
    """(images, 2) features of every network, colored by class (Figure 1)."""
    figure, axes = _figure(5 * len(points), 5, 1, len(points))
    for cell, (kind, some) in zip(axes, points.items(), strict=True):
        cell.scatter(*some.T, c=labels, cmap="tab10", s=2)
        cell.set_title(kind)
    return _save(figure, path)


def fits(weights: np.ndarray) -> dict[str, float]:
    """Mean log-likelihood of the weights under the Laplace and Gauss fitted to them."""
    return {
        name: float(np.log(density(weights)).mean())
        for name, density in _densities(weights).items()
    }


def descent(curves: dict[str, list[float]], path: Path) -> str:
    """Mean |x − f| at each step, for each gradient (Appendix A)."""
    figure, axes = _figure(6, 4, 1, 1)
    for name, curve in curves.items():
        axes.plot(curve, label=f"{name} gradient")
    axes.set(xlabel="step", ylabel="mean |x − f|", yscale="log")
    axes.legend()
    return _save(figure, path)


def _densities(weights: np.ndarray) -> dict:
    """Maximum-likelihood Laplace (median, mean deviation) and Gauss (mean, deviation)."""
    middle, center = np.median(weights), weights.mean()
    spread, deviation = np.abs(weights - middle).mean(), weights.std()
    return {
        "Laplace": lambda x: np.exp(-np.abs(x - middle) / spread) / (2 * spread),
        "Gauss": lambda x: (
            np.exp(-(((x - center) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
        ),
    }


def _figure(width: float, height: float, rows: int, cols: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, cols)


def _save(figure: Figure, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path.name
