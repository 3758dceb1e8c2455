"""An exploration as one HTML page that needs no network, Markdown, PNG, JSON and tables."""

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

from hw.tools import tool_versions

from ..runs import write_json, write_text
from .build_command import build_command, config_file
from .charts import draw_png, draw_svg
from .cost_model import GROUP, group_of
from .design import NAMES, Design, DesignPoint
from .effort import LEVELS
from .objectives import number
from .result import Exploration
from .space_file import plain
from .tables import write_csv

TEMPLATE = "explore.html.j2"
WHERE = "commands that build a design are to be run in the folder of this page"
NO_COMMAND = "no command builds it"
SHOWN = 40  # of the Pareto set in tables
SHOWN_FAILURES = 20


def write_pages(found: Exploration, folder: Path, command: str) -> dict:
    """Write explore.html, .md, .png, .json and .csv into the folder, and in designs/ the
    configuration files of the Pareto set; returns what is in the JSON."""
    report = summary(found, command)
    (folder / "designs").mkdir()
    for point in found.front:
        write_text(folder / config_file(point.design), toml(point.design))
    write_json(folder / "explore.json", report)
    write_csv(found.points, folder / "explore.csv")
    write_text(folder / "explore.md", markdown(found, report))
    draw_png(found, folder / "explore.png")
    write_text(folder / "explore.html", _html(found, report))
    return report


def summary(found: Exploration, command: str) -> dict:
    """The exploration without the points that are not in the Pareto set, for JSON."""
    return {
        "command": command,
        "workload": found.workload.name,
        "operations": found.workload.operations,
        "objectives": [asdict(goal) | {"value": None} for goal in found.objectives],
        "effort": plain(found.effort),
        "designs": len(found.points),
        "measured": {
            LEVELS[level]: sum(point.level >= level for point in found.points)
            for level in range(1, len(LEVELS))
        },
        "failed": [point.row for point in found.failed],
        "left_out": found.left_out,
        "front": [_entry(point, found) for point in found.front],
        "cost_model": found.model.table(),
        "around_model": found.around.table(),
        "tools": tool_versions(),
    }


def _entry(point: DesignPoint, found: Exploration) -> dict:
    return {
        "design": point.design.values,
        "objectives": {goal.name: goal.of(point) for goal in found.objectives},
        "figures": point.figures,
        "guessed": point.errors,
        "build": build_command(point, found.workload, found.effort),
        "layers": found.workload.layer_table(point.design),
    }


def toml(design: Design) -> str:
    lines = [f"{name} = {json.dumps(v)}" for name, v in design.array.model_dump().items()]
    return "\n".join(lines) + "\n"


def markdown(found: Exploration, report: dict) -> str:
    headings, rows = front_table(found)
    lines = [f"# Designs for {found.workload.name}", "", verdict(found), "", "![](explore.png)", ""]
    lines += ["| " + " | ".join(row) + " |" for row in (headings, ["---"] * len(headings), *rows)]
    lines += ["", *model_lines(found), "", f"    {report['command']}", ""]
    return "\n".join(lines)


def verdict(found: Exploration) -> str:
    goals = ", ".join(goal.name for goal in found.objectives)
    top = max((point.level for point in found.front), default=0)
    known = "all measured" if top else "guessed where not exact"
    text = (
        f"{len(found.points):,} designs, {len(found.front)} that nothing beats by {goals} "
        f"(level {top}, {LEVELS[top]}; {known})"
    )
    if found.failed:
        text += f"; {len(found.failed)} failed"
    if found.left_out:
        text += f"; {found.left_out} that might win were not measured, for want of room"
    return text + "."


def front_table(found: Exploration) -> tuple[list[str], list[list[str]]]:
    """The Pareto set's parameters, as far as they differ, and objectives, as text. A guess has
    its error."""
    points = found.front[:SHOWN]
    names = [name for name in NAMES if len({point.design.value(name) for point in points}) > 1]
    rows = []
    for point in points:
        cells = [_cell(point.design.value(name)) for name in names]
        for goal in found.objectives:
            value, error = goal.of(point), goal.error(point)
            cells.append(number(value) + (f" ± {error:.0%}" if error else ""))
        rows.append(cells)
    return [*names, *(goal.name for goal in found.objectives)], rows


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


def model_lines(found: Exploration) -> list[str]:
    """The cost model's errors, for the place, the designs and the objectives at hand."""
    groups = {group_of(point.design) for point in found.points}
    figures = {name for goal in found.objectives for name in goal.needs}
    rows = [
        row
        for row in found.model.table()
        if row["place"] == found.effort.place
        and tuple(row[name] for name in GROUP) in groups
        and row["figure"] in figures
    ]
    if found.workload.accelerator:
        return _around_lines(found)
    return [
        f"- guesses of {row['figure']} of {row['pe']} (made of {row['multiplier']}), "
        f"{row['dataflow']}, pipeline {row['pipeline']}: {row['median_error']:.1%} median error, "
        f"{row['error_90']:.1%} at most for 90 %, of {row['measurements']} measurements, each left "
        "out in turn"
        for row in rows
    ]


def _around_lines(found: Exploration) -> list[str]:
    return [
        f"- guesses of an accelerator's {row['figure']}: {row['median_error']:.1%} median error, "
        f"{row['error_90']:.1%} at most for 90 %, of {row['measurements']} that were synthesized, "
        "each left out in turn"
        for row in found.around.table()
        if row["place"] == found.effort.accelerator_place
    ]


def _html(found: Exploration, report: dict) -> str:
    from jinja2 import Environment, StrictUndefined

    text = (files("adderforge") / "templates" / TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    headings, rows = front_table(found)
    return environment.from_string(text).render(
        name=found.workload.name,
        verdict=verdict(found),
        chart=draw_svg(found, lambda point: _title(point, found)),
        headings=headings,
        rows=rows,
        entries=[_shown(entry) for entry in report["front"][:SHOWN]],
        failures=[(p.design.options, p.failures) for p in found.failed][:SHOWN_FAILURES],
        levels=LEVELS,
        model=[*model_lines(found), f"- {WHERE}"],
        command=report["command"],
        tools={name: version for name, version in report["tools"].items() if version},
        number=number,
    )


def _shown(entry: dict) -> dict:
    return entry | {"build": entry["build"] or NO_COMMAND}


def _title(point: DesignPoint, found: Exploration) -> str:
    lines = [f"{goal.name}: {number(goal.of(point))}" for goal in found.objectives]
    lines += [f"{name} = {value}" for name, value in point.design.values.items()]
    command = build_command(point, found.workload, found.effort)
    return "\n".join([*lines, command or NO_COMMAND])
