"""The experiments by name. Each trains or computes what it needs, draws its figure, and gives
rows that stand beside the paper's."""

from collections.abc import Callable
from functools import partial

from . import accuracies, insides, paper, propositions
from .results import Options, Result
from .runs import Progress

Experiment = Callable[[Options, Progress], Result]

_OTHERS: dict[str, Experiment] = {
    "ablation": accuracies.ablation,
    "ablation-xavier": partial(accuracies.ablation, name="ablation-xavier", init="xavier"),
    "ablation-derivative": partial(
        accuracies.ablation,
        name="ablation-derivative",
        init="xavier",
        sign="derivative",
        plain_seeds=5,
    ),
    "eta": accuracies.eta,
    "table1": insides.table1,
    "figure1": insides.figure1,
    "figure2": insides.figure2,
    "figure4": insides.figure4,
    "propositions": propositions.appendix_a,
}
EXPERIMENTS: dict[str, Experiment] = {
    name: _OTHERS.get(name) or partial(accuracies.network, name) for name in paper.TITLES
}
