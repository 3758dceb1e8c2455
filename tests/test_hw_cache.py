import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hw import cache
from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.memory import memory_energy
from hw.synth import SynthReport
from hw.tools import ToolError, cache_folder

CONFIG = ArrayConfig(rows=2, cols=3, depth=64)
REPORT = SynthReport(target="asic", pe="complement", multiplier="none", cells={}, tools={})


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The configurations that were synthesized, by something that only leaves files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def synthesize(config, target, folder, liberty, clock_mhz, multiplier, progress):
        calls.append((config, multiplier, clock_mhz))
        folder.mkdir(parents=True)
        for name in cache._KEPT:
            (folder / name).write_text(f"{name} {len(calls)}")
        (folder / "cells.lib").write_text("large")
        return replace(REPORT, multiplier=multiplier or "best")

    monkeypatch.setattr(cache, "synthesize_best", synthesize)
    return calls


def test_what_was_mapped_is_not_mapped_again(made):
    first, path = cache.mapped(CONFIG)
    assert cache.mapped(CONFIG) == (first, path) and len(made) == 1
    assert first.multiplier == "best" and path.read_text() == "netlist.json 1"
    assert not (path.parent / "cells.lib").exists()


def test_another_configuration_multiplier_clock_or_library_is_mapped_anew(made, tmp_path):
    other = tmp_path / "other.lib"
    other.write_text(BUILT_IN_LIBRARY.read_text() + "/* a comment */")
    paths = {
        cache.mapped(CONFIG)[1],
        cache.mapped(CONFIG.twin("min"))[1],
        cache.mapped(CONFIG, multiplier="booth")[1],
        cache.mapped(CONFIG, other)[1],
        cache.mapped(CONFIG, (BUILT_IN_LIBRARY, other))[1],
        cache.mapped(CONFIG, clock_mhz=200.0)[1],
    }
    assert len(paths) == len(made) == 6 and made[-1] == (CONFIG, None, 200.0)


def test_an_interrupted_run_leaves_nothing_in_the_cache(made, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "synthesize_best", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.mapped(CONFIG)
    assert list((cache_folder() / "netlists").iterdir()) == []
    assert cache.mapped(CONFIG)[1].exists()


def test_a_cache_that_cannot_be_made_is_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolError, match=r"file/adderforge: the cache cannot be made, not a direct"):
        cache_folder()


def test_what_failed_stays_where_the_error_says(made, monkeypatch):
    def failing(config, target, folder, *_, **__):
        folder.mkdir(parents=True)
        (folder / "synth.log").write_text("ERROR: of a tool")
        raise ToolError(f"yosys failed; see {folder}/synth.log")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "synthesize_best", failing)
        for _ in range(2):
            with pytest.raises(ToolError) as error:
                cache.mapped(CONFIG)
    log = Path(str(error.value).removeprefix("yosys failed; see "))
    assert log.read_text() == "ERROR: of a tool"
    assert [folder.name[:7] for folder in log.parent.parent.iterdir()] == ["failed-"]
    assert cache.mapped(CONFIG)[1].exists()


MAPPING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from hw.cache import mapped
from hw.config import ArrayConfig
mapped(ArrayConfig(width=2, rows=1, cols=1, depth=4))
"""


@pytest.mark.slow
@pytest.mark.parametrize("group", [True, False], ids=["ctrl-c", "process alone"])
def test_an_interrupt_while_a_tool_maps_leaves_the_cache_whole(tmp_path, group):
    """Ctrl-C goes to the tool as well, a signal from elsewhere to one process alone."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    tools = os.environ.get("YOWASP_CACHE_DIR") or str(own / "YoWASP")  # they are compiled once
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "YOWASP_CACHE_DIR": tools}
    netlists = tmp_path / "adderforge" / "netlists"
    command = [sys.executable, "-c", MAPPING]
    deadline = time.monotonic() + 300
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(netlists.glob("*/work/candidates/*/synth.ys")):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail("no tool was started")
            time.sleep(0.02)
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert list(netlists.iterdir()) == []


def test_an_entry_that_another_process_made_meanwhile_is_taken(made, monkeypatch):
    again = cache.synthesize_best

    def slower(*arguments, **others):
        with monkeypatch.context() as patch:
            patch.setattr(cache, "synthesize_best", again)
            cache.mapped(CONFIG)
        return again(*arguments, **others)

    monkeypatch.setattr(cache, "synthesize_best", slower)
    _, path = cache.mapped(CONFIG)
    assert path.read_text() == "netlist.json 1" and len(made) == 2
    assert [entry.name for entry in path.parent.parent.iterdir()] == [path.parent.name]
    assert json.loads((path.parent / "report.json").read_text())["pe"] == "complement"


def test_memories_cost_each_bit_that_enters_or_leaves_the_array():
    """5 × 7 × 4 on 2 × 3: tiles of 3 × 2, of 7 cycles with 5 operands of 8 bits, and 6 sums."""
    report = memory_energy([(5, 7, 4)], CONFIG, 0.5)
    bits = 3 * 2 * (7 * (2 + 3) * 8 + 6 * 14)
    assert report.bits_per_op == pytest.approx(bits / (5 * 7 * 4))
    assert report.pj_per_op == pytest.approx(bits / (5 * 7 * 4) / 2)
    assert report.source == "given"


def test_an_array_whose_weights_stay_reads_them_once_a_pass():
    """5 × 7 × 4 on 2 × 3, at most 4 outputs a block: 2 tiles of filters, 2 blocks, 4 folds."""
    values = CONFIG.model_dump() | {"dataflow": "weight-stationary", "positions": 4}
    report = memory_energy([(5, 7, 4)], ArrayConfig(**values), 0.5)
    bits = 2 * 4 * (2 * 2 * 3 * 8 + 5 * 2 * 8) + 2 * 5 * 3 * 14
    assert report.bits_per_op == pytest.approx(bits / (5 * 7 * 4))


def test_without_a_figure_memories_cost_what_the_stated_table_says():
    report = memory_energy([(5, 7, 4)], CONFIG)
    assert report.pj_per_bit == 10 / 64 and "Horowitz" in report.source


def test_a_negative_figure_is_refused():
    with pytest.raises(ValueError, match=r"^pj_per_bit must be finite, at least 0, not -1$"):
        memory_energy([(5, 7, 4)], CONFIG, -1)
