"""Suggestions as text and as JSON: what is promised beside what was built."""

from dataclasses import asdict
from pathlib import Path

from ..runs import write_json, write_text
from .objectives import number
from .page import toml
from .promise import Option
from .suggest import WORDS, Adviser


def routed(report: dict) -> str:
    rates = ", ".join(f"{rate:g}" for rate in report["fmax_mhz"] or ())
    words = f"routed at {rates} MHz" if rates else "routed"
    used = ", ".join(f"{used:,} of {most:,} {n}" for n, (used, most) in report["resources"].items())
    return f"{report['board']}: {words}; {used}"


def report_of(options: list[Option], adviser: Adviser, accuracy: float | None) -> dict:
    """For JSON; accuracy: that was measured, with --min-accuracy."""
    ground, wish = adviser.ground, adviser.wish
    return {
        "place": ground.place,
        "scope": ground.scope,
        "limits": ground.limits,
        "min_images_per_second": wish.images_per_second,
        "max_uj_per_image": wish.microjoules,
        "accuracy": accuracy,
        "suggestions": [figures_of(option, adviser) for option in options],
        "board": None,
    }


def text_of(options: list[Option], adviser: Adviser, accuracy: float | None) -> list[str]:
    """The same for people."""
    lines = [f"{adviser.ground.place}; sizes are {adviser.ground.scope}"]
    lines += [suggestion_text(place, option, adviser) for place, option in enumerate(options, 1)]
    if accuracy is not None:
        lines.insert(0, f"{adviser.wish.width} bits: {accuracy:.2%} of the test images right")
    return lines


def write(options: list[Option], report: dict, folder: Path) -> None:
    """suggest.json, and a configuration file of each."""
    for place, option in enumerate(options, 1):
        write_text(folder / f"suggestion-{place}.toml", toml(option.design))
    write_json(folder / "suggest.json", report)


def figures_of(option: Option, adviser: Adviser) -> dict:
    figures = asdict(option) | {"design": option.design.values}
    return figures | {"binding": adviser.binding(option), "holds": adviser.holds(option)}


def suggestion_text(place: int, option: Option, adviser: Adviser) -> str:
    limits = adviser.ground.limits
    promised = _promised(option)
    lines = [
        f"{place}. {option.design.options}",
        f"   promised: {', '.join(_value(n, promised[n], option.errors) for n in promised)}",
        *_result(option, adviser),
        f"   {_word(adviser.binding(option))} bind it; limits: "
        + ", ".join(f"{number(most)} {_word(name)}" for name, most in limits.items()),
    ]
    for step in option.steps:
        more = {"images_per_second": step.images_per_second} | step.used
        holds = "" if step.holds else "; not what is wished"
        figures = ", ".join(_value(name, more[name], {}) for name in more)
        lines.append(f"   {step.parameter} {step.value}: {figures}{holds}")
    return "\n".join(lines)


def _promised(option: Option) -> dict[str, float]:
    return {"images_per_second": option.images_per_second} | option.used


def _value(name: str, value: float, errors: dict[str, float]) -> str:
    error = f" ± {errors[name]:.0%}" if name in errors else ""
    return f"{number(value)}{error} {_word(name)}"


def _word(name: str) -> str:
    return WORDS.get(name, name.replace("_", "-"))


def _result(option: Option, adviser: Adviser) -> list[str]:
    """What was promised beside what was built."""
    if option.failure:
        return [f"   built: failed: {option.failure}"]
    if option.built is None:
        return []
    promised = _promised(option)
    figures = [
        f"{_value(name, value, {})} ({value / promised[name] - 1:+.1%})"
        if promised.get(name)
        else _value(name, value, {})
        for name, value in option.built.items()
    ]
    verdict = "what is wished holds" if adviser.holds(option) else "WHAT IS WISHED DOES NOT HOLD"
    return [f"   built: {', '.join(figures)}: {verdict}"]
