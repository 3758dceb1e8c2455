"""Energy per operation of a mapped netlist, from the transitions of its nets.

Every figure comes from the Liberty library, see `hw.cell_energy`. Figures are before placement:
without a clock tree, and without wires unless a wire model is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .activity import Activity
from .cell_energy import Item, energies_of
from .delays import Delays
from .netlist import Netlist

PARTS = ("flip_flops", "clock", "logic", "leakage")
PORTS, MEMORIES = "input ports", "memories"


@dataclass(frozen=True, kw_only=True)
class EnergyReport:
    """pj_per_op: sum of parts. parts: pJ per operation in "flip_flops" (their outputs and data
    pins), "clock" (their clock pins), "logic" (all other gates and what input ports drive) and
    "leakage" (None where the library has no figure for a cell, and then not in the sum), and where
    they were added in "memories". switching: how much of the first three is ½CV², the rest is
    inside the cells. blocks: pJ per operation by block of the design, which add up to pj_per_op as
    well; block_parts: the same by part, 0 for parts that a block does not have. glitch_share: share
    of the transitions' energy that a zero-delay simulation does not see, None where that was not
    measured. cycles: clock cycles of all streams. activity: "gate-delay" or "zero-delay"."""

    pj_per_op: float
    glitch_share: float | None
    parts: dict[str, float | None]
    operations: int
    cycles: int
    activity: str
    switching: float | None = None
    block_parts: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def blocks(self) -> dict[str, float]:
        """pJ per operation by block, the largest first."""
        sums = {name: sum(parts.values()) for name, parts in self.block_parts.items()}
        return dict(sorted(sums.items(), key=lambda block: -block[1]))

    @property
    def transitions(self) -> float:
        """pJ per operation without leakage and memories."""
        return self.pj_per_op - (self.parts["leakage"] or 0.0) - self.parts.get(MEMORIES, 0.0)

    def power_mw(self, clock_mhz: float) -> float:
        """Mean power at a clock rate; that for which leakage was counted."""
        return self.pj_per_op * self.operations / self.cycles * clock_mhz * 1e-3


def beside(report: EnergyReport, zero_delay: EnergyReport) -> EnergyReport:
    """Returns the report with its glitch share: what it has beyond a report of the same cycles
    without gate delays; None for such a report itself."""
    if report.activity == zero_delay.activity:
        return replace(report, glitch_share=None)
    return replace(report, glitch_share=1 - zero_delay.transitions / report.transitions)


def with_memories(report: EnergyReport, pj_per_op: float) -> EnergyReport:
    """Returns the report with memories as a part, and a block, of their own."""
    return replace(
        report,
        pj_per_op=report.pj_per_op + pj_per_op,
        parts=report.parts | {MEMORIES: pj_per_op},
        block_parts=report.block_parts | {MEMORIES: {MEMORIES: pj_per_op}},
    )


def total(reports: Sequence[EnergyReport]) -> EnergyReport:
    """Returns the energy of several runs of one netlist with one kind of activity; without
    glitch_share."""
    operations = sum(report.operations for report in reports)

    def mean(figures: list[float | None]) -> float | None:
        if None in figures:
            return None
        return sum(f * r.operations for f, r in zip(figures, reports, strict=True)) / operations

    names = {name: None for report in reports for name in report.block_parts}
    nothing = dict.fromkeys(PARTS, 0.0)
    of_blocks = {
        name: [report.block_parts.get(name, nothing) for report in reports] for name in names
    }
    return EnergyReport(
        pj_per_op=mean([report.pj_per_op for report in reports]),
        glitch_share=None,
        parts={part: mean([report.parts[part] for report in reports]) for part in PARTS},
        operations=operations,
        cycles=sum(report.cycles for report in reports),
        activity=reports[0].activity,
        switching=mean([report.switching for report in reports]),
        block_parts={
            name: {part: mean([parts[part] for parts in of_block]) for part in PARTS}
            for name, of_block in of_blocks.items()
        },
    )


def energy(
    netlist: Netlist,
    activity: Activity,
    delays: Delays,
    *,
    operations: int,
    clock_mhz: float,
    blocks: Mapping[str, Sequence[str]] | None = None,
) -> EnergyReport:
    """Returns the energy of the activity, without glitch_share. blocks: cell -> each instance's
    block.

    The clock makes two transitions a cycle. Leakage power × cycles / clock_mhz. Raises ValueError
    if a number is not positive, the activity is of another netlist, or the library has no internal
    power for a cell: its energy would be a silent 0.
    """
    numbers = {"cycles": activity.cycles, "operations": operations, "clock_mhz": clock_mhz}
    for name, value in numbers.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}; simulate at least one cycle")
    check_powers(netlist)
    items = list(energies_of(netlist, activity, delays, activity.cycles / clock_mhz))
    sums = dict.fromkeys(PARTS, 0.0)
    for item in items:
        sums[item.part] += float(item.energies.sum()) / operations
    unknown = any(some.cell.leakage_nw is None for some in netlist.instances.values())
    if unknown:
        items = [item for item in items if item.part != "leakage"]
        sums["leakage"] = 0.0
    return EnergyReport(
        pj_per_op=sum(sums.values()),
        glitch_share=None,
        parts=sums | ({"leakage": None} if unknown else {}),
        operations=operations,
        cycles=activity.cycles,
        activity=activity.kind,
        switching=sum(float(item.energies.sum()) for item in items if item.switching) / operations,
        block_parts={} if blocks is None else _by_block(items, blocks, operations),
    )


def check_powers(netlist: Netlist) -> None:
    """ValueError naming a cell of the netlist with inputs for which the library has no energies."""
    for some in netlist.instances.values():
        if some.cell.inputs and not any(pin.power for pin in some.cell.pins.values()):
            raise ValueError(
                f"library {netlist.library.name} must have internal_power tables for an energy, "
                f"but cell {some.cell.name} has none; give a library with power tables"
            )


def _by_block(
    items: list[Item], blocks: Mapping[str, Sequence[str]], operations: int
) -> dict[str, dict[str, float]]:
    sums: dict[str, dict[str, float]] = {}
    for item in items:
        names, places = np.unique(blocks[item.cell] if item.cell else [PORTS], return_inverse=True)
        of_names = np.bincount(places, weights=item.energies, minlength=names.size)
        for name, part in zip(names.tolist(), of_names.tolist(), strict=True):
            parts = sums.setdefault(name, dict.fromkeys(PARTS, 0.0))
            parts[item.part] += part / operations
    return sums
