"""Proposes designs of a space that is too large to look at as a whole, with Optuna.

Designs are asked for in batches and told back in the order of asking, so what is proposed follows
from the seed and the measurements alone, whatever the order in which an executor makes them. A run
that was interrupted asks the same again, and what the store knows is told back at no cost.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from hw.tools import ToolError

from .design import Design
from .objectives import Objective
from .space import Space

BATCH = 16
ASKED = 20  # times the trials that may be asked for, when most are no designs or known already

SEEDS = 2**32  # as many as NumPy takes

Evaluate = Callable[[Sequence[Design]], list[list[float] | None]]


def check_counts(trials: int, most: int, seed: int) -> None:
    """ValueError when one is out of range."""
    for name, value in (("trials", trials), ("most", most)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if seed not in range(SEEDS):
        raise ValueError(f"seed must be 0 to {SEEDS - 1}, not {seed}")


def search(
    space: Space,
    defaults: dict[str, object],
    goals: tuple[Objective, ...],
    evaluate: Evaluate,
    trials: int,
    seed: int,
    journal: Path | None = None,
) -> list[Design]:
    """Returns up to `trials` different designs, in the order of asking, of which the later are
    those that the earlier promise. evaluate: the objectives' values of designs, None where one
    failed. journal: a file that Optuna's dashboard reads. ToolError when Optuna is not installed,
    ValueError when no design is found."""
    study = _study(goals, seed, journal)
    known: dict[Design, list[float] | None] = {}
    asked = 0
    while len(known) < trials and asked < ASKED * trials:
        batch = [study.ask() for _ in range(BATCH)]
        asked += BATCH
        picked = [space.pick(_values(space, trial), **defaults) for trial in batch]
        new = list(dict.fromkeys(d for d in picked if d is not None and d not in known))
        new = new[: trials - len(known)]
        known |= zip(new, evaluate(new), strict=True)
        for trial, design in zip(batch, picked, strict=True):
            _tell(study, trial, known.get(design))
    if not known:
        raise ValueError(
            f"none of {asked:,} combinations, of {space.size:,}, satisfies all constraints: "
            f"{', '.join(repr(rule.name) for rule in space.constraints)}; loosen one"
        )
    return list(known)


def _study(goals: tuple[Objective, ...], seed: int, journal: Path | None):
    try:
        import optuna
    except ModuleNotFoundError:
        raise ToolError("optuna: not installed; run 'pip install adderforge[explore]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = None
    if journal:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        journal.unlink(missing_ok=True)
        storage = JournalStorage(JournalFileBackend(str(journal)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            study_name="adderforge",
            storage=storage,
            sampler=optuna.samplers.NSGAIISampler(seed=seed, population_size=3 * BATCH),
            directions=["maximize" if goal.maximize else "minimize" for goal in goals],
        )


def _values(space: Space, trial) -> dict[str, object]:
    """Numbers are asked for by their place in the list, since they have an order."""
    values = {}
    for name, choices in space.choices.items():
        if all(isinstance(choice, int) for choice in choices):
            values[name] = choices[trial.suggest_int(name, 0, len(choices) - 1)]
        else:
            values[name] = trial.suggest_categorical(name, choices)
    return values


def _tell(study, trial, values: list[float] | None) -> None:
    from optuna.trial import TrialState

    if values is None:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, values)
