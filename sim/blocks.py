"""Which block of a systolic array each cell of its mapped netlist belongs to."""

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
    """Returns cell -> each instance's block: modules keep their names when the design is flattened;
    what lies outside of them is the operands' skew registers and, all else, the bus that the sums
    leave by."""
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
