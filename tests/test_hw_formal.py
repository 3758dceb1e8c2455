"""Every PE kind and structure proven against its sum, and wrong ones not proven."""

import re

import pytest
from amaranth import Module

from hw.compressor import full_adder
from hw.config import ArrayConfig
from hw.formal import MinimumMiter, prove, prove_sum
from hw.pe import ProcessingElement, structures
from hw.tools import ToolError

pytestmark = pytest.mark.slow

ADDERS = ("complement", "min", "two_adder", "compare_swap")
PROVEN = [
    *[(pe, width, 1, 1000) for pe in ADDERS for width in (2, 8, 16)],
    *[(pe, *sizes) for pe in ADDERS for sizes in [(4, 2, 6), (2, 4, 7)]],
    *[("xnor", 1, lanes, depth) for lanes, depth in [(1, 9), (4, 16), (7, 20)]],
    *[("mac", *sizes) for sizes in [(2, 1, 5), (3, 1, 3), (4, 1, 3), (2, 2, 3)]],
    *[("square", *sizes) for sizes in [(2, 1, 5), (5, 1, 3), (3, 2, 4)]],
]


@pytest.mark.parametrize(
    ("pe", "width", "lanes", "depth", "structure"),
    [(*sizes, structure) for sizes in PROVEN for structure in structures(sizes[0])],
)
def test_a_pe_is_proven_to_add_its_sum_and_not_to_overflow(
    tmp_path, pe, width, lanes, depth, structure
):
    prove_sum(ArrayConfig(pe=pe, width=width, lanes=lanes, depth=depth), tmp_path, structure)


@pytest.mark.parametrize("structure", structures("min"))
@pytest.mark.parametrize(("width", "lanes"), [(3, 1), (2, 2)])
def test_the_sum_of_minima_is_proven_to_give_the_sad(tmp_path, structure, width, lanes):
    config = ArrayConfig(pe="min", width=width, lanes=lanes, depth=4)
    prove(MinimumMiter(config, structure), tmp_path)


def wrong_adder(m, a, b, c, name):
    """A full adder that forgets one of the carries in column 2."""
    total, carry = full_adder(m, a, b, c, name)
    return total, a & b if name.startswith("2_") else carry


def swapped(config, structure):
    return ProcessingElement(config.twin("min"), structure)


def too_narrow(config, structure):
    return ProcessingElement(ArrayConfig(pe=config.pe, width=config.width, depth=4), structure)


def without_carries(config, structure):
    return ProcessingElement(config, structure, wrong_adder)


@pytest.mark.parametrize(("wrong", "lanes"), [(swapped, 1), (too_narrow, 1), (without_carries, 2)])
def test_a_wrong_pe_is_not_proven(tmp_path, wrong, lanes):
    config = ArrayConfig(width=3, lanes=lanes, depth=8)
    with pytest.raises(ToolError, match=re.escape("proof did fail")):
        prove_sum(config, tmp_path, "tree", wrong)


@pytest.mark.parametrize("pe", ["mac", "square"])
def test_a_wrong_tree_of_products_is_not_proven(tmp_path, pe):
    config = ArrayConfig(pe=pe, width=3, lanes=1, depth=2)
    with pytest.raises(ToolError, match=re.escape("proof did fail")):
        prove_sum(config, tmp_path, structures(pe)[-1], without_carries)


def test_minima_without_the_row_s_own_sum_are_not_proven(tmp_path, monkeypatch):
    monkeypatch.setattr("hw.formal.RowSum.elaborate", lambda self, platform: hollow(self))
    with pytest.raises(ToolError, match=re.escape("proof did fail")):
        prove(MinimumMiter(ArrayConfig(pe="min", width=2, depth=2)), tmp_path)


def hollow(row_sum):
    """A sum that forgets what came before this cycle."""
    m = Module()
    m.d.comb += row_sum.sum.eq(row_sum.a[0])
    return m
