"""Exploring in several processes: one that is killed loses nothing and does nothing twice."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from adderforge.exploration.executors import scheduler
from hw.tools import ToolError

ROOT = Path(__file__).parent.parent
SCRIPT = '''
import sys, time
from pathlib import Path
from adderforge.exploration import ladder, measuring
from adderforge.exploration.explore import explore
from adderforge.exploration.executors import processes, scheduler
from adderforge.exploration.space import Space
from adderforge.exploration.store import Measurement, Store
from adderforge.exploration.workloads import network

def measure(task):
    """Takes a while, and says so in a file of its own."""
    time.sleep(0.15)
    array = task.design.array
    with open(LOG, "a") as log:
        log.write(f"{array.rows} {array.cols}\\n")
    figures = {"area_um2": 10.0 * array.rows * array.cols}
    return Measurement(subject=task.subject, design=task.design.values, figures=figures)

LOG = Path(sys.argv[1]) / "made.log"

if __name__ == "__main__":
    measuring.measure = measure
    ladder.samples = lambda measurements: []
    pool = scheduler(sys.argv[2]) if len(sys.argv) > 2 else processes(2)
    with pool as executor:
        found = explore(
            Space(rows=range(1, 7), cols=range(1, 5)), network("lenet5-bn"),
            ("area_um2", "cycles"), 1, executor, Store(Path(sys.argv[1]) / "store"),
        )
    for point in found.front:
        print(point.row)
'''


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def start(folder, *words):
    path = folder / "script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, str(path), str(folder), *words]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)


def stored(folder):
    """(rows, cols) of the whole files of the store."""
    designs = [json.loads(p.read_text())["design"] for p in folder.glob("store/points/*.json")]
    return {(design["rows"], design["cols"]) for design in designs}


def made(folder):
    text = (folder / "made.log").read_text() if (folder / "made.log").exists() else ""
    return [tuple(map(int, line.split())) for line in text.splitlines()]


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    first = start(tmp_path)
    wait_for(lambda: len(stored(tmp_path)) >= 5)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    before = stored(tmp_path)
    time.sleep(1.0)
    done = made(tmp_path)
    time.sleep(1.0)
    assert made(tmp_path) == done and 5 <= len(before) < 24
    answer, _ = start(tmp_path).communicate(timeout=120)
    again = made(tmp_path)[len(done) :]
    assert before.isdisjoint(again) and len(set(again)) == len(again)
    assert stored(tmp_path) == {(rows, cols) for rows in range(1, 7) for cols in range(1, 5)}
    (tmp_path / "other").mkdir()
    assert start(tmp_path / "other").communicate(timeout=120)[0] == answer != ""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
def test_dask_workers_measure_and_one_of_them_may_die(tmp_path):
    address = tmp_path / "scheduler.json"
    options = ["--scheduler-file", str(address)]
    program = [sys.executable, "-m", "distributed.cli"]
    quiet = {"env": environment(), "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    place = ["--port", "0", "--no-dashboard", "--host", "127.0.0.1"]
    running = [
        subprocess.Popen(
            [*program[:2], "distributed.cli.dask_scheduler", *options, *place], **quiet
        )
    ]
    try:
        wait_for(address.exists)
        worker = [*program[:2], "distributed.cli.dask_worker", *options, "--nthreads", "1"]
        worker += ["--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path)]
        running += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        main = start(tmp_path, json.loads(address.read_text())["address"])
        wait_for(lambda: len(stored(tmp_path)) >= 4)
        running[1].kill()
        answer, _ = main.communicate(timeout=120)
        assert main.returncode == 0 and "area_um2" in answer
        assert len(stored(tmp_path)) == 24
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "127.0.0.1:9", "no.such.host.invalid:87"])
def test_a_scheduler_that_does_not_answer_is_named(address):
    message = f"scheduler {re.escape(address)} does not answer within"
    with pytest.raises(ToolError, match=message), scheduler(address, patience=0.5):
        pass


@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
@pytest.mark.parametrize("address", ["garbage", "tcp://host", "tcp://host:port"])
def test_what_is_no_address_of_a_scheduler_is_refused(address):
    with pytest.raises(ValueError, match="scheduler must be an address such as"):
        scheduler(address).__enter__()
