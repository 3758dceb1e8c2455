"""A picture of `golden.quality`: which layer suffers from quantization, and what is cut off."""

from pathlib import Path

from golden.quality import LayerQuality

BLUE, RED, GRAY = "#2a6f97", "#9b2226", "#8d99ae"


def draw_quality(name: str, qualities: list[LayerQuality], path: Path) -> None:
    """Write a PNG: for each layer a bar of its map's signal-to-noise ratio, the least one red, and
    beside it the share of its activations that is clipped."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.32 * len(qualities) + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = range(len(qualities))
    _draw_ratios(left, places, [some.snr_db for some in qualities])
    shares = [100 * some.clipped for some in qualities]
    bars = right.barh(places, shares, 0.7, color=GRAY)
    right.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3, fontsize=8)
    left.set_yticks(places, [f"{some.layer}  {some.bits} bits" for some in qualities])
    left.set_ylim(len(qualities) - 0.4, -0.6)  # the first layer on top
    left.set_xlabel("signal-to-noise ratio of the map, dB")
    right.set_xlabel("activations clipped, %")
    right.set_xlim(0, 1.25 * max(*shares, 0.8))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(name, fontsize=11)
    figure.savefig(path, dpi=110)


def _draw_ratios(axes, places: range, ratios: list[float | None]) -> None:
    """A map without any error has a text in place of a bar."""
    worst = min((ratio for ratio in ratios if ratio is not None), default=None)
    colors = [RED if ratio is not None and ratio == worst else BLUE for ratio in ratios]
    bars = axes.barh(places, [ratio or 0.0 for ratio in ratios], 0.7, color=colors)
    texts = ["exact" if ratio is None else f"{ratio:.1f}" for ratio in ratios]
    axes.bar_label(bars, texts, padding=3, fontsize=8)
    axes.margins(x=0.1)
