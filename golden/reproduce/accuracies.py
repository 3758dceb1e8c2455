"""The experiments that compare accuracies: section 4.1, Tables 2 to 5, and Figure 3."""

from dataclasses import asdict

from ..count import Operations, count, published
from . import figures, paper
from .results import Options, Pair, Result, Row, accuracies, by, numbers, spread
from .runs import Progress, Run, train_all

GRADIENTS = {"full": "full-precision", "sign": "sign", "derivative": "sign"}
UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "K"))


def network(name: str, options: Options, progress: Progress) -> Result:
    """A network of `paper.NETWORKS` in each of its kinds: accuracies and operations."""
    entry = paper.NETWORKS[name]
    kinds = options.chosen(entry.accuracies)
    variations = [{"model": entry.model, "kind": kind} for kind in kinds]
    configs = options.configs(variations, entry.data, entry.seeds)
    runs = by(train_all(configs, options.folder / "runs", progress), "kind")
    pairs = [pair for kind in kinds for pair in _pairs(kind, runs[kind], entry.accuracies[kind])]
    picture = figures.beside(pairs, "test accuracy, %", options.folder / f"{name}.png")
    rows = [pair.row for pair in pairs]
    rows += [_operations(entry.model, kind) for kind in kinds]
    counts = {kind: asdict(count(entry.model, kind)) for kind in kinds}
    return Result(
        title=f"{entry.title}: test accuracy, %" + options.length(entry.data),
        rows=rows,
        numbers=numbers(runs) | {"operations": counts},
        pictures=[picture],
    )


def ablation(
    options: Options,
    progress: Progress,
    name: str = "ablation",
    init: str = "normal",
    sign: str = "sign",
    plain_seeds: int = 1,
) -> Result:
    """Figure 3: two gradients with three ways to set the adder filters' rate. The paper does not
    say how filters were drawn: `init`, nor what the input's gradient was where the filters' was a
    sign: `sign`, as `golden.layers.AdderConv2d` takes it. plain_seeds: runs at the plain rate,
    where seeds differ most.

    The picture has the accuracy on the test images and the training loss after each epoch. The
    paper does not say which images its curves are of; their best is its test accuracy.
    """
    gradients = {"full": "full", "sign": sign}
    configs = [
        config
        for gradient, schedule in paper.ABLATION
        for config in options.configs(
            [{"gradient": gradients[gradient], "schedule": schedule, "init": init}],
            "mnist",
            plain_seeds if schedule == "plain" else 1,
        )
    ]
    runs = by(
        train_all(configs, options.folder / "runs", progress, test_epochs=True),
        "gradient",
        "schedule",
    )
    rows = [
        Row(
            label=f"{GRADIENTS[gradient]} gradient, {schedule}",
            ours=spread(accuracies(runs[gradients[gradient], schedule])),
            paper=f"{percent:.2f}",
        )
        for (gradient, schedule), percent in paper.ABLATION.items()
    ]
    firsts = {f"{GRADIENTS[g]}, {s}": some[0] for (g, s), some in runs.items()}
    picture = figures.learning_curves(firsts, options.folder / f"{name}.png")
    return Result(
        title=f"{paper.TITLES[name]}: test accuracy, %" + options.length("mnist"),
        rows=rows,
        numbers=numbers(runs),
        pictures=[picture],
    )


def eta(options: Options, progress: Progress) -> Result:
    """Table 4: the impact of η (Eq. 13)."""
    configs = options.configs([{"eta": value} for value in paper.ETA], "mnist", 1)
    runs = by(train_all(configs, options.folder / "runs", progress), "eta")
    pairs = [
        Pair(label=f"η = {value:g}", ours=accuracies(runs[value]), paper=percent)
        for value, percent in paper.ETA.items()
    ]
    picture = figures.beside(pairs, "test accuracy, %", options.folder / "eta.png")
    return Result(
        title=f"{paper.TITLES['eta']}: test accuracy, %" + options.length("mnist"),
        rows=[pair.row for pair in pairs],
        numbers=numbers(runs),
        pictures=[picture],
    )


def _pairs(kind: str, runs: list[Run], papers: tuple[float, ...]) -> list[Pair]:
    """Top-1 and, where the paper has it, top-5."""
    if len(papers) == 1:
        return [Pair(label=kind, ours=accuracies(runs), paper=papers[0])]
    top5 = [100 * run.top5 for run in runs]
    return [
        Pair(label=f"{kind}, top-1", ours=accuracies(runs), paper=papers[0], digits=1),
        Pair(label=f"{kind}, top-5", ours=top5, paper=papers[1], digits=1),
    ]


def _operations(model: str, kind: str) -> Row:
    theirs = published(model, kind)
    return Row(
        label=f"{kind}, #mul / #add / #xnor",
        ours=_text(count(model, kind)),
        paper=None if theirs is None else _text(theirs.operations),
    )


def _text(operations: Operations) -> str:
    return " / ".join(_scaled(value) for value in asdict(operations).values())


def _scaled(value: int) -> str:
    for unit, letter in UNITS:
        if value >= unit:
            return f"{round(value / unit, 2):g} {letter}"
    return str(value)
