"""The committed study: its page is that of its figures, one of which is measured anew."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "docs" / "results" / "energy-study.json"


@pytest.fixture
def study():
    return json.loads(RESULT.read_text(encoding="utf-8"))


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    yield importlib.import_module("energy_study")
    for name in ("energy_study", "energy_study_page"):
        sys.modules.pop(name, None)


def test_the_page_and_the_picture_show_the_figures(script, study):
    assert RESULT.with_suffix(".md").read_text(encoding="utf-8") == script.page(study)
    assert RESULT.with_suffix(".svg").read_text(encoding="utf-8").count("<svg") == 1


def test_no_sum_of_the_studys_netlists_was_wrong(study):
    checks = [t["netlist_check"] for one in study["configurations"] for t in one["twins"].values()]
    assert all(check["compared"] > 0 == check["mismatches"] for check in checks)


def test_what_is_there_is_not_run_again(script, tmp_path, monkeypatch):
    ran = []

    def run(command, **_):
        place = Path(command[command.index("--out") + 1])
        place.mkdir()
        (place / "result").touch()
        ran.append(command)

    monkeypatch.setattr(script.subprocess, "run", run)
    for _ in range(2):
        script._run(tmp_path / "one", "result", ["compare", "--width", 8])
    assert len(ran) == 1 and (tmp_path / "one.log").exists()


@pytest.mark.slow
def test_the_adders_luts_per_lane_are_the_committed_ones(script, study, tmp_path):
    """The smallest figure, beside AdderNet-FPGA's 27.6."""
    measured = script.lane_luts(script.lane_arrays()[0], tmp_path)
    assert measured == study["lanes"][0]
    assert measured["luts_per_lane"] < 27.6
