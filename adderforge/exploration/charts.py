"""Pictures of an exploration: every point by pairs of objectives, the Pareto set on top."""

import html
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np

from .design import DesignPoint
from .objectives import Objective
from .result import Exploration

COLORS = {
    "complement": "#2a6f97",
    "min": "#588157",
    "two_adder": "#ca6702",
    "compare_swap": "#bc6c25",
    "mac": "#9b2226",
    "xnor": "#6c757d",
    "square": "#7b2cbf",
}
LABELS = {
    "luts": "LUTs",
    "area_um2": "area, µm²",
    "fmax_mhz": "clock rate, MHz",
    "pj_per_op": "energy of an operation, pJ",
    "microjoules": "energy of an image, µJ",
    "microseconds": "time of an image, µs",
}
MARKERS = {"output-stationary": "o", "weight-stationary": "s"}
BEHIND = 5000  # points behind the Pareto set that are drawn, evenly chosen of more
POINT = "design-point-"


def draw_png(found: Exploration, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure(found)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def draw_svg(found: Exploration, title_of: Callable[[DesignPoint], str]) -> str:
    """SVG text to stand inside of a page; the pointer over a point of the Pareto set shows its
    title."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    figure = _figure(found)
    FigureCanvasSVG(figure)
    text = StringIO()
    with rc_context({"svg.hashsalt": "exploration", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for number, point in enumerate(found.front):
        title = f"<title>{html.escape(title_of(point))}</title>"
        for panel in range(len(_pairs(found.objectives))):
            start = f'<g id="{POINT}{number}-{panel}">'
            svg = svg.replace(start, start + title)
    return svg


def _pairs(goals: tuple[Objective, ...]) -> list[tuple[Objective, Objective]]:
    """The first objective with each other one; alone, with itself."""
    return [(goals[0], other) for other in goals[1:] or goals]


def _figure(found: Exploration):
    from matplotlib.figure import Figure

    pairs = _pairs(found.objectives)
    figure = Figure(figsize=(8, 4.6 * len(pairs)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(pairs)))
    known = [
        point
        for point in found.points
        if not point.failures and None not in [goal.of(point) for goal in found.objectives]
    ]
    behind = known[:: -(-len(known) // BEHIND) or 1]
    for panel, (pair, axes) in enumerate(zip(pairs, panels, strict=True)):
        _draw(axes, pair, behind, found.front, panel)
    return figure


def _draw(axes, pair, behind, front, panel) -> None:
    across, up = pair
    for pe, color in COLORS.items():
        some = [point for point in behind if point.design.array.pe == pe]
        if some:
            places = [(across.of(point), up.of(point)) for point in some]
            axes.scatter(
                *zip(*places, strict=True),
                s=6,
                color=color,
                alpha=0.18,
                linewidths=0,
                rasterized=True,
            )
    for number, point in enumerate(front):
        array = point.design.array
        axes.plot(
            across.of(point),
            up.of(point),
            MARKERS[array.dataflow],
            color=COLORS[array.pe],
            markeredgecolor="white",
            markersize=8,
            gid=f"{POINT}{number}-{panel}",
        )
    values = [(across.of(point), up.of(point)) for point in (*behind, *front)]
    for name, axis, side in (("x", axes.xaxis, 0), ("y", axes.yaxis, 1)):
        some = [value[side] for value in values]
        if some and min(some) > 0 and max(some) > 20 * min(some):
            getattr(axes, f"set_{name}scale")("log")
            axis.set_major_formatter("{x:,.6g}")  # powers as formulas take a second to typeset
            axis.set_minor_formatter("")
    axes.set_xlabel(label(across))
    axes.set_ylabel(label(up))
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes, [*behind, *front])


def _legend(axes, points: list[DesignPoint]) -> None:
    from matplotlib.lines import Line2D

    pes = [pe for pe in COLORS if any(point.design.array.pe == pe for point in points)]
    flows = [f for f in MARKERS if any(point.design.array.dataflow == f for point in points)]
    handles = [Line2D([], [], color=COLORS[pe], marker="o", linestyle="", label=pe) for pe in pes]
    handles += [
        Line2D([], [], color="#5c677d", marker=MARKERS[flow], linestyle="", label=flow)
        for flow in flows
    ]
    axes.legend(handles=handles, frameon=False, fontsize=8)


def label(goal: Objective) -> str:
    name = LABELS.get(goal.name, goal.name.replace("_", " "))
    return f"{name} ({'more' if goal.maximize else 'less'} is better)"
