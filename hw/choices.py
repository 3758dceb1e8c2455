"""The ways in which an array's PEs can be made, for every target."""

import math
from dataclasses import dataclass
from pathlib import Path

from .arithmetic import ARRAY_TREE, BOOTH_TREE, HALVES, PAIRS, PLAIN
from .asic import styles
from .cells import Library
from .config import ArrayConfig
from .fabric import FABRICS
from .ice40 import HALF_BITS
from .liberty import Liberty, read_library
from .mapping import hand_made
from .plain_sum import pair_bits

TARGETS = (*FABRICS, "asic")
TREES = (BOOTH_TREE, ARRAY_TREE)  # of a MAC, the two least in area and in energy
BUILT_IN_LIBRARY = Path(__file__).parent.parent / "fixtures" / "adderforge130.lib"

# How the product of a `mac` PE is made, and the Yosys command that makes it. booth-tree and
# array-tree, which need none: radix-4 Booth rows, or AND rows, of all lanes in one tree with the
# accumulator (`hw.multiply`); booth: Booth rows in a carry-save tree; booth-ripple: Booth rows
# added one after the other; rows: a row of adders for each bit of the weight; macc: Yosys' own,
# AND rows in a carry-save tree; dsp: the FPGA's own multiplier blocks.
MULTIPLIERS = {
    "none": "",
    BOOTH_TREE: "",
    ARRAY_TREE: "",
    "booth": "booth",
    "booth-ripple": "booth -lowpower",
    "rows": "techmap -map rows_multiplier.v t:$mul",
    "macc": "",
    "dsp": "",
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How an array's PEs are made: a multiplier of `candidates`, and for "asic" a style."""

    multiplier: str
    style: str | None = None

    @property
    def name(self) -> str:
        return f"{self.multiplier}-{self.style}" if self.style else self.multiplier


def candidates(pe: str, target: str) -> tuple[str, ...]:
    """The multipliers that are tried for a PE kind on a target; "none" for adders."""
    if pe != "mac":
        return ("none",)
    words = ("booth", "booth-ripple", "rows", "macc")
    return (BOOTH_TREE, ARRAY_TREE, *words) if target == "asic" else (*words, "dsp")


def candidates_of(config: ArrayConfig, target: str) -> tuple[str, ...]:
    """As `candidates`, but "none" for a PE made by hand, which holds its own multiplier."""
    return ("none",) if hand_made(config) else candidates(config.pe, target)


def block_structure(config: ArrayConfig, target: str) -> str:
    """The structure of `mac` PEs whose products are made in an FPGA's multiplier blocks: those of
    two lanes in one where they fit it."""
    if config.lanes > 1 and pair_bits(config.width) <= FABRICS[target].dsp_bits:
        return PAIRS
    return HALVES if target == "ice40" and config.width <= HALF_BITS else PLAIN


def accelerator_structure(config: ArrayConfig, target: str) -> str:
    """The structure of an accelerator's PEs on an FPGA. On iCE40, which has few multiplier blocks,
    they are left to its requantizer."""
    in_blocks = config.pe == "mac" and config.target == "generic" and target != "ice40"
    return block_structure(config, target) if in_blocks else PLAIN


def check(
    config: ArrayConfig,
    target: str,
    multiplier: str | None,
    liberty: Liberty = BUILT_IN_LIBRARY,
    clock_mhz: float | None = None,
) -> None:
    """ValueError when there is no such target, the PE has no such multiplier there, the cell
    library is missing, cannot be read or has no flip-flops or no gates, or there can be no mapping
    for that clock rate."""
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {target!r}")
    if config.target not in ("generic", target):
        raise ValueError(
            f"an array made for {config.target} cannot be synthesized for {target}; "
            "give target 'generic'"
        )
    allowed = candidates_of(config, target)
    if multiplier is not None and multiplier not in allowed:
        raise ValueError(
            f"multiplier of a {config.pe} PE on {target} must be one of {', '.join(allowed)}, "
            f"not {multiplier!r}"
        )
    if clock_mhz is not None and target != "asic":
        raise ValueError(f"clock_mhz must be left out for {target}; timing-driven is asic alone")
    if clock_mhz is not None and not 0 < clock_mhz < math.inf:
        raise ValueError(f"clock_mhz must be positive, not {clock_mhz}")
    if target == "asic":
        _check_cells(read_library(liberty))


def _check_cells(library: Library) -> None:
    cells = library.cells.values()
    gates = (cell for cell in cells if not cell.flip_flop and len(cell.inputs) > 1)
    kinds = {
        "flip-flops": any(cell.flip_flop for cell in cells),
        "gates": any(pin.function for cell in gates for pin in cell.outputs),
    }
    for kind, there in kinds.items():
        if not there:
            raise ValueError(
                f"library {library.name} must have {kind}, but none of its {len(cells)} cells is "
                "one; give one that does, or it and another"
            )


def choices(
    config: ArrayConfig,
    target: str,
    liberty: Liberty = BUILT_IN_LIBRARY,
    clock_mhz: float | None = None,
    multiplier: str | None = None,
) -> list[Choice]:
    """All ways to make the configuration's PEs of logic, the usual one first; multiplier: with it
    alone."""
    names = [name for name in candidates_of(config, target) if name != "dsp"]
    if multiplier is not None:
        names = [multiplier]
    if target != "asic":
        return [Choice(multiplier=name) for name in names]
    library, trees = read_library(liberty), ("none", *TREES)
    return [
        Choice(multiplier=name, style=style)
        for name in names
        for style in styles(library, name in trees, name == "none", clock_mhz)
    ]
