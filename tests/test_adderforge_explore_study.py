"""The committed study is what its script makes of the shipped measurements."""

import importlib.util
import json
from pathlib import Path

import pytest

from adderforge.exploration.store import Store

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def study():
    place = ROOT / "benchmarks" / "exploration.py"
    spec = importlib.util.spec_from_file_location("exploration_study", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report():
    return json.loads((RESULTS / "exploration.json").read_text(encoding="utf-8"))


def test_the_page_says_what_the_figures_do(study, report):
    assert (RESULTS / "exploration.md").read_text(encoding="utf-8") == study.page(report)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["asic", "ecp5"])
def test_the_figures_follow_from_the_shipped_measurements(study, report, target, tmp_path):
    found = study.guessed("lenet5-bn", target, Store(tmp_path))
    committed = report["studies"][f"lenet5-bn, {target}"]
    for name in ("twins", "at_equal_cycles"):
        for row, expected in zip(getattr(study, name)(found, target), committed[name], strict=True):
            assert row == pytest.approx(expected)
    assert study.utilization(found) == pytest.approx(committed["utilization"])


def test_guesses_of_the_study_were_near_what_synthesis_gave(report):
    checks = [row for some in report["checks"].values() for row in some]
    errors = sorted(abs(row["guess"] / row["synthesis"] - 1) for row in checks)
    assert len(errors) == 30 and errors[len(errors) // 2] < 0.06 and errors[-1] < 0.15
