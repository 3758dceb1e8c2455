"""The pictures of a comparison as SVG text, to stand inside of a page."""

from io import StringIO
from itertools import cycle

from .compare_rows import name_of
from .compare_tables import FPGA_NAMES

COLORS = ("#2a6f97", "#9b2226", "#ca6702", "#6c757d", "#588157", "#7b2cbf")
COLORS += ("#61a5c2", "#e9a13b", "#bc6c8f", "#a3b18a", "#495057", "#c9ada7")
MAC_LINE = "#9b2226"
LEGEND_COLUMNS = 4


def cost_chart(report: dict) -> str:
    """Area, LUTs and energy of every contender as shares of the MAC's."""
    twins = report["twins"]
    costs = {
        "ASIC area": lambda t: t["synthesis"]["asic"]["area_um2"],
        "energy per operation": lambda t: t["energy"]["pj_per_op"],
        "energy, no glitches": lambda t: t["energy"]["zero_delay_pj"],
    }
    for target, name in FPGA_NAMES.items():
        if target in twins["mac"]["synthesis"]:
            costs[f"{name} LUTs"] = lambda t, k=target: t["synthesis"][k]["luts"]
    rivals = [pe for pe in twins if pe != "mac"]
    figure, axes = _figure(0.42 * len(costs) * len(rivals) + 1.0)
    height = 0.8 / len(rivals)
    for index, pe in enumerate(rivals):
        shares = [cost(twins[pe]) / cost(twins["mac"]) for cost in costs.values()]
        places = [row + index * height for row in range(len(costs))]
        bars = axes.barh(places, shares, height, color=COLORS[2 * index], label=name_of(pe))
        axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(costs))], list(costs))
    axes.invert_yaxis()
    axes.axvline(1, color=MAC_LINE, linewidth=1)
    axes.set_xlim(0, max(1.15, 1.1 * axes.get_xlim()[1]))
    axes.set_xlabel("share of the MAC array's")
    if len(rivals) > 1:
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    return _svg(figure, "costs")


def charts(report: dict) -> dict[str, str]:
    """The pictures that tables name, and "costs"."""
    twins = report["twins"]
    arrays = {pe: twin["energy"] for pe, twin in twins.items()}
    found = {
        "costs": cost_chart(report),
        "parts": _origins("parts", "by what the cells are", arrays, "parts"),
        "blocks": _origins("blocks", "by where they stand", arrays, "blocks"),
    }
    wholes = {pe: twin["accelerator"] for pe, twin in twins.items() if "accelerator" in twin}
    if wholes:
        found["accelerators"] = _origins("accelerators", "whole accelerators", wholes, "blocks")
    return found


def _origins(name: str, title: str, energies: dict[str, dict], key: str) -> str:
    """Energy per operation of every contender, in pieces. key: "parts" or "blocks"."""
    pieces = dict.fromkeys(piece for energy in energies.values() for piece in energy[key])
    figure, axes = _figure(0.5 * len(energies) + 1.3 + 0.25 * (len(pieces) // LEGEND_COLUMNS))
    labels, left = [name_of(pe) for pe in energies], [0.0] * len(energies)
    for color, piece in zip(cycle(COLORS), pieces, strict=False):
        widths = [energy[key].get(piece) or 0.0 for energy in energies.values()]
        axes.barh(labels, widths, 0.6, left, color=color, label=piece.replace("_", "-"))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(f"pJ per operation, {title}")
    columns = min(len(pieces), LEGEND_COLUMNS)
    axes.legend(frameon=False, ncols=columns, loc="lower center", bbox_to_anchor=(0.5, 1))
    return _svg(figure, name)


def _figure(height: float):
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure, name: str) -> str:
    """The figure's element alone, the same from run to run, with ids of its own."""
    from matplotlib import rc_context

    text = StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
