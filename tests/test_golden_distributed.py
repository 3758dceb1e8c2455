"""Two processes train as one does."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from golden import checkpoint, distributed


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "PyTorch finds no GPU; choose cpu or auto"), ("tpu", "device must be one of")],
)
def test_a_device_that_is_not_there_or_unknown_is_refused(monkeypatch, device, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=message), distributed.processes(device):
        pass


def curve(path):
    with path.open() as file:
        return np.array([float(row["loss"]) for row in csv.DictReader(file)])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cnn", "adder"])
def test_two_processes_have_the_loss_curve_of_one(tmp_path, kind):
    """Rounding differs, and grows as training goes on: within 1 % in the first epoch, then 5 %."""
    options = ["-m", "adderforge", "train", "--kind", kind, "--epochs", "2", "--batch-size", "65"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    starts = {"one": [sys.executable], "two": [*torchrun, "--nproc-per-node", "2"]}
    for name, start in starts.items():
        words = [*start, *options, "--out", str(tmp_path / name)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    one, two = (curve(tmp_path / name / f"{kind}.csv") for name in starts)
    np.testing.assert_allclose(two[0], one[0], rtol=0.01)
    np.testing.assert_allclose(two, one, rtol=0.05)
    assert checkpoint.load(tmp_path / "two" / f"{kind}.pt").test_accuracy > 0.9
