"""Weight-stationary PEs, wide products, sums of activations and whole arrays, proven; wrong ones
not."""

import re

import pytest
from amaranth import Cat, Const, Module

import hw.formal_array
import hw.ice40
import hw.plain_sum
from hw.arithmetic import structures
from hw.config import ArrayConfig
from hw.formal import prove, prove_bounded, prove_for_each
from hw.formal_array import ArrayMiter, RowSumMiter, StayingMiter, StepMiter
from hw.mapping import hand_made
from hw.pe import ProcessingElement
from hw.tools import ToolError

pytestmark = pytest.mark.slow

NOT_PROVEN = re.escape("proof did fail")


def staying(pe, width, lanes, pipeline):
    sizes = {"width": width, "lanes": lanes, "depth": 64, "pipeline": pipeline}
    return ArrayConfig(pe=pe, dataflow="weight-stationary", rows=3, cols=1, **sizes)


@pytest.mark.parametrize("pipeline", [0, 1, 2])
@pytest.mark.parametrize(
    ("pe", "width", "lanes", "structure"),
    [
        ("complement", 8, 1, "plain"),
        ("complement", 2, 4, "tree"),
        ("min", 8, 1, "plain"),
        ("two_adder", 8, 1, "plain"),
        ("compare_swap", 8, 1, "plain"),
        ("xnor", 1, 7, "tree"),
        ("square", 4, 1, "tree"),
        ("mac", 3, 1, "plain"),
        ("mac", 3, 1, "booth-tree"),
        ("mac", 2, 2, "array-tree"),
    ],
)
def test_a_pe_that_keeps_its_weights_is_proven_to_add_its_terms_to_the_sum_from_above(
    tmp_path, pe, width, lanes, structure, pipeline
):
    prove(StayingMiter(staying(pe, width, lanes, pipeline), structure), tmp_path)


@pytest.mark.parametrize("structure", structures("min"))
@pytest.mark.parametrize(("width", "lanes", "pipeline"), [(8, 1, 0), (16, 1, 4), (8, 1, 2)])
def test_the_sum_of_activations_is_proven(tmp_path, structure, width, lanes, pipeline):
    """So `min` is `complement` at every width at which both are proven: |a − w| = a + w −
    2 · min(a, w)."""
    sizes = {"width": width, "lanes": lanes, "depth": 1000, "pipeline": pipeline}
    prove(RowSumMiter(ArrayConfig(pe="min", **sizes), structure), tmp_path)


@pytest.mark.parametrize(
    ("width", "target", "structure"),
    [
        (6, "generic", "booth-tree"),
        (6, "generic", "array-tree"),
        (6, "ice40", "plain"),
        (6, "ecp5", "plain"),
        (6, "xilinx7", "plain"),
        (8, "ice40", "halves"),
    ],
)
def test_a_wide_product_is_proven_for_each_weight(tmp_path, width, target, structure):
    """By way of the accumulator's adder, too, of as many bits as a product."""
    by_hand = structure == "plain"  # else the structure has the cells
    config = ArrayConfig(pe="mac", width=width, depth=1, target=target if by_hand else "generic")
    assert not by_hand or hand_made(config)
    prove_for_each(StepMiter(config, structure), tmp_path, "w", target)


@pytest.mark.parametrize(("target", "structure"), [("generic", "pairs"), ("ice40", "halves")])
def test_two_products_in_a_block_are_proven_for_each_pair_of_weights(tmp_path, target, structure):
    config = ArrayConfig(pe="mac", width=3, lanes=2, depth=4)
    prove_for_each(StepMiter(config, structure), tmp_path, "w", target)


@pytest.mark.parametrize(
    ("target", "structure", "of", "name", "broken"),
    [
        ("generic", "pairs", hw.plain_sum, "pair_field", lambda n: 2 * n),
        ("ice40", "halves", hw.ice40, "_extended", lambda x: Cat(x, Const(0, 8))[:8]),
    ],
)
def test_two_products_that_touch_or_have_no_sign_are_not_proven(
    tmp_path, monkeypatch, target, structure, of, name, broken
):
    monkeypatch.setattr(of, name, broken)
    config = ArrayConfig(pe="mac", width=3, lanes=2, depth=4)
    with pytest.raises(ToolError, match=NOT_PROVEN):
        prove_for_each(StepMiter(config, structure), tmp_path, "w", target)


@pytest.mark.parametrize(
    ("pe", "pipeline", "cycles"), [("complement", 0, 10), ("complement", 4, 12), ("min", 0, 6)]
)
def test_an_array_is_proven_to_give_each_row_its_sums_in_its_cycle(tmp_path, pe, pipeline, cycles):
    """Of all operands and flags: two tiles at least, back to back."""
    sizes = {"width": 2, "rows": 2, "cols": 2, "depth": 2 * cycles, "pipeline": pipeline}
    prove_bounded(ArrayMiter(ArrayConfig(pe=pe, **sizes)), tmp_path, cycles)


def test_a_pe_with_one_weight_register_is_not_proven(tmp_path, monkeypatch):
    monkeypatch.setattr(
        hw.formal_array.WeightStationaryPE, "elaborate", lambda self, platform: Module()
    )
    with pytest.raises(ToolError, match=NOT_PROVEN):
        prove(StayingMiter(staying("complement", 2, 1, 0)), tmp_path)


def test_a_product_that_is_wrong_for_one_weight_is_not_proven(tmp_path, monkeypatch):
    right = hw.formal_array.term
    monkeypatch.setattr(
        hw.formal_array, "term", lambda pe, a, w: right(pe, a, w) + (w == Const(5, 3))
    )
    with pytest.raises(ToolError, match=NOT_PROVEN):
        prove_for_each(StepMiter(ArrayConfig(pe="mac", width=3), "booth-tree"), tmp_path, "w")


def test_a_row_sum_of_other_activations_is_not_proven(tmp_path, monkeypatch):
    config = ArrayConfig(pe="min", width=2, depth=4)
    monkeypatch.setattr(hw.formal_array, "RowSum", lambda *_: ProcessingElement(config))
    with pytest.raises(ToolError, match=NOT_PROVEN):
        prove(RowSumMiter(config), tmp_path)


def test_an_array_whose_rows_leave_late_is_not_proven(tmp_path, monkeypatch):
    config = ArrayConfig(width=2, rows=2, cols=1, depth=8)
    late = ArrayConfig(**config.model_dump() | {"pipeline": 1})
    array = hw.formal_array.SystolicArray
    monkeypatch.setattr(hw.formal_array, "SystolicArray", lambda config: array(late))
    with pytest.raises(ToolError, match=NOT_PROVEN):
        prove_bounded(ArrayMiter(config), tmp_path, 5)
