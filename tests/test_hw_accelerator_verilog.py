"""The accelerator's Verilog as synthesis sees it."""

import pytest

from hw.accelerator_config import AcceleratorConfig
from hw.accelerator_verilog import TOP, accelerator_verilog
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model
from hw.tools import ToolError
from hw.yowasp import yosys
from sim.generated_models import generated_model

SCRIPT = f"""\
read_verilog design.v
hierarchy -top {TOP}
proc
select -assert-none t:$mul t:$div t:$mod t:$pow
synth_ecp5 -top {TOP}
select -assert-none t:MULT18X18D t:MULT9X9D t:ALU54B t:ALU24B
"""
RESIDUAL = [
    {"out_channels": 2, "kernel": (2, 2)},
    {"out_channels": 2, "residual": "layer0", "mean": (2, 2)},
    {"out_channels": 3},
]


def synthesize(folder, pe, ends, requantize):
    """Synthesis that fails when it meets a multiplier."""
    layers = [{"kind": ends} | RESIDUAL[0], RESIDUAL[1], {"kind": ends} | RESIDUAL[2]]
    kind = "mac" if pe == "mac" else "adder"
    model = generated_model(kind, (2, 3, 3), layers, requantize=requantize)
    array = ArrayConfig(
        pe=pe, rows=2, cols=1, depth=2**13, positions=8, dataflow="weight-stationary"
    )
    config = sized(model, AcceleratorConfig(array=array, requantize=requantize))
    verilog = accelerator_verilog(compile_model(model, config))
    (folder / "design.v").write_text(verilog, encoding="utf-8")
    yosys(SCRIPT, folder, "synthesis")


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["adder", "mac"])
def test_adder_networks_need_no_multiplier_and_no_dsp_whatever_their_ends(ends, tmp_path):
    synthesize(tmp_path, "complement", ends, "shift")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pe", "ends", "requantize"), [("mac", "mac", "shift"), ("complement", "adder", "multiply")]
)
def test_multipliers_elsewhere_would_be_found(pe, ends, requantize, tmp_path):
    with pytest.raises(ToolError, match="yosys failed"):
        synthesize(tmp_path, pe, ends, requantize)
    assert "selection is not empty" in (tmp_path / "synthesis.log").read_text()
