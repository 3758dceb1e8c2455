"""Run folders, progress lines, and the report's arithmetic on made-up results."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from adderforge.progress import Stages
from adderforge.report import build_report, markdown, passed, rows
from adderforge.runs import new_run_folder, write_json
from adderforge.stages import Accuracy, NetlistRun
from hw.config import ArrayConfig
from hw.energy import EnergyReport
from hw.synth import SynthReport
from sim.gate_run import GateRun
from sim.job import FormResult

OPTIONS = {"data": "digits", "seed": 0, "images": 1, "rows": 1, "cols": 1, "lanes": 1, "width": 8}


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [new_run_folder("demo") for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(re.fullmatch(r"runs/demo-\d{8}-\d{6}(-\d)?", str(folder)) for folder in folders)


def test_a_named_folder_must_be_new_or_empty(tmp_path):
    assert new_run_folder("demo", tmp_path / "a" / "b") == tmp_path / "a" / "b"
    (tmp_path / "a" / "b" / "report.md").write_text("old")
    with pytest.raises(ValueError, match="must be new or empty"):
        new_run_folder("demo", tmp_path / "a" / "b")
    with pytest.raises(ValueError, match="must be new or empty"):
        new_run_folder("demo", tmp_path / "a" / "b" / "report.md")


def test_a_value_that_is_no_json_leaves_the_old_file_as_it_was(tmp_path):
    write_json(tmp_path / "report.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "report.json", {"a": object()})
    assert (tmp_path / "report.json").read_text() == '{\n "a": 1\n}\n'
    assert len(list(tmp_path.iterdir())) == 1


def test_stages_print_one_plain_line_each_off_a_terminal():
    out = io.StringIO()
    stages = Stages(2, Console(file=out))
    for name in ("train", "synthesize [all]"):
        with stages.stage(name) as update:
            update("half", 1, 2)
    assert re.fullmatch(
        r"\[1/2\] train … 0\.0 s\n\[2/2\] synthesize \[all\] … 0\.0 s\n", out.getvalue()
    )
    assert list(stages.seconds) == ["train", "synthesize [all]"]


def test_a_stage_that_fails_prints_no_line():
    out = io.StringIO()
    with pytest.raises(ValueError), Stages(1, Console(file=out)).stage("train"):
        raise ValueError
    assert out.getvalue() == ""


FORM = FormResult(
    name="conv1",
    shape=(4, 3, 2),
    compared=8,
    mismatches=0,
    first_mismatch=None,
    cycles=12,
    predicted_cycles=12,
    leftover_rows=0,
)


def made_up_report(form=FORM, netlist_mismatches=0):
    arrays = [ArrayConfig(pe=pe, rows=1, cols=1, depth=3) for pe in ("complement", "mac")]
    syntheses = [
        SynthReport(target=t, pe=pe, multiplier=m, luts=n, area_um2=a, cells={}, tools={}, dsps=d)
        for pe, m, n, d in (
            ("complement", "none", 50, 0),
            ("mac", "booth", 200, 0),
            ("mac", "dsp", 40, 1),
        )
        for t, a in (("ice40", None), ("ecp5", None), ("asic", 10.0 * n))
        if not (t == "asic" and m == "dsp")
    ]
    parts = {"flip_flops": 0.5, "clock": 0.25, "logic": 0.25, "leakage": None}
    energy = EnergyReport(
        pj_per_op=1.0,
        glitch_share=None,
        parts=parts,
        operations=8,
        cycles=12,
        activity="zero-delay",
    )
    gate_run = GateRun(energy=energy, compared=8, mismatches=netlist_mismatches)
    run = NetlistRun(multiplier="array-tree", run=gate_run)
    accuracy = Accuracy(float_correct=9, integer_correct=8, images=10)
    return build_report(
        OPTIONS, arrays, [accuracy, accuracy], [[FORM], [form]], syntheses, [run, run]
    )


def test_the_table_shows_each_figure_of_both_with_their_ratio():
    table = {row[0]: row[1:] for row in rows(made_up_report())}
    assert table["test accuracy, float network"] == ("90.00%", "90.00%", "+0.00 points")
    assert table["test accuracy, integer network"] == ("80.00%", "80.00%", "+0.00 points")
    assert table["cycles counted"] == table["cycles predicted"] == ("12", "12", "1.00")
    assert table["iCE40 LUTs"] == ("50", "200", "0.25")
    assert table["ECP5, MAC on DSP blocks: LUTs + DSPs"] == ("50 + 0", "40 + 1", "–")
    assert table["ASIC area, µm² (MAC: booth)"] == ("500", "2,000", "0.25")
    assert table["energy per operation, pJ (zero-delay, MAC: array-tree)"] == ("1", "1", "1.00")
    assert table["… leakage"] == ("–", "–", "–")


@pytest.mark.parametrize(
    "change",
    [
        {"form": replace(FORM, mismatches=1)},
        {"form": replace(FORM, cycles=13)},
        {"form": replace(FORM, leftover_rows=1)},
        {"netlist_mismatches": 1},
    ],
)
def test_one_wrong_sum_cycle_or_row_fails_the_report(change):
    assert passed(made_up_report()) and "Passed" in markdown(made_up_report())
    report = made_up_report(**change)
    assert not passed(report) and "FAILED" in markdown(report)
