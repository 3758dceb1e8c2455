"""PEs made by hand against generic ones: proven equal by Yosys' solver, with its cell models."""

import pytest

import hw.ecp5
import hw.ice40
import hw.xilinx7
from hw.arithmetic import PLAIN
from hw.config import ArrayConfig
from hw.fabric import FABRICS
from hw.mapping import hand_made, on_fabric, weights_inverted
from hw.primitives import truth_table
from hw.synth import synthesize
from hw.tools import ToolError
from hw.verilog import PE, TOP, array_verilog, pe_rtlil
from hw.yowasp import yosys

HAND_MADE = ("ice40", "ecp5", "xilinx7")
# 8 bits and an 18-bit sum; the shortest and longest operands; odd widths and numbers of lanes.
SHAPES = [
    *[(*shape, 0) for shape in [(8, 1, 1024), (2, 1, 1), (16, 1, 3), (5, 3, 9)]],
    *[(*shape, 0) for shape in [(2, 5, 9), (2, 9, 18)]],
    *[(3, 5, 100, pipeline) for pipeline in (0, 1, 2, 3, 4)],
    *[(*shape, pipeline) for shape in [(8, 1, 1024), (5, 3, 9)] for pipeline in (1, 2, 3, 4)],
]


def prove(config, folder):
    """Prove that PEs of `config` and of its generic form, after the reset that an array of one PE
    asks for, are equal in every cycle for all operands and flags; ToolError when they are not.
    Accumulators that are loaded take two cycles more until the reset shows in both halves."""
    generic = ArrayConfig(**config.model_dump() | {"target": "generic"})
    (folder / "generic.il").write_text(pe_rtlil(generic, PLAIN))
    (folder / "made.il").write_text(pe_rtlil(config, PLAIN))
    clear = ".clear(clear | start), " if config.sum_loaded else ""
    operand, invert = config.width * config.lanes - 1, "~" * weights_inverted(config)
    (folder / "both.v").write_text(f"""
module both(input clk, rst, clear, last, input [{operand}:0] a, w);
  wire [{operand}:0] a_1, a_2, w_1, w_2;
  wire [{config.acc_width - 1}:0] sum_1, sum_2;
  wire [1:0] ends_1, ends_2;
  reg [2:0] cycle = 0;
  wire start = cycle < 2, early = cycle < {4 if config.sum_loaded else 2};
  wire [{operand}:0] a_in = start ? 0 : a, w_in = start ? 0 : w;
  generic one({clear}.clk(clk), .rst(rst | start), .last(last & !start), .a(a_in), .w(w_in),
    .a_out(a_1), .w_out(w_1), .last_out(last_1), .sum(sum_1), .sum_last(ends_1));
  made two({clear}.clk(clk), .rst(rst | start), .last(last & !start), .a(a_in), .w({invert}w_in),
    .a_out(a_2), .w_out(w_2), .last_out(last_2), .sum(sum_2), .sum_last(ends_2));
  always @(posedge clk) if (early) cycle <= cycle + 1;
  always @* assert(early || {{a_1, w_1, last_1, sum_1, ends_1}}
    == {{a_2, {invert}w_2, last_2, sum_2, ends_2}});
endmodule
""")
    script = f"""
read_rtlil generic.il
rename {PE} generic
read_rtlil made.il
rename {PE} made
read_verilog -formal both.v
read_verilog -defer -overwrite +/{FABRICS[config.target].models}/cells_sim.v
hierarchy -check -top both
proc
flatten
opt_clean
chformal -lower
sat -verify -tempinduct -set-init-zero -prove-asserts both
"""
    yosys(script, folder, "proof")


def test_a_truth_table_has_its_functions_values_lowest_input_first():
    assert truth_table(lambda x, y: x and not y, 2).value == 0b0010
    assert truth_table(lambda x, y, z: z, 3).value == 0xF0


def test_nothing_is_made_by_hand_for_the_generic_target():
    assert hand_made(ArrayConfig()) is None
    assert not weights_inverted(ArrayConfig())


def test_pes_are_made_by_hand_where_that_is_known():
    generic = ArrayConfig(pe="mac", rows=3, pipeline=1)
    for target in HAND_MADE:
        made = on_fabric(generic, target)
        assert hand_made(made) and made == ArrayConfig(pe="mac", rows=3, pipeline=1, target=target)
    assert on_fabric(generic, "gowin") is generic
    least = generic.twin("min")
    assert on_fabric(least, "ecp5") is least


@pytest.mark.slow
@pytest.mark.parametrize("target", HAND_MADE)
@pytest.mark.parametrize(("width", "lanes", "depth", "pipeline"), SHAPES)
def test_a_pe_made_by_hand_is_equal_to_the_generic_one(
    tmp_path, target, width, lanes, depth, pipeline
):
    config = ArrayConfig(target=target, width=width, lanes=lanes, depth=depth, pipeline=pipeline)
    assert hand_made(config)
    prove(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", HAND_MADE)
@pytest.mark.parametrize("pipeline", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("width", "lanes", "depth"), [(2, 1, 1), (2, 3, 5), (3, 1, 4), (4, 1, 3)])
def test_a_mac_made_by_hand_is_equal_to_the_generic_one(
    tmp_path, target, width, lanes, depth, pipeline
):
    """Narrow: proofs of wide products take hours. Rows are the same at every width."""
    sizes = {"width": width, "lanes": lanes, "depth": depth, "pipeline": pipeline}
    config = ArrayConfig(pe="mac", target=target, **sizes)
    assert hand_made(config)
    prove(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name", "pe", "pipeline"),
    [
        *[(hw.ice40, "_TERM", "complement", pipeline) for pipeline in (0, 2, 4)],
        *[(hw.ecp5, "_SUM", "complement", pipeline) for pipeline in (0, 2)],
        *[(hw.ecp5, "_LAST_ROW", "mac", pipeline) for pipeline in (0, 2, 4)],
        *[(hw.xilinx7, "_high", "complement", pipeline) for pipeline in (0, 2, 4)],
        *[(hw.xilinx7, "_booth", "mac", pipeline) for pipeline in (0, 2)],
        *[(hw.xilinx7, "_sum_high", "complement", pipeline) for pipeline in (0, 2)],
        (hw.ice40, "_LOAD", "complement", 4),
        (hw.ecp5, "_LOAD", "complement", 3),
        (hw.ecp5, "_LOAD", "mac", 4),
        *[(hw.ice40, "_ROW_INVERTED", "mac", pipeline) for pipeline in (0, 2)],
        (hw.ice40, "_ROW_CARRY", "mac", 1),
        (hw.ecp5, "_TWO_ROWS", "mac", 1),
    ],
)
def test_a_wrong_lut_is_not_proven(tmp_path, monkeypatch, module, name, pe, pipeline):
    def ones(*bits):
        return 1

    monkeypatch.setattr(module, name, ones if name.islower() else truth_table(ones, 4))
    target = module.__name__.removeprefix("hw.")
    with pytest.raises(ToolError, match="proof did fail"):
        sizes = {"width": 3, "lanes": 5 if name == "_sum_high" else 1, "depth": 8}
        config = ArrayConfig(pe=pe, target=target, pipeline=pipeline, **sizes)
        prove(config, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "most"), [("ice40", 26), ("ecp5", 28), ("xilinx7", 22)])
def test_synthesis_keeps_the_cells_of_a_pe(tmp_path, target, most):
    """Beside the PE's there are LUTs for the clear of its two registers, and on iCE40 for ~w."""
    config = ArrayConfig(target=target, rows=1, cols=1, depth=1024)
    report = synthesize(config, target, tmp_path)
    around = 2 + config.width * weights_inverted(config) + report.cells.get("INV", 0)
    assert report.luts <= most + around


@pytest.mark.slow
def test_a_lane_of_16_takes_no_more_than_16_luts_of_a_7_series_with_its_tree(tmp_path):
    config = ArrayConfig(target="xilinx7", rows=1, cols=1, lanes=16, depth=1024)
    assert synthesize(config, "xilinx7", tmp_path).luts <= 16 * config.lanes


@pytest.mark.slow
def test_an_array_of_inverted_weights_gives_the_same_sums(tmp_path):
    """The first 12 cycles, of which 4 are the reset that the array asks for, for all operands."""
    made = ArrayConfig(target="ice40", width=2, rows=2, cols=2, depth=2)
    generic = ArrayConfig(**made.model_dump() | {"target": "generic"})
    for name, config in (("made", made), ("generic", generic)):
        text = array_verilog(config)
        (tmp_path / f"{name}.v").write_text(text.replace(TOP, name).replace(PE, f"{name}_pe"))
    (tmp_path / "both.v").write_text("""
module both(input clk, last, input [3:0] a, w);
  reg [2:0] cycle = 0;
  wire rst = !cycle[2];
  wire [5:0] sums_1, sums_2;
  generic one(.clk(clk), .rst(rst), .last(last & cycle[2]), .a(a & {4{cycle[2]}}),
    .w(w & {4{cycle[2]}}), .sums(sums_1), .valid(valid_1));
  made two(.clk(clk), .rst(rst), .last(last & cycle[2]), .a(a & {4{cycle[2]}}),
    .w(w & {4{cycle[2]}}), .sums(sums_2), .valid(valid_2));
  always @(posedge clk) if (rst) cycle <= cycle + 1;
  always @* assert(rst || {sums_1, valid_1} == {sums_2, valid_2});
endmodule
""")
    script = f"""
read_verilog generic.v made.v
read_verilog -formal both.v
read_verilog -defer -overwrite +/{FABRICS["ice40"].models}/cells_sim.v
hierarchy -check -top both
proc
flatten
opt_clean
chformal -lower
sat -verify -tempinduct-baseonly -maxsteps 12 -set-init-zero -prove-asserts both
"""
    yosys(script, tmp_path, "proof")


@pytest.mark.slow
def test_a_long_chain_of_ice40_cells_is_no_loop_to_synthesis(tmp_path):
    config = ArrayConfig(target="ice40", width=16, rows=1, cols=1, depth=4)
    report = synthesize(config, "ice40", tmp_path)
    assert report.carries == report.cells["SB_CARRY"] >= config.width + config.acc_width - 1
    assert set(report.cells) <= {"SB_LUT4", "SB_CARRY", "SB_DFF", "SB_DFFSR"}


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize("target", HAND_MADE)
def test_pes_of_several_lanes_can_be_synthesized(tmp_path, pe, target):
    config = ArrayConfig(pe=pe, target=target, width=4, rows=1, cols=1, lanes=6, depth=12)
    report = synthesize(config, target, tmp_path)
    assert report.flip_flops == 2 * config.acc_width + 1
