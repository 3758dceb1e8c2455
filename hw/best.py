"""Picks the best of the ways to make a PE, by synthesizing all of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from .choices import BUILT_IN_LIBRARY, Choice, check, choices
from .config import ArrayConfig
from .liberty import Liberty
from .synth import Progress, SynthReport, synthesize
from .yowasp import for_each


def choose(
    config: ArrayConfig,
    target: str,
    folder: Path,
    liberty: Liberty = BUILT_IN_LIBRARY,
    clock_mhz: float | None = None,
    multiplier: str | None = None,
    progress: Progress | None = None,
) -> Choice:
    """The best of `choices` for one PE: the smallest, by area for "asic", by LUTs for an FPGA. With
    clock_mhz the smallest of those that meet it, or if none does the one with the shortest path.
    Every one is synthesized, in a folder of its name; nothing is if there is only one."""
    return ranked(config, target, folder, liberty, clock_mhz, multiplier, progress)[0]


def ranked(
    config: ArrayConfig,
    target: str,
    folder: Path,
    liberty: Liberty,
    clock_mhz: float | None,
    multiplier: str | None,
    progress: Progress | None,
) -> list[Choice]:
    """The choices that a larger design may do well with, as `choose` finds them, best first: with a
    clock rate those whose PE meets it, or the fastest alone."""
    single = ArrayConfig(**(config.model_dump() | {"rows": 1, "cols": 1}))
    found = choices(config, target, liberty, clock_mhz, multiplier)
    if len(found) == 1:
        return found

    def attempt(choice: Choice) -> tuple[bool, float]:
        place, name = folder / choice.name, choice.multiplier
        report = synthesize(single, target, place, name, liberty, choice.style, clock_mhz)
        missed = report.clock_met is False
        return missed, report.longest_path_ns if missed else report.area_um2 or report.luts

    def tell(choice: Choice, done: int, count: int) -> None:
        if progress:
            progress(f"tried {choice.name}", done, count)

    costs = for_each(found, attempt, tell)
    found.sort(key=costs.__getitem__)
    return [choice for choice in found if not costs[choice][0]] or found[:1]


def best_multiplier(
    config: ArrayConfig, target: str, folder: Path, liberty: Liberty = BUILT_IN_LIBRARY
) -> str:
    """The multiplier of `choose`."""
    return choose(config, target, folder, liberty).multiplier


def synthesize_best(
    config: ArrayConfig,
    target: str,
    folder: Path,
    liberty: Liberty = BUILT_IN_LIBRARY,
    clock_mhz: float | None = None,
    multiplier: str | None = None,
    progress: Progress | None = None,
) -> SynthReport:
    """`synthesize` as `choose` says; what it tried stays in `folder/candidates`. Where the array
    misses a clock rate that the PE meets, the next best ones follow, until one meets it; if none
    does, the array with the shortest path is taken."""
    check(config, target, multiplier, liberty, clock_mhz)
    if multiplier == "dsp":
        return synthesize(config, target, folder, multiplier, liberty)

    def make(choice: Choice) -> SynthReport:
        if progress:
            progress(f"mapping with {choice.name}", 1, 1)
        name = choice.multiplier
        return synthesize(config, target, folder, name, liberty, choice.style, clock_mhz)

    tried = folder / "candidates"
    return first_that_meets(
        ranked(config, target, tried, liberty, clock_mhz, multiplier, progress), make
    )


def first_that_meets(found: Sequence[Choice], make: Callable[[Choice], SynthReport]) -> SynthReport:
    """Make one design after the other, until one meets its clock rate, if it has one; if none does,
    the one with the shortest path is made last."""
    paths = {}
    for choice in found:
        report = make(choice)
        if report.clock_met is not False:
            return report
        paths[choice] = report.longest_path_ns
    fastest = min(paths, key=paths.__getitem__)
    return report if fastest == choice else make(fastest)
