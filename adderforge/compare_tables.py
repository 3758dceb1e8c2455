"""The tables of a comparison, as text: shown as HTML and as Markdown alike."""

from .compare_origins import accelerator_tables, array_origins
from .compare_rows import NOTHING, Table, headings, name_of, number, row

FPGA_NAMES = {"ice40": "iCE40", "ecp5": "ECP5"}


def tables(report: dict) -> list[Table]:
    twins = report["twins"]
    return [
        _results(twins),
        _synthesis(twins),
        array_origins(twins),
        *accelerator_tables(twins),
        _equal_area(report),
    ]


def verdict(report: dict) -> str:
    """The result in one sentence."""
    adder, mac, *_ = report["twins"].values()
    energy = adder["inference"]["pj"] / mac["inference"]["pj"]
    area = _area(adder) / _area(mac)
    points = 100 * (adder["accuracy"]["share"] - mac["accuracy"]["share"])
    return (
        f"On the same {mac['array']['rows']} × {mac['array']['cols']} array of "
        f"{mac['array']['lanes']} lanes and {mac['array']['width']} bits the adder network takes "
        f"{area:.2f} of the CNN's area and {energy:.2f} of its energy per image, at "
        f"{points:+.2f} points of accuracy." + _whole(adder, mac)
    )


def _whole(adder: dict, mac: dict) -> str:
    if "accelerator" not in adder:
        return ""
    energy, area = (
        adder["accelerator"][name] / mac["accelerator"][name]
        for name in ("pj_per_inference", "area_um2")
    )
    return (
        f" A whole accelerator with it takes {energy:.2f} of the CNN's energy per image, memories "
        f"among it, and {area:.2f} of its cells' area."
    )


def _results(twins: dict[str, dict]) -> Table:
    rows = [
        (
            "test accuracy of the integers",
            *(f"{t['accuracy']['share']:.2%}" for t in twins.values()),
            NOTHING,
        ),
        row("ASIC area, µm²", twins, _area),
        row("longest path, ns", twins, lambda t: t["longest_path_ns"]),
        row("clock rate of that path, MHz", twins, lambda t: _asic(t)["fmax_mhz"]),
        *_clock_met(twins),
        row("energy per operation, pJ", twins, lambda t: t["energy"]["pj_per_op"]),
        (
            "… spread over batches, pJ",
            *(number(t["energy"]["spread_pj"]) for t in twins.values()),
            NOTHING,
        ),
        row("… without gate delays, pJ", twins, lambda t: t["energy"]["zero_delay_pj"]),
        (
            "… share of glitches",
            *(f"{t['energy']['glitch_share']:.0%}" for t in twins.values()),
            NOTHING,
        ),
        row("operations per image", twins, lambda t: t["inference"]["operations"]),
        row("cycles per image", twins, lambda t: t["inference"]["cycles"]),
        row("energy per image, nJ", twins, lambda t: t["inference"]["pj"] / 1000),
        row(
            "µs per image at the longest path",
            twins,
            lambda t: t["inference"]["us_at_longest_path"],
        ),
    ]
    return Table(
        title="Equal throughput: the same array with other PEs",
        headings=headings(twins),
        rows=tuple(rows),
        note="An operation is one |a − w|, one a · w or one XNOR, accumulated. The MAC of the "
        f"energies is {twins['mac']['energy']['multiplier']}, of the least energy tried, that of "
        f"the area {_asic(twins['mac'])['multiplier']}, the smallest. The arrays run "
        + "; ".join(f"{name_of(pe)}: {_layers(twin)}" for pe, twin in twins.items())
        + ".",
    )


def _layers(twin: dict) -> str:
    others = twin["other_layers"]
    left = f", without {', '.join(others)}, which stay ordinary" if others else ""
    return ", ".join(twin["layers"]) + left


def _synthesis(twins: dict[str, dict]) -> Table:
    rows = []
    any_twin = next(iter(twins.values()))
    fpgas = [fpga for fpga in FPGA_NAMES.items() if fpga[0] in any_twin["synthesis"]]
    for target, name in fpgas:
        for figure in ("luts", "carries", "flip_flops"):
            label = f"{name} {figure.replace('_', '-').replace('luts', 'LUTs')}"
            rows.append(row(label, twins, lambda t, k=target, f=figure: t["synthesis"][k][f]))
        with_dsp = [t["synthesis"].get(f"{target}-dsp") for t in twins.values()]
        cells = (f"{r['luts']:,} + {r['dsps']}" if r else NOTHING for r in with_dsp)
        rows.append((f"{name}, LUTs + DSP blocks", *cells, NOTHING))
        rows += _routed(target, name, twins)
    rows.append(row("ASIC flip-flops' area, µm²", twins, lambda t: _asic(t)["sequential_area_um2"]))
    rows.append(row("ASIC area of one PE, µm²", twins, lambda t: _asic(t)["pe_area_um2"]))
    multiplier = twins["mac"]["synthesis"]
    made = {target: report["multiplier"] for target, report in multiplier.items()}
    chosen = ", ".join(
        f"{target}: {'made by hand' if name == 'none' else name}" for target, name in made.items()
    )
    styles = ", ".join(f"{name_of(pe)}: {_asic(twin)['style']}" for pe, twin in twins.items())
    return Table(
        title="Size",
        headings=headings(twins),
        rows=tuple(rows),
        note=f"The MAC's multiplier is the best of all tried ({chosen}). Additions became cells as "
        f"gave the best PE of each kind ({styles}).",
    )


def _clock_met(twins: dict[str, dict]) -> list[tuple[str, ...]]:
    """A row for a clock that was asked for."""
    clocks = [_asic(twin)["clock_mhz"] for twin in twins.values()]
    if clocks[0] is None:
        return []
    met = ("yes" if _asic(twin)["clock_met"] else "no" for twin in twins.values())
    return [(f"meets {clocks[0]:g} MHz", *met, NOTHING)]


def _routed(target: str, name: str, twins: dict[str, dict]) -> list[tuple[str, ...]]:
    """Rows for what was routed."""
    rows = []
    for key, what in ((target, name), (f"{target}-dsp", f"{name} with DSP blocks")):
        routes = {pe: twin["routes"].get(key, {}) for pe, twin in twins.items()}
        if any("median_mhz" in route for route in routes.values()):
            label = f"{what}, MHz between registers, median"
            rows.append(row(label, routes, lambda route: route.get("median_mhz")))
            label = "… highest less lowest of the seeds"
            spreads = (number(route.get("spread_mhz")) for route in routes.values())
            rows.append((label, *spreads, NOTHING))
    return rows


def _equal_area(report: dict) -> Table:
    twins, at_area = report["twins"], report["equal_area"]
    pick = {pe: at_area[pe] for pe in twins}
    rows = [
        row("columns of PEs", pick, lambda t: t["cols"]),
        row("area, µm²", pick, lambda t: t["area_um2"]),
        row("cycles per image", pick, lambda t: t["cycles"]),
    ]
    return Table(
        title="Equal area: as many columns as fit into the MAC array",
        headings=headings(twins),
        rows=tuple(rows),
        note="More columns than a layer has filters stay idle, so cycles fall in steps.",
    )


def _asic(twin: dict) -> dict:
    return twin["synthesis"]["asic"]


def _area(twin: dict) -> float:
    return _asic(twin)["area_um2"]
