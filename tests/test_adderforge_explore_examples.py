"""The example scripts run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(name, *words):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_sweep_guesses_areas_with_their_errors():
    lines = run("sweep.py").splitlines()
    assert len(lines) > 5 and all("µm² ±" in line and "cycles" in line for line in lines)


@pytest.mark.slow
def test_a_custom_objective_is_minimized_over_what_was_synthesized(tmp_path):
    best, count = run("custom_objective.py", tmp_path / "store").splitlines()
    assert best.startswith("--rows") and count.endswith("of 14 synthesized")
    assert run("custom_objective.py", tmp_path / "store").splitlines() == [best, count]
