"""Which block of a systolic array, or of an accelerator, each cell of its mapped netlist belongs
to: modules keep their names when the design is flattened."""

import re

import numpy as np

from hw.netlist import Instances, Netlist

PES, ROW_SUMS, SKEW, BUS = "PEs", "row sums", "skew registers", "result bus"
MEMORY = "fold memory"
_INSTANCE = re.compile(r"\b(pe_\d+_\d+|row_sum_\d+|folds)(?:\$\d+)?\.")
_OF_INSTANCE = {"p": PES, "r": ROW_SUMS, "f": MEMORY}
# The arrays' registers in front of the PEs; the last of each keeps the name of the PE's port.
_SKEW = re.compile(r"skew_|(a|w|last)\$\d+$")


def blocks(netlist: Netlist) -> dict[str, list[str]]:
    """Returns cell -> each instance's block in an array: what lies outside of its modules is the
    operands' skew registers and, all else, the bus that the sums leave by."""
    skewed = [nets for name, nets in netlist.names.items() if _SKEW.match(name)]
    is_skew = np.zeros(netlist.net_count, dtype=bool)
    is_skew[np.concatenate([np.zeros(0, dtype=np.int64), *skewed])] = True
    return {kind: _of_cell(some, is_skew) for kind, some in netlist.instances.items()}


def _of_cell(some: Instances, is_skew: np.ndarray) -> list[str]:
    drives = np.zeros(len(some.names), dtype=bool)
    for pin in some.cell.outputs:
        drives |= is_skew[some.nets[pin.name]]
    return [_block(name, skew) for name, skew in zip(some.names, drives.tolist(), strict=True)]


def _block(name: str, drives_skew: bool) -> str:
    if match := _INSTANCE.search(name):
        return _OF_INSTANCE[match[1][0]]
    return SKEW if drives_skew else BUS


CONTROL, PORTS, FOLDS, TOP_LEVEL = "control", "memory ports", "fold sums", "operands and places"
_OF_MODULE = {"sequencer": CONTROL} | dict.fromkeys(
    ("weights", "constants", "activations", "image"), PORTS
)
_OF_ARRAY = {"pe": PES, "row": ROW_SUMS, "folds": FOLDS}


def accelerator_blocks(netlist: Netlist) -> dict[str, list[str]]:
    """Returns cell -> each instance's block in an accelerator. PORTS: what addresses the memories.
    FOLDS: what adds up folds. SKEW: of the array, and what takes its sums back in step. TOP_LEVEL:
    what leads operands into the array and sums out of it, with their places. Modules that are none
    of these are blocks of their own."""
    return {
        kind: [accelerator_block(name) for name in some.names]
        for kind, some in netlist.instances.items()
    }


def accelerator_block(name: str) -> str:
    """The block of a cell by its name in the flat netlist."""
    parts = name.removeprefix("$flatten").replace("\\", "").split(".")
    path = [re.sub(r"\$\d+$", "", part) for part in parts[:-1] if not part.startswith("$")]
    if not path:
        return TOP_LEVEL
    if path[0] == "array":
        return _OF_ARRAY.get(path[1].split("_")[0], SKEW) if path[1:] else SKEW
    return CONTROL if path[0].endswith(("_walk", "_loops")) else _OF_MODULE.get(path[0], path[0])
