"""The accelerator's Verilog on Verilator against the integer reference."""

from pathlib import Path

import numpy as np
import pytest

from golden import reference
from golden.model_file import load
from hw.accelerator_config import AcceleratorConfig
from hw.accelerator_verilog import accelerator_verilog
from hw.allocation import sized
from hw.config import ArrayConfig
from hw.program import compile_model
from sim.accelerator_check import compare
from sim.accelerator_explain import first_fault, write_cycle
from sim.accelerator_run import run_images
from sim.accelerator_waves import AFTER, BEFORE, PERIOD, write_waves
from sim.generated_models import generated_codes, generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"

RESIDUAL = [
    {"kind": "mac", "out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1)},
    {"out_channels": 5, "kernel": (3, 3), "padding": (1, 1), "residual": "layer0"},
    {"out_channels": 9, "kernel": (3, 3), "padding": (1, 1), "stride": (2, 2)},
    {"out_channels": 9, "kernel": (3, 3), "padding": (1, 1)},
    {
        **{"out_channels": 9, "source": "layer2", "stride": (2, 2)},
        **{"residual": "layer4", "mean": (3, 2)},
    },
    {"kind": "mac", "out_channels": 3},
]


def program_of(model, pe, rows, cols, lanes, depth=2**22, pipeline=0):
    array = ArrayConfig(
        pe=pe,
        width=1 if pe == "xnor" else 8,
        rows=rows,
        cols=cols,
        lanes=lanes,
        depth=depth,
        pipeline=pipeline,
        dataflow="weight-stationary",
    )
    return compile_model(model, sized(model, AcceleratorConfig(array=array, map_width=8)))


def small_program(kind="adder", pe="complement", lanes=2, pipeline=0):
    model = generated_model(kind, (3, 6, 4), RESIDUAL)
    return model, program_of(model, pe, 2, 2, lanes, pipeline=pipeline)


def check(model, program, codes, folder, processes=1):
    comparison = compare(model, codes, run_images(program, codes, folder, processes))
    assert comparison.passed, comparison
    assert comparison.images == len(codes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "pe", "lanes"), [("adder", "complement", 2), ("mac", "mac", 2), ("xnor", "xnor", 4)]
)
def test_a_residual_networks_verilog_gives_every_code_in_the_predicted_cycles(
    kind, pe, lanes, tmp_path
):
    model, program = small_program(kind, pe, lanes)
    check(model, program, generated_codes(model, 5), tmp_path, processes=2)


@pytest.mark.slow
@pytest.mark.parametrize(("pe", "name"), [("complement", "adder"), ("mac", "cnn")])
def test_lenets_verilog_gives_every_code_in_the_predicted_cycles(pe, name, tmp_path):
    model = load(FIXTURES / f"lenet5-bn-digits-{name}.npz")
    images = np.load(FIXTURES / "digits-vectors.npz")["images"]
    program = program_of(model, pe, 4, 4, 4, depth=400)
    check(model, program, reference.encode(model, images), tmp_path)


def with_fault(verilog, pe, port, change):
    """The Verilog with a change of what comes into a port of one PE."""
    head, instance = verilog.split(f"adderforge_pe pe_{pe} (", 1)
    before, rest = instance.split(f".{port}(", 1)
    value, after = rest.split(")", 1)
    return f"{head}adderforge_pe pe_{pe} ({before}.{port}({change.format(value)}){after}"


@pytest.mark.slow
def test_a_fault_is_traced_to_its_pe_term_and_cycle(tmp_path):
    model, program = small_program()
    codes = generated_codes(model, 3)
    verilog = with_fault(accelerator_verilog(program), "1_0", "a", "{} & 16'hffdf")
    comparison = compare(model, codes, run_images(program, codes, tmp_path, verilog=verilog))
    assert not comparison.passed and comparison.wrong_codes and comparison.wrong_cycles == 0
    first = comparison.first
    assert (first.image, first.layer) == (0, "layer0")
    fault = first_fault(program, codes[0], first.layer, tmp_path / "traced", verilog)
    [(channel, (activation, weight), (wanted, wanted_weight))] = fault.terms
    assert (fault.row, fault.column, channel) == (1, 0, 2)
    assert (activation, weight) == (wanted & 0xDF, wanted_weight) and wanted & 0x20
    assert abs(fault.sums[0] - fault.sums[1]) == 0x20
    assert program.start(0) < fault.cycle < program.start(1)


def values_at(vcd, name, time):
    """What a VCD file says of a signal by its full name; the last value at or before the time."""
    scopes, codes, now, value = [], {}, 0, None
    for line in vcd.splitlines():
        words = line.split()
        if words[:1] == ["$scope"]:
            scopes.append(words[2])
        elif words[:1] == ["$upscope"]:
            scopes.pop()
        elif words[:1] == ["$var"]:
            codes[".".join([*scopes, words[4]])] = words[3]
        elif line.startswith("#"):
            now = int(line[1:])
        elif line.startswith("b") and words[1] == codes[name] and now <= time:
            value = int(words[0][1:], 2)
    return value


@pytest.mark.slow
def test_waves_around_a_fault_show_what_the_pe_took(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.accelerator_run.has_fst_headers", lambda: False)
    _, program = small_program()
    codes = generated_codes(small_program()[0], 1)[0]
    verilog = with_fault(accelerator_verilog(program), "1_0", "a", "{} & 16'hffdf")
    fault = first_fault(program, codes, "layer0", tmp_path, verilog)
    saved = write_waves(program, codes, fault.cycle, tmp_path, verilog, (fault.row, fault.column))
    vcd, time = (tmp_path / "waves.vcd").read_text(), (fault.cycle - 1) * PERIOD
    [(channel, (activation, weight), _)] = fault.terms
    lane = 8 * (channel % 2)
    for name, operand in (("a", activation), ("weights", weight)):
        assert values_at(vcd, f"TOP.bench.dut.array.pe_1_0.{name}", time) >> lane & 255 == operand
    times = [int(line[1:]) for line in vcd.splitlines() if line.startswith("#")]
    assert time - PERIOD * BEFORE <= times[0] and times[-1] < time + PERIOD * AFTER
    assert f"*-6.0 {time} " in saved.read_text()


@pytest.mark.slow
def test_the_cycle_of_a_wrong_codes_last_write_is_found(tmp_path):
    model, program = small_program()
    codes = generated_codes(model, 1)
    verilog = accelerator_verilog(program).replace("probe_write_word = ", "probe_write_word = 1 ^ ")
    comparison = compare(model, codes, run_images(program, codes, tmp_path, verilog=verilog))
    cycle = write_cycle(program, codes[0], comparison.first, tmp_path, verilog)
    layer = program.layers[0]
    tile_ends = program.start(0) + layer.cycles // layer.tiles
    assert comparison.first.place == (0, 0, 0)
    assert 0 < cycle - (tile_ends - layer.positions - layer.rest) < program.config.drain


@pytest.mark.slow
def test_without_a_fault_no_pe_is_to_blame(tmp_path):
    model, program = small_program("mac", "mac", pipeline=2)
    codes = generated_codes(model, 1)
    for name in ("layer0", "layer5", "layer6"):
        assert first_fault(program, codes[0], name, tmp_path) is None
