"""The page and the picture of `energy_study.py`, from its figures alone."""

from collections.abc import Callable
from io import StringIO

ADDER, MIN, MAC, XNOR = "complement", "min", "mac", "xnor"
COLORS = {"area": "#2a6f97", "energy": "#ca6702", "logic's energy": "#9b2226"}
LIMITS = {4: "0.55", 8: "0.31", 16: "0.12–0.14"}  # Horowitz, 45 nm: adder against multiplier
Figure = Callable[[dict], float]

HEAD = """\
# Area and energy of adder arrays, beside their MAC and XNOR twins

LeNet-5-BN, trained here on MNIST (as `adderforge reproduce mnist`, seed 0, by an earlier version,
which rounded in another order: 99.40 and 99.38 % as float networks; the binary network by
`adderforge train --kind bnn`), quantized to {widths} bits. Arrays of {rows} × {cols} PEs with
{lanes} lanes, output-stationary, for reductions of up to {depth} terms; the MAC is the best that
could be made, see [why](../decisions/0002-comparison-with-multipliers.md). Energy: mapped netlists
with gate delays on the networks' own activations, {cycles} counted cycles or more, before
placement: no wires, no clock tree, no memories. The libraries are the typical corners of the two
open PDKs (sky130 hd, 1.8 V; SG13G2, 1.2 V; 25 °C). All of it again:

    python benchmarks/energy_study.py --adder adder.pt --cnn cnn.pt --bnn bnn.pt \\
        --data-dir ~/mnist --liberty sky130={sky130} \\
        --liberty sg13g2={sg13g2} --work study

Each row is one `adderforge compare`, whose folder under `study` has the page with all tables,
netlists and logs; the figures are in [energy-study.json](energy-study.json). {checked:,} sums of
the netlists were compared with the integer reference, {wrong} were wrong. What is left of the
difference with requantizer, control and memories around the arrays:
[accelerator-energy.md](accelerator-energy.md).
"""

PUBLISHED = """\
## Beside published figures

{table}

AdderNet hardware is arXiv 2101.10015, an FPGA with int8 and int16, against a CNN on the same
architecture; ours are cells before placement, so what compares is the order of magnitude. Energy
of the arithmetic here is that of all gates that are no flip-flops, with buses and the adders that
both sides need, and of data with many zeros; the limit has a multiplier and an adder alone.
"""

ORIGINS = """\
Ratios adder / MAC, of the energy per operation by what the cells are and of the area. Flip-flops
hold the operands and sums that both sides have; a MAC's sums are wider by an operand's width.
Memories: by the model of `hw/memory.py`, not in the whole."""

AT_CLOCK = """\
Both sides by one rule: of all ways tried the smallest PE that meets the clock, or the fastest if
none does. Paths are without wires."""


LANES = """\
## LUTs for each of 256 lanes, 8 bits, 7-series

{table}

Peers: AdderNet-FPGA, one convolution layer of 256 int8 lanes, 7,065 LUTs with adders and 20,493
with multipliers; spinalAdderNetMNIST, 442 units, the whole design on an xc7z020. Ours are whole
arrays, with skew registers and result bus, made by hand of carry cells, without DSP blocks; a lane
of a PE with many shares the accumulator with the others.
"""


# Measured once, on 28 November 2026, with `rewrite` for all styles in `hw.asic`.
MAPPING = (
    "- How gates are mapped moves the ratio as well: with ABC's `rewrite` in place of `dc2`, MACs "
    "of sg13g2 take 1.3 to 1.7 % more area and 1 to 8 % less energy, the adders within 1 % of "
    "both: 1.03, 0.80 and 0.53 of the MAC's energy at 4, 8 and 16 bits. The least area "
    "decides here."
)


def page(study: dict) -> str:
    """The study as Markdown."""
    plain = [one for one in study["configurations"] if one["clock_mhz"] is None]
    timed = [one for one in study["configurations"] if one["clock_mhz"] is not None]
    files = {one["library"]: one["liberty"][0] for one in plain}
    checks = [twin["netlist_check"] for one in plain + timed for twin in one["twins"].values()]
    names = {"sky130": "sky130.lib.gz", "sg13g2": "sg13g2.lib.gz"} | files
    widths = sorted({one["width"] for one in plain})
    head = HEAD.format(
        **study["array"],
        **names,
        widths=_listed(widths),
        cycles=plain[0]["effort"]["cycles"],
        checked=sum(check["compared"] for check in checks),
        wrong=sum(check["mismatches"] for check in checks),
    )
    parts = [
        head,
        "## Results",
        "",
        _results(plain),
        "",
        _notes(plain),
        "",
        "![shares](energy-study.svg)",
    ]
    parts += ["", "## Where the difference comes from", "", _origins(plain), "", ORIGINS]
    if timed:
        parts += ["", "## At a clock rate", "", _at_clock(plain, timed), "", AT_CLOCK]
    parts += ["", "## Where adders do not win", "", *_losses(plain, study["zeros"]), ""]
    parts += [PUBLISHED.format(table=_published(plain)), LANES.format(table=_lanes(study))]
    return "\n".join(parts)


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pair(one: dict, figure: Figure, digits: str = ",.0f") -> str:
    adder, mac = (figure(one["twins"][pe]) for pe in (ADDER, MAC))
    return f"{adder:{digits}} / {mac:{digits}} ({adder / mac:.2f})"


def _ratio(one: dict, figure: Figure, pe: str = ADDER) -> str:
    if pe not in one["twins"]:
        return "–"
    return f"{figure(one['twins'][pe]) / figure(one['twins'][MAC]):.2f}"


def _area(twin: dict) -> float:
    return twin["area_um2"]


def _energy(twin: dict) -> float:
    return twin["energy"]["pj_per_op"]


def _logic_area(twin: dict) -> float:
    return twin["area_um2"] - twin["sequential_area_um2"]


def _part(name: str) -> Figure:
    return lambda twin: twin["energy"]["parts"][name]


def _results(plain: list[dict]) -> str:
    headings = ["adder / MAC twin (ratio)", "accuracy, %", "area, µm²", "pJ per operation"]
    headings += [
        "glitches, %",
        "nJ per image",
        "`min` PEs: area, energy",
        "columns in the MAC's area",
    ]
    rows = []
    for one in plain:
        adder, mac = (one["twins"][pe] for pe in (ADDER, MAC))
        spread = max(twin["energy"]["spread_pj"] / _energy(twin) for twin in (adder, mac))
        rows.append(
            [
                f"{one['library']}, {one['width']} bits",
                " / ".join(f"{100 * twin['accuracy']['share']:.2f}" for twin in (adder, mac)),
                _pair(one, _area),
                f"{_pair(one, _energy, '.2f')} ± {spread:.1%}",
                " / ".join(f"{100 * t['energy']['glitch_share']:.0f}" for t in (adder, mac)),
                _pair(one, lambda twin: twin["inference"]["pj"] / 1000),
                f"{_ratio(one, _area, MIN)}, {_ratio(one, _energy, MIN)}",
                f"{adder['at_the_macs_area']['cols']} / {mac['at_the_macs_area']['cols']}",
            ]
        )
    return _table(headings, rows)


def _notes(plain: list[dict]) -> str:
    made = "; ".join(
        f"{one['library']}, {one['width']} bits: {mac['multiplier']}, {mac['energy']['multiplier']}"
        for one in plain
        for mac in [one["twins"][MAC]]
    )
    return (
        "Adder: `complement` PEs; `min` PEs: their array's share of the MAC's. ±: the larger\n"
        "spread of the two over batches of images. Columns: as many as fit into the MAC array's\n"
        f"area. The MACs of least area and of least energy are {made}."
    )


def _origins(plain: list[dict]) -> str:
    headings = ["adder / MAC", "logic", "flip-flops", "clock pins", "all", "memories"]
    headings += ["area of logic", "area of flip-flops", "area of one PE"]
    figures: list[Figure] = [_part(name) for name in ("logic", "flip_flops", "clock")]
    figures += [_energy, lambda twin: twin["memory"]["pj_per_op"], _logic_area]
    figures += [lambda twin: twin["sequential_area_um2"], lambda twin: twin["pe_area_um2"]]
    rows = [
        [f"{one['library']}, {one['width']} bits", *(_ratio(one, figure) for figure in figures)]
        for one in plain
    ]
    return _table(headings, rows)


def _at_clock(plain: list[dict], timed: list[dict]) -> str:
    headings = ["adder / MAC twin (ratio)", "longest path, ns", "area, µm²", "pJ per operation"]
    rows = []
    widths = {one["width"] for one in timed}
    for one in [*(one for one in plain if one["width"] in widths), *timed]:
        goal = "least area"
        if one["clock_mhz"]:
            met = ["met" if one["twins"][pe]["clock_met"] else "not met" for pe in (ADDER, MAC)]
            goal = f"{one['clock_mhz']:g} MHz ({' / '.join(met)})"
        path = _pair(one, lambda twin: twin["longest_path_ns"], ".2f")
        if not one["setup_times"]:
            path += ", without setup times"
        figures = [path, _pair(one, _area), _pair(one, _energy, ".2f")]
        rows.append([f"{one['library']}, {one['width']} bits, {goal}", *figures])
    return _table(headings, rows)


def _span(found: list[float], style: str = ".2f") -> str:
    least, most = (f"{end(found):{style}}" for end in (min, max))
    return least if least == most else f"{least} to {most}"


def _losses(plain: list[dict], zeros: dict[str, dict[str, float]]) -> list[str]:
    def ratios(figure: Figure) -> str:
        return _span([figure(one["twins"][ADDER]) / figure(one["twins"][MAC]) for one in plain])

    narrow = min(one["width"] for one in plain)
    narrow_ones = [one for one in plain if one["width"] == narrow]
    least = [_ratio(one, _energy) for one in narrow_ones]
    gates = [_ratio(one, _part("logic")) for one in narrow_ones]
    shares = {kind: _span([of[kind] for of in zeros.values()], ".0%") for kind in ("adder", "cnn")}
    memories = [t["memory"]["pj_per_op"] / _energy(t) for t in (o["twins"][ADDER] for o in plain)]
    lines = [
        f"- At {narrow} bits: {' and '.join(least)} of the MAC's energy, {' and '.join(gates)} of "
        "that of its gates.",
        f"- On images that are mostly empty: {shares['cnn']} of the CNN's operations have an "
        "activation of 0, on which a multiplier's gates stand still; of the adder network's "
        f"{shares['adder']}, and an adder's gates still move with every weight. On digits that "
        "fill their images the same arrays differ more ([README](../../README.md)).",
        f"- Registers and their clock: {ratios(_part('clock'))} of the MAC's clock energy and "
        f"{ratios(lambda twin: twin['sequential_area_um2'])} of its flip-flops' area.",
        f"- Clock rate: the longest path mapped for the least area is "
        f"{ratios(lambda twin: twin['longest_path_ns'])} of the MAC's; cycles are the same.",
        f"- Memories outside the array: {ratios(lambda twin: twin['memory']['pj_per_op'])} of the "
        f"MAC's; by the model, 45 nm and not scaled, {_span(memories)} of what the adder array "
        "itself takes.",
        "- FPGAs with DSP blocks: a MAC of DSP blocks takes fewer LUTs than an adder "
        "([README](../../README.md), table).",
        MAPPING,
    ]
    for one in plain:
        if xnor := one["twins"].get(XNOR):
            adder = one["twins"][ADDER]
            lines.append(
                f"- Against a binary network ({one['library']}, {one['width']} bits): XNOR PEs "
                f"take {_area(xnor) / _area(adder):.2f} of the adder's area and "
                f"{_energy(xnor) / _energy(adder):.2f} of its energy per operation, at "
                f"{100 * xnor['accuracy']['share']:.2f} % in place of "
                f"{100 * adder['accuracy']['share']:.2f} %, and without the first and last layer."
            )
    return lines


def _published(plain: list[dict]) -> str:
    def saved(figure: Figure) -> str:
        texts = []
        for one in plain:
            adder, mac = (figure(one["twins"][pe]) for pe in (ADDER, MAC))
            share = f"{adder / mac - 1:+.0%}".replace("-", "−")
            texts.append(f"{one['library']} {one['width']} bits {share}")
        return ", ".join(texts)

    arithmetic = ", ".join(
        f"{one['library']} {one['width']} bits {_ratio(one, _part('logic'))}" for one in plain
    )
    limits = ", ".join(f"{width} bits {limit}" for width, limit in LIMITS.items())
    rows = [
        ["logic, AdderNet hardware", "−67.6…71.4 %", f"area of gates: {saved(_logic_area)}"],
        ["the same, in theory", "about −81 %", "as above"],
        ["power at equal throughput, AdderNet hardware", "−47.85…77.9 %", saved(_energy)],
        ["energy of the arithmetic, adder / MAC, Horowitz, 45 nm", limits, arithmetic],
    ]
    return _table(["", "published", "here"], rows)


def _lanes(study: dict) -> str:
    rows = [
        [
            f"{one['rows']} × {one['cols']} × {one['lanes']} {one['pe']}",
            f"{one['luts']:,}",
            f"{one['luts_per_lane']:.1f}",
            f"{one['flip_flops']:,}",
        ]
        for one in study["lanes"]
    ]
    rows += [["AdderNet-FPGA, adder", "7,065", "27.6", "–"]]
    rows += [["AdderNet-FPGA, multiplier", "20,493", "80.1", "–"]]
    rows += [["spinalAdderNetMNIST, adder units", "28,460", "64.4", "–"]]
    return _table(["rows × columns × lanes", "LUTs", "LUTs per lane", "flip-flops"], rows)


def chart(study: dict) -> str:
    """Shares of the MAC's area and energy as SVG, the same from run to run."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Picture

    plain = [one for one in study["configurations"] if one["clock_mhz"] is None]
    figures = {"area": _area, "energy": _energy, "logic's energy": _part("logic")}
    picture = Picture(figsize=(8, 0.75 * len(plain) + 0.8), layout="constrained")
    FigureCanvasSVG(picture)
    axes = picture.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for index, (name, figure) in enumerate(figures.items()):
        shares = [figure(one["twins"][ADDER]) / figure(one["twins"][MAC]) for one in plain]
        places = [row + 0.27 * index for row in range(len(plain))]
        bars = axes.barh(places, shares, 0.25, color=COLORS[name], label=name)
        axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3)
    titles = [f"{one['library']}, {one['width']} bits" for one in plain]
    axes.set_yticks([row + 0.27 for row in range(len(plain))], titles)
    axes.invert_yaxis()
    axes.axvline(1, color="#6c757d", linewidth=1)
    axes.set_xlim(0, max(1.1, 1.1 * axes.get_xlim()[1]))
    axes.set_xlabel("adder array's share of the MAC array's")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    text = StringIO()
    with rc_context({"svg.hashsalt": "energy-study", "svg.fonttype": "none"}):
        picture.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
