"""The report's picture: what the adder array costs, as a share of its MAC twin."""

from pathlib import Path

from .report import Row


def draw_chart(table: list[Row], path: Path) -> None:
    """Write a PNG of horizontal bars, one for each cost in the report's table that has a ratio."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    costs = [row for row in table if _is_cost(row)][::-1]
    labels, ratios = [row[0] for row in costs], [float(row[3]) for row in costs]
    figure = Figure(figsize=(8, 0.45 * len(costs) + 1.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    bars = axes.barh(labels, ratios, color="#2a6f97")
    axes.bar_label(bars, [f"{row[3]}   ({row[1]} / {row[2]})" for row in costs], padding=4)
    axes.axvline(1, color="#9b2226", linewidth=1)
    axes.set_xlim(0, max(1.0, *ratios) * 1.45)
    axes.set_xlabel("adder / MAC twin (line: as much as the MAC)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def _is_cost(row: Row) -> bool:
    label, _, _, ratio = row
    cost = label.startswith(("iCE40 LUTs", "ECP5 LUTs", "ASIC area", "energy per operation"))
    return cost and ratio != "–"
