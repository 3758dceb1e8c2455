"""Multipliers that Yosys makes of products, proven."""

import shutil

import pytest

from hw.choices import MULTIPLIERS
from hw.synth import ROWS_MULTIPLIER
from hw.tools import ToolError
from hw.yowasp import yosys


def prove(tmp_path, multiplier, a_width, w_width, y_width):
    """Prove that a multiplier's Yosys command keeps a signed product, for all operands; returns
    whether it took the product's place."""
    shutil.copy(ROWS_MULTIPLIER, tmp_path)
    (tmp_path / "product.v").write_text(f"""
module plain(
  input signed [{a_width - 1}:0] a, input signed [{w_width - 1}:0] w,
  output signed [{y_width - 1}:0] y);
  assign y = a * w;
endmodule
""")
    script = f"""
read_verilog product.v
proc
copy plain made
cd made
{MULTIPLIERS[multiplier]}
opt_clean
tee -q -o left.txt select -list t:$mul
alumacc
maccmap -unmap
cd
miter -equiv -flatten -make_assert plain made miter
sat -verify -prove-asserts miter
"""
    yosys(script, tmp_path, "proof")
    return (tmp_path / "left.txt").read_text().strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("multiplier", "widths"),
    [
        *[("rows", widths) for widths in [(4, 4), (5, 3), (3, 5), (2, 2), (1, 2), (6, 5)]],
        *[(booth, widths) for booth in ("booth", "booth-ripple") for widths in [(4, 4), (6, 5)]],
    ],
)
def test_a_multiplier_is_proven_equal_to_the_product(tmp_path, multiplier, widths):
    assert prove(tmp_path, multiplier, *widths, sum(widths))


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(4, 4, 7), (5, 3, 3), (3, 3, 1)])
def test_rows_keep_the_low_bits_of_a_product_that_is_cut(tmp_path, widths):
    assert prove(tmp_path, "rows", *widths)


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(4, 1, 5), (4, 4, 9), (1, 1, 1)])
def test_rows_leave_a_product_that_they_cannot_make(tmp_path, widths):
    assert not prove(tmp_path, "rows", *widths)


@pytest.mark.slow
def test_a_wrong_multiplier_is_not_proven(tmp_path, monkeypatch):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    text = ROWS_MULTIPLIER.read_text().replace(".CI(j == B_WIDTH - 1)", ".CI(1'b0)")
    (wrong / ROWS_MULTIPLIER.name).write_text(text)
    monkeypatch.setitem(MULTIPLIERS, "wrong", "techmap -map wrong/rows_multiplier.v t:$mul")
    with pytest.raises(ToolError, match=r"proof did fail"):
        prove(tmp_path, "wrong", 4, 4, 8)
