"""Where an accelerator's energy goes: a bar for each block and memory, stacked by part."""

from pathlib import Path

from hw.energy import MEMORIES

from .accelerator_energy import AcceleratorEnergy

COLORS = {
    "logic": "#2a6f97",
    "flip_flops": "#61a5c2",
    "clock": "#e9a13b",
    "leakage": "#a9a9a9",
    MEMORIES: "#9b2226",
}


def draw_chart(run: AcceleratorEnergy, path: Path) -> None:
    """Write a PNG of horizontal bars, µJ of an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = bars_of(run)
    names = list(bars)[::-1]
    figure = Figure(figsize=(8, 0.36 * len(bars) + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    left = dict.fromkeys(names, 0.0)
    for part, color in COLORS.items():
        sizes = [bars[name].get(part, 0.0) for name in names]
        axes.barh(names, sizes, left=list(left.values()), color=color, label=part.replace("_", "-"))
        left = {name: left[name] + size for name, size in zip(names, sizes, strict=True)}
    axes.bar_label(axes.containers[-1], [f"{size:.3g}" for size in left.values()], padding=4)
    axes.set_xlim(0, max(left.values()) * 1.12)
    axes.set_xlabel(f"µJ per image, {run.energy.activity}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


def bars_of(run: AcceleratorEnergy) -> dict[str, dict[str, float]]:
    """What is stacked for each block and memory, the largest first."""
    bars = {
        name: {part: run.uj(pj) for part, pj in parts.items()}
        for name, parts in run.energy.block_parts.items()
    }
    del bars[MEMORIES]  # which follow one by one
    bars |= {f"{memory.name} (memory)": {MEMORIES: memory.uj} for memory in run.memories}
    return dict(sorted(bars.items(), key=lambda bar: -sum(bar[1].values())))
