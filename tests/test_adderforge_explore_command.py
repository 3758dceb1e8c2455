"""adderforge explore: its files, and one clear line for what is refused."""

import csv
import errno
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.exploration.design import Design, DesignPoint
from adderforge.exploration.effort import Effort
from adderforge.exploration.levels import measure
from adderforge.exploration.objectives import checked
from adderforge.exploration.page import front_table
from adderforge.exploration.space import Space
from adderforge.exploration.store import Store
from adderforge.exploration.task import Task
from adderforge.exploration.workloads import network
from hw.tools import ToolError, failed

FIXTURES = Path(__file__).parent.parent / "fixtures"
SPACE = """
objectives = ["cycles", "utilization"]
[workload]
network = "lenet5-bn"
[space]
pe = ["complement", "mac"]
rows = [2, 4]
lanes = {from = 1, to = 4, times = 2}
dataflow = ["output-stationary", "weight-stationary"]
"""


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ADDERFORGE_DATA", raising=False)


def call(text, *words):
    Path("space.toml").write_text(text)
    store = () if "--store" in words else ("--store", "store")
    words = ("explore", "--space", "space.toml", *store, *words)
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(text, *words):
    result = call(text, "--out", "out", *words)
    assert result.exit_code == 1 and not Path("out").exists()
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("adderforge: error: ")
    return lines[0].removeprefix("adderforge: error: ")


def test_a_page_a_picture_and_tables_are_written():
    result = call(SPACE, "--out", "out")
    assert result.exit_code == 0, result.output
    assert "24 designs" in result.stdout and Path("out/explore.html").as_posix() in result.stdout
    report = json.loads(Path("out/explore.json").read_text())
    assert report["designs"] == 24 and len(report["front"][0]["layers"]) == 5
    with open("out/explore.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    best = min(int(row["cycles"]) for row in rows)
    assert report["front"][0]["objectives"]["cycles"] == best
    assert Path("out/explore.png").read_bytes().startswith(b"\x89PNG")
    assert "out/explore.png" not in Path("out/explore.md").read_text()


@pytest.mark.slow
def test_accelerators_are_named_with_the_command_that_makes_them_again():
    text = f"""
objectives = ["memory_kbits", "cycles", "block_rams"]
[workload]
model = "{FIXTURES / "lenet5-bn-digits-adder.npz"}"
accelerator = true
[space]
rows = [2, 4]
cols = 2
external = ["none", "maps"]
activation_words = [256, 4096]
[effort]
target = "ecp5"
"""
    result = call(text, "--out", "out")
    assert result.exit_code == 0, result.output
    report = json.loads(Path("out/explore.json").read_text())
    first = report["front"][0]
    external = "--external maps --external-width 64"
    assert first["build"].startswith("adderforge ip --model /") and external in first["build"]
    page = Path("out/explore.html").read_text()
    assert "commands that build a design are to be run in the folder of this page" in page
    assert Path("out", re.search("--config ([^ ]*)", first["build"])[1]).exists()
    sizes = r"--activation-words \d+ --weight-words 512 --constant-words \d+$"
    assert re.search(sizes, first["build"])
    assert [layer["layer"] for layer in first["layers"]] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert 0 < sum(layer["cycles"] for layer in first["layers"]) < first["figures"]["cycles"]
    assert report["failed"]
    assert all("set activation_words to at least" in row["failure"] for row in report["failed"])


def test_a_parameter_that_is_0_is_shown_and_one_that_is_left_open_is_not():
    space = Space(pipeline=[0, 1], pe="mac", multiplier=[None, "rows"])
    points = [DesignPoint(design=design, figures={"cycles": 5}) for design in space.designs()]
    found = SimpleNamespace(front=points, objectives=checked(["cycles"]))
    headings, rows = front_table(found)
    assert headings == ["pipeline", "multiplier", "cycles"]
    assert rows[0] == ["0", "–", "5"] and rows[-1] == ["1", "rows", "5"]


@pytest.mark.slow
def test_the_page_needs_no_network_and_names_the_command_of_a_point():
    call(SPACE, "--out", "out")
    page = Path("out/explore.html").read_text()
    assert "<title>cycles: " in page and not re.search('(src|href)="http', page)
    report = json.loads(Path("out/explore.json").read_text())
    command = report["front"][0]["build"]
    assert command in page
    config = command.split("--config ")[1].split()[0]
    shown = CliRunner().invoke(main, ["verilog", "--config", f"out/{config}"])
    assert shown.exit_code == 0 and "module" in shown.stdout


@pytest.mark.slow
def test_json_is_what_the_file_holds():
    result = call(SPACE, "--out", "out", "--json")
    assert json.loads(result.stdout) == json.loads(Path("out/explore.json").read_text())


@pytest.mark.slow
@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet_holds_what_csv_does():
    from pyarrow import parquet

    assert call(SPACE, "--out", "out", "--parquet").exit_code == 0
    table = parquet.read_table("out/explore.parquet").to_pylist()
    with open("out/explore.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [str(row["cycles"]) for row in table] == [row["cycles"] for row in rows]
    assert [row["pe"] for row in table] == [row["pe"] for row in rows]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        (SPACE.split("[space]")[0] + "[space]", (), "space.toml: a space must have at least one"),
        (
            SPACE + 'constraints = ["rows > 2", "lanes > 4"]',
            (),
            "constraint 'lanes > 4' leaves none of 24 designs; loosen it",
        ),
        (
            SPACE + 'constraints = ["rows % (lanes - 1) == 0"]',
            (),
            "constraint 'rows % (lanes - 1) == 0' must hold or not for every design, but of",
        ),
        (SPACE + "constraints = 5", (), "space.toml: constraints must be in a list, not 5"),
        (
            SPACE,
            ("--objective", "speed"),
            "objective must be one of cycles, utilization, memory_kbits",
        ),
        (SPACE, ("--fidelity", 7), "fidelity must be 0 to 4, not 7"),
        (SPACE, ("--target", "pal"), "space.toml: target must be one of ice40, ecp5, xilinx7"),
        (SPACE, ("--processes", 0), "processes must be at least 1, not 0"),
        (SPACE, ("--trials", 0), "space.toml: trials must be at least 1, not 0"),
        (SPACE, ("--seed", -1), "space.toml: seed must be 0 to 4294967295, not -1"),
        (
            SPACE,
            ("--processes", 1, "--scheduler", "tcp://127.0.0.1:9"),
            "processes must be left out with --scheduler, whose workers measure",
        ),
        (
            SPACE + '[effort]\nliberty = "cells.lib"',
            ("--target", "ecp5"),
            "space.toml: liberty must be left out for target 'ecp5'; it is of asic alone",
        ),
        ("[space", (), "space.toml: not a TOML file"),
        (
            SPACE.replace('network = "lenet5-bn"', 'model = "none.npz"'),
            (),
            "none.npz: no such file",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(text, words, message):
    assert refused(text, *words).startswith(message)


def test_it_is_an_error_when_every_design_fails(monkeypatch):
    here = nullcontext(ThreadPoolExecutor(1))
    monkeypatch.setattr("adderforge.commands.explore._workers", lambda *others: here)
    text = SPACE.replace('["complement", "mac"]', '"mac"\nmultiplier = "dsp"')
    result = call(text, "--out", "out", "--fidelity", 1)
    assert result.exit_code == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith("adderforge: error: none of 12 designs could be measured; the first (--")
    assert (
        "): multiplier of a mac PE on asic must be one of" in line and "12 failed" in result.stdout
    )
    assert Path("out/explore.html").exists()


def test_no_failure_leaves_an_empty_folder(monkeypatch):
    def broken(**others):
        raise KeyError("nobody foresaw it")

    monkeypatch.setattr("adderforge.exploration.explore.explore", broken)
    assert isinstance(call(SPACE, "--out", "out").exception, KeyError)
    assert not Path("out").exists()


def test_a_store_of_another_version_is_refused():
    Store("old")
    Path("old/store.json").write_text('{"format": "adderforge-store", "version": 0}')
    assert refused(SPACE, "--store", "old").startswith("old: version of the store must be 1")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("distributed") is None, reason="distributed is not installed")
def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    monkeypatch.setattr("adderforge.exploration.executors.PATIENCE", 0.5)
    message = refused(SPACE, "--scheduler", "tcp://127.0.0.1:9")
    assert message.startswith("scheduler tcp://127.0.0.1:9 does not answer within 0.5 s")


def test_a_full_disk_is_one_line(monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("adderforge.exploration.store.write_whole", full)
    assert refused(SPACE).endswith(
        "No space left on device; make room and run it again (no file is left half-written)"
    )


def real(*words):
    """What exploring two 1 × 1 arrays by real measurements gives."""
    models = f'models = {{adder = "{FIXTURES / "lenet5-bn-digits-adder.npz"}"}}'
    text = SPACE.replace("rows = [2, 4]", "rows = 1\ncols = [1, 2]").replace(
        "lanes = {from = 1, to = 4, times = 2}", "width = 8"
    )
    text = text.replace('pe = ["complement", "mac"]', 'pe = "complement"')
    text = text.replace('["output-stationary", "weight-stationary"]', '"output-stationary"')
    text = text.replace("[space]", f"{models}\n[space]")
    text += "[effort]\nimages = 1\ncycles = 200\ntest_images = 40\n"
    result = call(text, "--out", "out", "--processes", 1, *words)
    assert result.exit_code == 0, result.output
    return json.loads(Path("out/explore.json").read_text())


@pytest.mark.slow
def test_every_level_measures_what_the_commands_do():
    goals = ("area_um2", "microseconds", "pj_per_op", "accuracy")
    report = real("--fidelity", 4, *(w for goal in goals for w in ("--objective", goal)))
    assert report["measured"] == {
        "synthesis": 2,
        "clock rate": 2,
        "energy": 2,
        "accuracy": 2,
    }
    entry = report["front"][0]
    assert entry["guessed"] == {} and entry["figures"]["accuracy"] > 0.9
    assert 0.5 < entry["figures"]["pj_per_op"] < 20
    words = [*entry["build"].split()[1:], "--json", "--out", "built"]
    words[words.index("--config") + 1] = "out/" + words[words.index("--config") + 1]
    built = json.loads(CliRunner().invoke(main, words).stdout)
    assert built["area_um2"] == entry["figures"]["area_um2"]


@pytest.mark.slow
def test_an_fpga_is_synthesized_with_its_own_pes():
    report = real("--fidelity", 1, "--target", "ecp5", "--objective", "luts")
    entry = report["front"][0]
    assert entry["design"]["target"] == "ecp5" and 20 < entry["figures"]["luts"] < 60


def failing(monkeypatch, error):
    """What measuring gives when synthesis leaves a log and raises."""

    def broken(config, target, folder, *others):
        folder.mkdir(parents=True)
        (folder / "synth.log").write_text("reading\nERROR: no such cell\n")
        raise error or failed("yosys failed", folder / "synth.log")

    monkeypatch.setattr("adderforge.exploration.levels.synthesize", broken)
    design = Design.of({"rows": 1, "target": "ecp5"})
    workload, effort = network("lenet5-bn"), Effort(target="ecp5")
    return measure(Task(level=1, design=design, workload=workload, effort=effort))


def test_a_tool_that_fails_leaves_its_reason_and_log(monkeypatch):
    made = failing(monkeypatch, None)
    assert made.status == "failed" and "ERROR: no such cell" in made.log
    assert made.reason == "yosys failed: ERROR: no such cell; see design/synth.log"


def test_an_error_that_nobody_foresaw_is_data_as_well(monkeypatch):
    made = failing(monkeypatch, KeyError("net"))
    assert made.reason == "KeyError: 'net'" and "Traceback" in made.log


def test_a_disk_that_is_full_for_a_tool_is_no_failure_of_the_design(monkeypatch):
    for error in (ToolError("no space left on the disk"), OSError(errno.ENOSPC, "full")):
        with pytest.raises(OSError) as raised:
            failing(monkeypatch, error)
        assert raised.value.errno == errno.ENOSPC
        monkeypatch.undo()
