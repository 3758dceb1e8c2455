"""A comparison as one HTML page that needs no network, as Markdown and as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from .compare_accelerator import FILES
from .compare_charts import charts
from .compare_rows import Table, name_of
from .compare_tables import tables, verdict
from .runs import write_json, write_text

TEMPLATE = "compare.html.j2"


@dataclass(frozen=True, kw_only=True)
class Pages:
    """html: the page's file. markdown: its text."""

    html: Path
    markdown: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a figure comes from: how it was obtained, and the files in the run folder, by name."""

    what: str
    how: str
    files: tuple[tuple[str, str], ...]


def write_pages(report: dict, folder: Path) -> Pages:
    """Write compare.json, compare.md and compare.html into the run folder."""
    shown, known = tables(report), sources(report)
    text = _markdown(report, shown, known)
    write_json(folder / "compare.json", report)
    write_text(folder / "compare.md", text)
    write_text(folder / "compare.html", _html(report, shown, known))
    return Pages(html=folder / "compare.html", markdown=text)


def sources(report: dict) -> list[Source]:
    twins, effort = report["twins"], report["options"]["effort"]
    libraries = tuple(("cell library", name) for name in report["options"]["liberty"])
    clock_mhz = report["options"]["clock_mhz"]

    def places(*names: str) -> tuple[tuple[str, str], ...]:
        return tuple((f"{name_of(pe)}: {name}", f"{pe}/{name}") for pe in twins for name in names)

    checked = sum(twin["netlist_check"]["compared"] for twin in twins.values())
    wrong = sum(twin["netlist_check"]["mismatches"] for twin in twins.values())
    images = effort["images"] * effort["batches"]
    cycles = min(twin["energy"]["cycles"] for twin in twins.values())
    return [
        Source(
            what="Accuracy",
            how=f"The integer networks, bit for bit as the arrays compute, on all "
            f"{next(iter(twins.values()))['accuracy']['images']:,} test images of "
            f"{report['options']['data']}.",
            files=(),
        ),
        Source(
            what="Area, LUTs, flip-flops",
            how="Yosys, the same script for all: every PE mapped once, flattened, swept. ASIC: "
            f"{_mapping(clock_mhz)} LUTs are LUT4s, carry cells among them where they take a LUT's "
            "place.",
            files=(
                *places("asic/design.v", "asic/synth.ys", "asic/synth.log", "asic/netlist.json"),
                *libraries,
            ),
        ),
        Source(
            what="Longest path",
            how="Through the mapped netlist whose area is given, by the library's delay tables at "
            "the loads of its pins, with setup times where the library has them, without wires; "
            "the clock rate is its inverse."
            + ("" if clock_mhz else " Mapping for the least area makes long paths."),
            files=(),
        ),
        *_routes(report),
        Source(
            what="Energy",
            how=f"The mapped netlists, simulated with gate delays on the layers' own activations: "
            f"{effort['batches']} batches of {effort['images']} images ({images} in all), "
            f"at least {cycles:,} cycles, the array's filling not counted. Transitions × internal "
            "energy of the library by slew, load and condition, and ½CV² of the pins they drive; "
            f"leakage at {next(iter(twins.values()))['energy']['clock_mhz']:g} MHz. Before "
            "placement: no wires, no clock tree. "
            f"{checked:,} sums of the netlists were compared with the integer reference, {wrong} "
            "were wrong.",
            files=tuple(
                (f"{name_of(pe)}: {name}", f"{pe}/{twin['energy']['place']}/{name}")
                for pe, twin in twins.items()
                for name in ("netlist.json", "activity.npz")
            ),
        ),
        *_accelerators(report, places),
        Source(
            what="Cycles",
            how="Predicted by the schedule, which simulation equals; layers one by one.",
            files=(),
        ),
    ]


def _accelerators(report: dict, places: Callable[..., tuple]) -> list[Source]:
    wholes = [twin["accelerator"] for twin in report["twins"].values() if "accelerator" in twin]
    if not wholes:
        return []
    compared, wrong = (sum(whole[name] for whole in wholes) for name in ("compared", "mismatches"))
    cycles = min(whole["cycles"] for whole in wholes)
    return [
        Source(
            what="Whole accelerators",
            how="Mapped as the arrays are, with their memories cut out. The Verilog runs on the "
            "same images; the netlist on windows of it with gate delays, at random in equal parts, "
            f"{cycles:,} cycles or more. In every cycle each flip-flop and output was compared "
            f"with the Verilog's: {compared:,} values, {wrong} were wrong. Reads and writes of "
            "memories are counted over all images.",
            files=places(*(f"accelerator/{name}" for name in FILES)),
        )
    ]


def _mapping(clock_mhz: float | None) -> str:
    goal = (
        "mapped for the least area"
        if clock_mhz is None
        else f"of all ways tried on one PE the smallest that meets {clock_mhz:g} MHz, or if none "
        "does the fastest"
    )
    return (
        f"{goal}, the same rule on all sides: full adders, and half adders where that is better, "
        "are cells of the library or gates, in trees over all lanes or as Yosys makes them."
    )


def _routes(report: dict) -> list[Source]:
    if not report["options"]["seeds"]:
        return []
    failed = [
        f"{name_of(pe)} on {target}: {route['error']}"
        for pe, twin in report["twins"].items()
        for target, route in twin["routes"].items()
        if "error" in route
    ]
    how = (
        f"nextpnr, {report['options']['seeds']} placements; registers around the array, so that "
        "paths from register to register alone count. iCE40 HX8K, ECP5 85K of speed grade 6."
    )
    return [Source(what="Routed clock rates", how=" ".join([how, *failed]), files=())]


def _html(report: dict, shown: list[Table], known: list[Source]) -> str:
    from jinja2 import Environment, StrictUndefined

    text = (files("adderforge") / "templates" / TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(text).render(
        verdict=verdict(report),
        report=report,
        tables=shown,
        charts=charts(report),
        sources=known,
        tools={name: version for name, version in report["tools"].items() if version},
    )


def _markdown(report: dict, shown: list[Table], known: list[Source]) -> str:
    lines = ["# Adder array and its twins", "", verdict(report), ""]
    for table in shown:
        rows = [table.headings, ("---", *["--:"] * (len(table.headings) - 1)), *table.rows]
        lines += [f"## {table.title}", "", *("| " + " | ".join(row) + " |" for row in rows)]
        lines += ["", table.note, ""]
    lines += ["## How the figures were obtained", ""]
    lines += [f"- **{source.what}**: {source.how}" for source in known]
    lines += ["", f"    {report['command']}", ""]
    lines += [f"- {name} {version}" for name, version in report["tools"].items() if version]
    return "\n".join(lines) + "\n"
