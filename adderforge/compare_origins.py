"""Where the difference between the contenders' energies comes from: tables by what spends it."""

from collections.abc import Callable

from hw.energy import MEMORIES
from sim.blocks import CONTROL, PORTS, TOP_LEVEL

from .compare_rows import NOTHING, Table, headings, number, row

GROUPS = ("datapath", "registers", "memory", "control")
DIFFERENCE, SMALL = "adder − MAC", 1e-3  # as a share of the figures: their third place
_CONTROL = (CONTROL, PORTS, TOP_LEVEL)
_PARTS = {"flip_flops": "flip-flops", "clock": "clock pins", "logic": "logic"}
_HOW_GROUPED = (
    "Datapath: gates. Registers: flip-flops and their clock pins. Memory: by a model. Control: "
    "what counts, addresses memories and leads operands to the array, with its own registers."
)


def groups(block_parts: dict[str, dict[str, float]]) -> dict[str, float | None]:
    """What each of GROUPS spends, of the energies by block and part; None where there is none."""
    sums = dict.fromkeys(GROUPS)
    for block, parts in block_parts.items():
        for part, pj in parts.items():
            group = _group(block, part)
            sums[group] = pj + (sums[group] or 0.0)
    return sums


def array_origins(twins: dict[str, dict]) -> Table:
    """Of an operation in the arrays, with the memories outside of them."""

    def grouped(twin: dict) -> dict[str, float | None]:
        memories = {MEMORIES: {MEMORIES: twin["memory"]["pj_per_op"]}}
        return groups(twin["energy"]["block_parts"] | memories)

    rows = [*_grouped(twins, grouped)]
    for part in next(iter(twins.values()))["energy"]["parts"]:
        label = f"… by what the cells are: {_PARTS.get(part, part)}"
        rows.append(_with_difference(label, twins, lambda t, k=part: t["energy"]["parts"][k]))
    rows += _by_block(twins, lambda t: t["energy"]["blocks"])
    source = next(iter(twins.values()))["memory"]["source"]
    return Table(
        title="Where the difference comes from: the arrays",
        headings=(*headings(twins), DIFFERENCE),
        rows=tuple(rows),
        note="pJ per operation. Registers, their clock, skew and bus are alike in all arrays, so "
        "what the PEs' logic saves is a smaller share of the whole than of the arithmetic. "
        f"{_HOW_GROUPED} An array has no control, see --accelerator; its memories lie outside "
        "of it and are in no other figure: every bit that enters or leaves the array is one access "
        f"of an {source}; array and schedule are the same, only sums have other widths.",
        charts=("parts", "blocks"),
    )


def accelerator_tables(twins: dict[str, dict]) -> list[Table]:
    """Of the whole accelerators; none where they were not measured."""
    wholes = {pe: twin["accelerator"] for pe, twin in twins.items() if "accelerator" in twin}
    return [_accelerators(wholes), _accelerator_origins(wholes)] if wholes else []


def _accelerators(wholes: dict[str, dict]) -> Table:
    first = next(iter(wholes.values()))
    rows = (
        row("energy per image, nJ", wholes, lambda w: w["pj_per_inference"] / 1000),
        ("… standard error, nJ", *(number(_error_nj(w)) for w in wholes.values()), NOTHING),
        row("energy per operation, pJ", wholes, lambda w: w["pj_per_op"]),
        row("… without gate delays, pJ", wholes, lambda w: w["zero_delay_pj_per_op"]),
        row(f"mean power at {first['clock_mhz']:g} MHz, mW", wholes, lambda w: w["power_mw"]),
        row("cycles per image", wholes, lambda w: w["cycles_per_inference"]),
        row("area of the cells, without memories, µm²", wholes, lambda w: w["area_um2"]),
        row("… of it flip-flops, µm²", wholes, lambda w: w["sequential_area_um2"]),
        row("longest path, ns", wholes, lambda w: w["longest_path_ns"]),
    )
    return Table(
        title="Whole accelerators",
        headings=headings(wholes),
        rows=rows,
        note="The same network on a weight-stationary array of these PEs with its sequencer, "
        "requantizer and pooling, image to class, images back to back. Memories: "
        f"{first['memory_source']}; they have no area here.",
    )


def _accelerator_origins(wholes: dict[str, dict]) -> Table:
    rows = [*_grouped(wholes, lambda w: groups(w["block_parts"]))]
    rows += _by_block(wholes, lambda w: w["blocks"])
    for name in dict.fromkeys(m["name"] for whole in wholes.values() for m in whole["memories"]):
        label = f"… memory {name.removesuffix('.memory')}"
        rows.append(_with_difference(label, wholes, lambda w, k=name: _memory_pj(w, k)))
    return Table(
        title="Where the difference comes from: whole accelerators",
        headings=(*headings(wholes), DIFFERENCE),
        rows=tuple(rows),
        note=f"pJ per operation. {_HOW_GROUPED} All registers are clocked in every cycle.",
        charts=("accelerators",),
    )


def _group(block: str, part: str) -> str:
    if part == MEMORIES:
        return "memory"
    if block in _CONTROL:
        return "control"
    return "registers" if part in ("flip_flops", "clock") else "datapath"


def _grouped(
    twins: dict[str, dict], grouped: Callable[[dict], dict[str, float | None]]
) -> list[tuple[str, ...]]:
    return [_with_difference(g, twins, lambda t, g=g: grouped(t)[g]) for g in GROUPS]


def _by_block(
    twins: dict[str, dict], blocks: Callable[[dict], dict[str, float]]
) -> list[tuple[str, ...]]:
    names = dict.fromkeys(name for twin in twins.values() for name in blocks(twin))
    return [
        _with_difference(
            f"… by where they stand: {name}", twins, lambda t, k=name: blocks(t).get(k)
        )
        for name in names
        if name != MEMORIES
    ]


def _with_difference(
    label: str, twins: dict[str, dict], figure: Callable[[dict], float | None]
) -> tuple[str, ...]:
    adder, mac, *_ = (figure(twin) for twin in twins.values())
    return (*row(label, twins, figure), _difference(adder, mac))


def _difference(adder: float | None, mac: float | None) -> str:
    if adder is None or mac is None:
        return NOTHING
    if abs(adder - mac) < SMALL * max(abs(adder), abs(mac), 1e-12):
        return "0"
    return f"{adder - mac:+.3g}".replace("-", "−")


def _memory_pj(whole: dict, name: str) -> float | None:
    found = [memory["uj"] for memory in whole["memories"] if memory["name"] == name]
    return 1e6 * sum(found) / whole["operations_per_inference"] if found else None


def _error_nj(whole: dict) -> float | None:
    error = whole["standard_error"]
    return None if error is None else error * whole["operations_per_inference"] / 1000
