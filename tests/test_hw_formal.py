"""Every PE kind and structure proven against its sum, and wrong ones not proven."""

import re

import pytest
from amaranth import Module

from hw.arithmetic import structures
from hw.compressor import full_adder
from hw.config import ArrayConfig
from hw.formal import MinimumMiter, prove, prove_sum
from hw.pe import ProcessingElement
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


PIPELINED = [
    *[(pe, *sizes) for pe in ADDERS for sizes in [(8, 1, 1000), (2, 4, 7)]],
    *[("xnor", 1, lanes, depth) for lanes, depth in [(1, 1), (4, 16)]],
    *[("mac", *sizes) for sizes in [(2, 1, 5), (3, 1, 3), (2, 2, 3)]],
    *[("square", *sizes) for sizes in [(2, 1, 5), (3, 2, 4)]],
]


@pytest.mark.parametrize(
    ("pe", "width", "lanes", "depth", "structure", "pipeline"),
    [
        (*sizes, structure, pipeline)
        for cases, pipelines in ((PROVEN, (0,)), (PIPELINED, (1, 2, 3, 4)))
        for sizes in cases
        for structure in structures(sizes[0])
        for pipeline in pipelines
    ],
)
def test_a_pe_is_proven_to_add_its_sum_and_not_to_overflow(
    tmp_path, pe, width, lanes, depth, structure, pipeline
):
    config = ArrayConfig(pe=pe, width=width, lanes=lanes, depth=depth, pipeline=pipeline)
    prove_sum(config, tmp_path, structure)


@pytest.mark.parametrize("structure", structures("min"))
@pytest.mark.parametrize(
    ("width", "lanes", "pipeline"), [(3, 1, 0), *[(2, 2, pipeline) for pipeline in (0, 1, 2, 3, 4)]]
)
def test_the_sum_of_minima_is_proven_to_give_the_sad(tmp_path, structure, width, lanes, pipeline):
    config = ArrayConfig(pe="min", width=width, lanes=lanes, depth=4, pipeline=pipeline)
    prove(MinimumMiter(config, structure), tmp_path)


def wrong_adder(m, a, b, c, name):
    """A full adder that forgets one of the carries in column 2."""
    total, carry = full_adder(m, a, b, c, name)
    return total, a & b if name.startswith("2_") else carry


def swapped(config, structure):
    return ProcessingElement(config.twin("min"), structure)


def too_narrow(config, structure):
    return ProcessingElement(ArrayConfig(**config.model_dump() | {"depth": 4}), structure)


def early(config, structure):
    values = config.model_dump() | {"pipeline": config.pipeline // 2}
    return ProcessingElement(ArrayConfig(**values), structure)


def without_carries(config, structure):
    return ProcessingElement(config, structure, wrong_adder)


@pytest.mark.parametrize("pipeline", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("wrong", "lanes"), [(swapped, 1), (too_narrow, 1), (without_carries, 2)])
def test_a_wrong_pe_is_not_proven(tmp_path, wrong, lanes, pipeline):
    config = ArrayConfig(width=3, lanes=lanes, depth=8, pipeline=pipeline)
    with pytest.raises(ToolError, match=re.escape("proof did fail")):
        prove_sum(config, tmp_path, "tree", wrong)


@pytest.mark.parametrize("pipeline", [1, 2, 3, 4])
def test_a_pe_with_fewer_registers_is_not_proven(tmp_path, pipeline):
    with pytest.raises(ToolError, match=re.escape("proof did fail")):
        prove_sum(ArrayConfig(width=3, depth=8, pipeline=pipeline), tmp_path, "tree", early)


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
