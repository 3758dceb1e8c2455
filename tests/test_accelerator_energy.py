"""The energy of a small accelerator: what the netlist does is what its Verilog did, and what is
counted adds up."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from adderforge.accelerator_energy import (
    COUNTED,
    choose_windows,
    map_accelerator,
    record_images,
    run_batches,
    summarize,
)
from adderforge.cli import main
from adderforge.compare_accelerator import ACTIVITY, FILES, accelerator
from adderforge.contenders import Contender, Effort, Flow
from adderforge.energy_chart import bars_of, draw_chart
from adderforge.up5k_energy import measure_up5k
from hw.accelerator_config import AcceleratorConfig
from hw.allocation import sized
from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.delays import Surroundings
from hw.liberty import read_library
from hw.netlist import read_netlist
from hw.program import compile_model
from hw.recording import load
from hw.up5k import CLOCKED_PJ, base_mw
from sim.accelerator_gates import run_windows
from sim.blocks import CONTROL, FOLDS, PES, PORTS, SKEW, TOP_LEVEL, accelerator_block
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"
LAYERS = [{"out_channels": 3, "kernel": (2, 2), "pool": (2, 2)}, {"out_channels": 2}]
IMAGES, BATCHES, MHZ = 2, 2, 50.0
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")


def small_program(target="generic"):
    model = generated_model("adder", (2, 5, 5), [*LAYERS[:1], LAYERS[1] | {"kernel": (2, 2)}], 4)
    sizes = {"width": 4, "rows": 2, "cols": 2, "depth": 64, "target": target}
    array = ArrayConfig(dataflow="weight-stationary", **sizes)
    config = AcceleratorConfig(array=array)
    return model, compile_model(model, sized(model, config))


def binary_program():
    model = generated_model("xnor", (2, 5, 5), [*LAYERS[:1], LAYERS[1] | {"kernel": (2, 2)}], 2)
    sizes = {"width": 1, "rows": 2, "cols": 2, "lanes": 2, "depth": 64, "target": "ice40"}
    array = ArrayConfig(pe="xnor", dataflow="weight-stationary", **sizes)
    return model, compile_model(model, sized(model, AcceleratorConfig(array=array, map_width=2)))


def test_windows_are_one_in_each_of_equal_parts_of_a_batch():
    _, program = small_program()
    batches = choose_windows(program, BATCHES, 20, 640)
    assert [len(windows) for windows in batches] == [20, 20]
    for batch, windows in enumerate(batches):
        first = program.cycles + batch * 20 * program.interval
        for place, window in enumerate(windows):
            assert first + place * program.interval < window.start
            assert window.stop <= first + (place + 1) * program.interval
            assert len(window) == 1 + COUNTED


def test_there_are_no_more_windows_than_a_batch_has_room_for():
    _, program = small_program()
    [windows] = choose_windows(program, 1, 2, 10**9)
    assert len(windows) == 2 * program.interval // (COUNTED + 2)
    ends = [window.stop for window in windows]
    assert all(window.start >= end for window, end in zip(windows[1:], ends[:-1], strict=True))


@pytest.mark.parametrize(
    ("name", "block"),
    [
        (r"$flatten\array.\pe_1_0.$abc$2$auto$3", PES),
        ("array.pe_1_0.full_adder_0_1.cell", PES),
        (r"$flatten\array.\folds$220.$abc$2$auto$3", FOLDS),
        (r"$flatten\array.$auto$ff.cc:337:slice$7", SKEW),
        (r"$flatten\sequencer.\loops.$abc$2$auto$3", CONTROL),
        (r"$flatten\row_walk.$abc$2$auto$3", CONTROL),
        (r"$flatten\write_loops.$abc$2$auto$3", CONTROL),
        (r"$flatten\constants$144.$abc$2$auto$3", PORTS),
        (r"$flatten\requantizer.$abc$2$auto$3", "requantizer"),
        ("$abc$2$blif$3", TOP_LEVEL),
    ],
)
def test_a_cell_is_of_the_block_of_its_module(name, block):
    assert accelerator_block(name) == block


@pytest.mark.slow
@needs_compiler
def test_a_small_accelerators_energy_adds_up(tmp_path):
    model, program = small_program()
    design = map_accelerator(program, BUILT_IN_LIBRARY, None, Surroundings())
    codes, said = generated_codes(model, BATCHES * IMAGES), []
    windows = choose_windows(program, BATCHES, IMAGES, 320)
    found = record_images(design, codes, windows, tmp_path)
    options = {"clock_mhz": MHZ, "activity": "gate-delay"}
    runs = run_batches(design, found, windows, update=lambda *words: said.append(words), **options)
    run = summarize(design, runs, found.accesses, len(codes), MHZ, None)
    assert run.recording.mismatches == 0 and run.energy.cycles >= 320
    assert said[-1][1] == said[-1][2]
    check_sums(run.figures(), program)
    check_accesses({memory.name: memory for memory in run.memories}, program)
    check_faults(design, found)
    draw_chart(run, tmp_path / "energy.png")
    assert (tmp_path / "energy.png").stat().st_size > 10_000
    assert sum(sum(bar.values()) for bar in bars_of(run).values()) == pytest.approx(
        run.uj(run.energy.pj_per_op)
    )


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("made", [lambda: small_program(target="ice40"), lambda: binary_program()])
def test_in_a_up5k_it_adds_up_too(tmp_path, made):
    model, program = made()
    run = measure_up5k(
        program,
        generated_codes(model, BATCHES * IMAGES),
        Effort(images=IMAGES, batches=BATCHES, cycles=320),
        spram=True,
        activity="gate-delay",
        folder=tmp_path,
        update=lambda *_: None,
    )
    assert run.recording.mismatches == 0 < run.recording.compared
    found = run.figures(12.0, pll=False)
    parts = ("base_uj", "clock_pins_uj", "transitions_uj")
    whole = sum(found[name] for name in parts) + sum(found["memories_uj"].values())
    assert found["uj_per_image"] == pytest.approx(whole)
    assert found["power_mw"] == pytest.approx(whole * 12e3 / program.interval)
    flip_flops = sum(n for kind, n in found["synthesis"]["cells"].items() if "DFF" in kind)
    assert flip_flops == found["synthesis"]["flip_flops"] > 0
    assert run.logic.clock == pytest.approx(flip_flops * CLOCKED_PJ)
    assert 0 < run.zero_delay.transitions < run.logic.transitions
    logic_uj = found["clock_pins_uj"] + found["transitions_uj"]
    assert sum(run.batches) / BATCHES == pytest.approx(logic_uj)
    faster = run.figures(24.0, pll=True)
    assert faster["transitions_uj"] == found["transitions_uj"]
    assert faster["base_uj"] == pytest.approx(base_mw(24.0, True) / 24e3 * program.interval)


@pytest.mark.slow
@needs_compiler
def test_a_comparison_measures_it_too_and_keeps_what_the_figures_came_from(tmp_path):
    model, program = small_program()
    codes = generated_codes(model, BATCHES * IMAGES)
    config = program.config.array
    one = Contender(model=model, config=config, layers=(), codes=codes, batches=(), program=program)
    effort = Effort(images=IMAGES, batches=BATCHES, cycles=320)
    place = tmp_path / "accelerator"
    figures = accelerator(one, "none", Flow(), place, effort, lambda *_: None)
    check_sums(figures, program)
    assert figures["compared"] > 0 == figures["mismatches"]
    assert all((place / name).stat().st_size > 100 for name in FILES)
    netlist = read_netlist(place / "netlist.json", read_library(BUILT_IN_LIBRARY))
    assert load(place / ACTIVITY, netlist).activity.cycles == figures["cycles"]


def check_sums(figures, program):
    for name in ("parts", "blocks"):
        assert sum(figures[name].values()) == pytest.approx(figures["pj_per_op"])
    assert {PES, "requantizer", "pooling", CONTROL, PORTS, SKEW} < figures["blocks"].keys()
    of_memories = 1e6 * sum(memory["uj"] for memory in figures["memories"])
    assert figures["parts"]["memories"] * program.useful_terms == pytest.approx(of_memories)
    assert figures["blocks"]["memories"] == figures["parts"]["memories"]
    assert sum(figures["areas_um2"].values()) == pytest.approx(figures["area_um2"], rel=1e-6)
    assert figures["areas_um2"][PES] == pytest.approx(4 * figures["pe_area_um2"])
    assert 0 < figures["glitch_share"] < 0.5
    assert figures["parts"]["memories"] < figures["zero_delay_pj_per_op"] < figures["pj_per_op"]
    assert min(figures["batches"]) <= figures["pj_per_op"] <= max(figures["batches"])
    per_image = figures["pj_per_inference"]
    assert figures["pj_per_op"] * program.useful_terms == pytest.approx(per_image)
    milliwatts = 1e-3 * per_image * figures["clock_mhz"] / program.interval  # pJ · MHz = µW
    assert figures["power_mw"] == pytest.approx(milliwatts, rel=5e-3)  # operations are whole


def check_accesses(memories, program):
    """What follows from the layers. A read may be of the same address as the one before, and a
    layer's first constants may be read again."""
    assert all(memory.fresh <= memory.reads <= program.interval for memory in memories.values())
    assert memories["weights.memory"].fresh == len(program.weights)
    tiles = sum(layer.tiles for layer in program.layers)
    assert tiles <= memories["constants.memory"].fresh <= tiles + len(program.layers)
    assert memories["sequencer.layers"].fresh == len(program.layers)
    folds, activations = memories["array.folds.memory"], memories["activations.memory"]
    turns = sum(layer.positions * layer.tiles * layer.folds for layer in program.layers)
    assert folds.bits_written == turns * folds.width
    part = program.config.array.cols * program.config.map_width
    [stored] = [layer.target for layer in program.layers if layer.target]
    parts = program.image.words * program.config.parts
    assert activations.bits_written > parts * part
    assert stored.words * activations.width <= activations.bits_written - parts * part


def check_faults(design, found):
    """A flip-flop that starts otherwise is seen, and a bit that a memory gives otherwise."""
    options = {"operations": 1, "activity": "zero-delay"}
    [port] = [name for name in found.places if name.startswith("array.folds") and "RD_D" in name]
    for place in (found.states[0], found.places[port].start):
        bits = found.bits.copy()
        bits[0, 0, place] ^= 1
        recording = run_windows(
            design.netlist, design.delays, replace(found, bits=bits), slice(0, 1), **options
        )
        assert recording.compared > 1000
        assert recording.mismatches > 0, place


def refused(tmp_path, monkeypatch, *words):
    monkeypatch.chdir(tmp_path)
    vectors = ("--vectors", FIXTURES / "digits-vectors.npz")
    words = ("energy", "--model", ADDER, "--depth", 400, *vectors, *words)
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 1, result.output
    [line] = result.stderr.splitlines()
    assert not Path("runs").exists()
    return line.removeprefix("adderforge: error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--accelerator", "--layer", "conv1"), "layer must be left out with --accelerator; it"),
        (("--accelerator", "--save-activity"), "save_activity must be left out with --acc"),
        (("--accelerator", "--cycles", 0), "cycles must be positive, not 0"),
        (
            ("--accelerator", "--memory-pj-per-bit", -1),
            "pj_per_bit must be finite, at least 0, not -",
        ),
        (("--accelerator", "--batches", 99), "99 batches of 2 images need 198, but there are 16"),
        (("--accelerator", "--pe", "square"), "pe of an accelerator must be one of complement, "),
        (("--weight-words", 8), "weight_words must be left out for an array; add --accelerator"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, message, tmp_path, monkeypatch):
    assert message in refused(tmp_path, monkeypatch, *words)
