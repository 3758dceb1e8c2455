import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hw.delays import find_delays
from hw.liberty import read_library
from hw.netlist import read_netlist
from hw.tools import ToolError
from sim import compiled, events, gates

LIBRARY = read_library(Path(__file__).parents[1] / "fixtures" / "adderforge130.lib")
PS = 1e-3
needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
needs_icarus = pytest.mark.skipif(not shutil.which("iverilog"), reason="needs Icarus Verilog")


def port(direction, *bits):
    return {"direction": direction, "bits": list(bits)}


def cell(kind, **pins):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}


def netlist_of(tmp_path, ports, **cells):
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": ports, "cells": cells}}}))
    return read_netlist(path, LIBRARY)


def column(*values):
    return np.array(values)[:, None]


def with_arcs(netlist, **arcs):
    """Delays in ps: cell_output_input=[[fall to fall, fall to rise], [rise to fall, …]], or one for
    all four; others as in the library."""
    delays = find_delays(netlist)
    given = {}
    for name, values in arcs.items():
        key = tuple(name.rsplit("_", 2))
        given[key] = np.broadcast_to(np.array(values, float) * PS, delays.arcs_ns[key].shape)
    return replace(delays, arcs_ns=delays.arcs_ns | given, input_delay_ns=1 * PS)


def hazard(tmp_path):
    """y = a & !a, one after the inverter's delay."""
    ports = {"a": port("input", 2), "y": port("output", 4)}
    inverter, gate = cell("INV_X1", A=2, Y=3), cell("AND2_X1", A=2, B=3, X=4)
    return netlist_of(tmp_path, ports, inverter=inverter, gate=gate)


def changes_of(netlist, delays, name, **inputs):
    run = events.simulate(netlist, delays, inputs)
    return run.activity.changes[netlist.outputs[name]].tolist()


@needs_compiler
@pytest.mark.parametrize(("width", "pulses"), [(10, 0), (29, 0), (30, 1), (80, 1)])
def test_a_pulse_shorter_than_the_gates_delay_is_swallowed(tmp_path, width, pulses):
    netlist = hazard(tmp_path)
    rise_after_a = [[30, 30], [30, 30]]
    arcs = {"INV_X1_Y_A": width, "AND2_X1_X_A": rise_after_a, "AND2_X1_X_B": 5}
    inputs = {"a": column(0, 1, 0, 1, 0)}
    delays = with_arcs(netlist, **arcs)
    # a rises: the AND asks for 1 at once, and for 0 when the inverter has fallen.
    assert changes_of(netlist, delays, "y", **inputs) == [[2 * pulses, 2 * pulses]]


@needs_compiler
@pytest.mark.parametrize(("after_fall", "after_rise"), [(40, 60), (60, 40), (60, 60)])
def test_the_delay_is_that_of_the_input_edge_and_of_the_output_edge(
    tmp_path, after_fall, after_rise
):
    """y = a ^ !a falls when a changes, unless the inverter is faster: its delay is 50 ps."""
    ports = {"a": port("input", 2), "y": port("output", 4)}
    inverter, gate = cell("INV_X1", A=2, Y=3), cell("XOR2_X1", A=2, B=3, X=4)
    netlist = netlist_of(tmp_path, ports, inverter=inverter, gate=gate)
    arcs = {"INV_X1_Y_A": 50, "XOR2_X1_X_A": [[after_fall, 7], [after_rise, 7]], "XOR2_X1_X_B": 9}
    delays = with_arcs(netlist, **arcs)
    for values, delay in (((0, 1), after_rise), ((1, 0), after_fall)):
        pulses = int(delay < 50)
        assert changes_of(netlist, delays, "y", a=column(*values)) == [[pulses, pulses]]


@needs_compiler
@pytest.mark.parametrize(("of_a", "of_b", "pulses"), [(40, 60, 1), (60, 40, 0)])
def test_the_delay_is_that_of_the_pin_that_changed_first(tmp_path, of_a, of_b, pulses):
    ports = {"a": port("input", 2), "b": port("input", 3), "y": port("output", 5)}
    late, gate = cell("INV_X1", A=3, Y=4), cell("XOR2_X1", A=2, B=4, X=5)
    netlist = netlist_of(tmp_path, ports, late=late, gate=gate)
    delays = with_arcs(netlist, INV_X1_Y_A=50, XOR2_X1_X_A=of_a, XOR2_X1_X_B=of_b)
    both = {"a": column(0, 1), "b": column(0, 1)}
    assert changes_of(netlist, delays, "y", **both) == [[pulses, pulses]]


@needs_compiler
def test_changes_of_one_instant_are_seen_together(tmp_path):
    ports = {"a": port("input", 2), "b": port("input", 3), "y": port("output", 6)}
    cells = {"one": cell("INV_X1", A=2, Y=4), "two": cell("INV_X1", A=3, Y=5)}
    netlist = netlist_of(tmp_path, ports, **cells, gate=cell("XOR2_X1", A=4, B=5, X=6))
    delays = with_arcs(netlist, INV_X1_Y_A=70, XOR2_X1_X_A=1, XOR2_X1_X_B=1)
    both = {"a": column(0, 1, 0, 1), "b": column(0, 1, 0, 1)}
    assert changes_of(netlist, delays, "y", **both) == [[0, 0]]


@needs_compiler
def test_every_transition_has_the_pin_that_caused_it(tmp_path):
    netlist = hazard(tmp_path)
    delays = with_arcs(netlist, INV_X1_Y_A=80, AND2_X1_X_A=30, AND2_X1_X_B=5)
    caused = events.simulate(netlist, delays, {"a": column(0, 1, 0, 1)}).activity.caused
    assert caused["AND2_X1", "X", "A"].tolist() == [[0, 2]]
    assert caused["AND2_X1", "X", "B"].tolist() == [[2, 0]]
    assert caused["INV_X1", "Y", "A"].tolist() == [[2, 1]]


GATES = {
    "INV_X1": ("A", "Y", "~{A}"),
    "NAND2_X1": ("AB", "Y", "~({A} & {B})"),
    "NOR2_X1": ("AB", "Y", "~({A} | {B})"),
    "AND2_X1": ("AB", "X", "{A} & {B}"),
    "XOR2_X1": ("AB", "X", "{A} ^ {B}"),
    "XNOR2_X1": ("AB", "Y", "~({A} ^ {B})"),
    "OR3_X1": ("ABC", "X", "{A} | {B} | {C}"),
}


def random_netlist(tmp_path, rng, inputs=6, flops=5, count=60):
    """Flip-flops behind random gates, every gate's output a port."""
    first = 3 + inputs
    nets = [*range(3, first + flops)]
    cells = {}
    for n in range(count):
        kind = rng.choice(list(GATES))
        pins = dict(zip(GATES[kind][0], rng.choice(nets, 3, replace=False).tolist(), strict=False))
        cells[f"g{n}"] = cell(kind, **pins, **{GATES[kind][1]: first + flops + n})
        nets.append(first + flops + n)
    for n in range(flops):
        cells[f"f{n}"] = cell("DFF_X1", CLK=2, D=nets[-1 - n], Q=first + n)
    ports = {"clk": port("input", 2), "d": port("input", *range(3, first))}
    return netlist_of(tmp_path, ports | {"nets": port("output", *nets[inputs:])}, **cells)


def random_delays(netlist, rng):
    """One delay up and one down for each gate, whatever the pin."""
    delays, arcs = find_delays(netlist), {}
    for some in netlist.instances.values():
        for pin in some.cell.outputs:
            of_gates = rng.integers(20, 400, (len(some.names), 1, 2)) * PS
            keys = [key for key in delays.arcs_ns if key[:2] == (some.cell.name, pin.name)]
            arcs |= {key: np.repeat(of_gates, 2, axis=1) for key in keys}
    return replace(delays, arcs_ns=arcs, input_delay_ns=137 * PS)


def settled_and_delayed(netlist, delays, inputs, **options):
    return (
        gates.simulate(netlist, inputs, **options),
        events.simulate(netlist, delays, inputs, **options),
    )


@needs_compiler
@pytest.mark.parametrize("seed", range(5))
def test_it_settles_where_the_simulation_without_delays_does(tmp_path, seed):
    rng = np.random.default_rng(seed)
    netlist = random_netlist(tmp_path, rng)
    inputs = {"d": rng.integers(0, 64, (70, 3))}
    settled, delayed = settled_and_delayed(netlist, random_delays(netlist, rng), inputs, warm_up=20)
    np.testing.assert_array_equal(settled.outputs["nets"], delayed.outputs["nets"])
    more = delayed.toggles - settled.toggles
    assert (more >= 0).all() and (more % 2 == 0).all() and more.sum() > 100
    assert delayed.cycles == settled.cycles == 50 * 3
    assert delayed.activity.kind == "gate-delay"
    of_ports = netlist.inputs["d"]
    np.testing.assert_array_equal(
        delayed.activity.changes[of_ports], settled.activity.changes[of_ports]
    )


@needs_compiler
def test_from_any_states_it_settles_where_the_simulation_without_delays_does(tmp_path):
    rng = np.random.default_rng(7)
    netlist = random_netlist(tmp_path, rng)
    flip_flops = sum(len(some.names) for some in netlist.flip_flops())
    states = rng.integers(0, 2, (flip_flops, 3))
    inputs, delays = {"d": rng.integers(0, 64, (20, 3))}, random_delays(netlist, rng)
    settled, delayed = settled_and_delayed(netlist, delays, inputs, states=states)
    np.testing.assert_array_equal(settled.outputs["nets"], delayed.outputs["nets"])
    from_zero = gates.simulate(netlist, inputs)
    assert (from_zero.outputs["nets"][0] != settled.outputs["nets"][0]).any()


@needs_compiler
@pytest.mark.parametrize("kind", ["DFFR_X1", "DFFS_X1", "DFFE_X1"])
def test_resets_sets_and_enables_settle_as_without_delays(tmp_path, kind):
    pin = {"DFFR_X1": "RESET_B", "DFFS_X1": "SET_B", "DFFE_X1": "DE"}[kind]
    ports = {"clk": port("input", 2), "d": port("input", 3), "r": port("input", 5)}
    ports["y"] = port("output", 4, 6)
    flop = cell(kind, CLK=2, D=3, Q=4, **{pin: 5})
    netlist = netlist_of(tmp_path, ports, flop=flop, inverter=cell("INV_X1", A=4, Y=6))
    inputs = dict(zip("dr", np.random.default_rng(1).integers(0, 2, (2, 60, 2)), strict=True))
    settled, delayed = settled_and_delayed(netlist, find_delays(netlist), inputs)
    np.testing.assert_array_equal(settled.outputs["y"], delayed.outputs["y"])


def icarus_toggles(tmp_path, netlist, delays, d, warm_up):
    """Toggles of the port `nets` in Icarus, each gate an assignment with its two delays."""
    count = netlist.outputs["nets"].size
    text = ["`timescale 1ps/1ps", "module bench;", "reg clk = 0, counting = 0;"]
    text += ["reg [5:0] source = 0;", "integer cycle;"]
    text += [f"reg [5:0] stimulus [0:{len(d) - 1}];"]
    late = round(delays.input_delay_ns / PS)
    for bit, net in enumerate(netlist.inputs["d"]):
        text.append(f"wire #{late} n{net} = source[{bit}];")
    for some in netlist.instances.values():
        [out] = some.cell.outputs
        for i in range(len(some.names)):
            nets = {pin: f"n{ids[i]}" for pin, ids in some.nets.items()}
            clocked = some.cell.clock_pin
            arc = delays.arcs_ns[some.cell.name, out.name, clocked or "A"][i, 1]
            fall, rise = (round(x / PS) for x in arc)
            function = GATES[some.cell.name][2].format(**nets) if not clocked else f"s{i}"
            if clocked:
                text.append(f"reg s{i} = 0; always @(posedge clk) s{i} <= {nets['D']};")
            text.append(f"wire #({rise}, {fall}) {nets[out.name]} = {function};")
    for place, net in enumerate(netlist.outputs["nets"]):
        text.append(f"integer c{place} = 0;")
        text.append(f"always @(n{net}) if (counting) c{place} = c{place} + 1;")
    text += ["initial begin", '$readmemh("stimulus.mem", stimulus); #50000 source = stimulus[0];']
    text += [f"for (cycle = 1; cycle < {len(d)}; cycle = cycle + 1) begin #50000"]
    text += [f"counting = cycle >= {warm_up}; clk = 1; source <= stimulus[cycle];"]
    text += ["#50000 clk = 0; end #50000"]
    text += [f'$display("%0d", c{place});' for place in range(count)] + ["$finish; end endmodule"]
    (tmp_path / "bench.v").write_text("\n".join(text))
    (tmp_path / "stimulus.mem").write_text("\n".join(f"{value:x}" for value in d))
    subprocess.run(["iverilog", "-o", "bench", "bench.v"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["vvp", "-n", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    return [int(line) for line in done.stdout.split()]


@pytest.mark.slow
@needs_compiler
@needs_icarus
@pytest.mark.parametrize("seed", range(6))
def test_it_counts_the_transitions_that_icarus_counts(tmp_path, seed):
    rng = np.random.default_rng(seed)
    netlist = random_netlist(tmp_path, rng)
    delays = random_delays(netlist, rng)
    d = rng.integers(0, 64, 60)
    run = events.simulate(netlist, delays, {"d": d[:, None]}, warm_up=4)
    counted = run.toggles[netlist.outputs["nets"]].tolist()
    assert counted == icarus_toggles(tmp_path, netlist, delays, d.tolist(), 4)
    settled = gates.simulate(netlist, {"d": d[:, None]}, warm_up=4)
    assert sum(counted) > 1.1 * settled.toggles[netlist.outputs["nets"]].sum()


@needs_compiler
def test_streams_do_not_know_of_each_other(tmp_path):
    rng = np.random.default_rng(3)
    netlist = random_netlist(tmp_path, rng)
    delays, d = random_delays(netlist, rng), rng.integers(0, 64, (40, 4))
    together = events.simulate(netlist, delays, {"d": d})
    alone = [events.simulate(netlist, delays, {"d": d[:, [n]]}) for n in range(4)]
    np.testing.assert_array_equal(together.toggles, sum(run.toggles for run in alone))


@needs_compiler
def test_progress_ends_at_the_cycles_of_all_streams(tmp_path):
    seen = []
    netlist = hazard(tmp_path)
    inputs = {"a": np.zeros((40, 3), dtype=int)}
    events.simulate(netlist, find_delays(netlist), inputs, progress=lambda *n: seen.append(n))
    assert seen[-1] == (120, 120)


def test_without_a_compiler_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled.load.cache_clear()
    with pytest.raises(ToolError, match=r"^no-such-compiler: not found; gate-delay activity"):
        compiled.load(events.SOURCE)


@needs_compiler
@pytest.mark.slow
def test_a_damaged_library_in_the_cache_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled.load.cache_clear()
    compiled.load(events.SOURCE)
    [built] = (tmp_path / "adderforge").iterdir()
    content = built.read_bytes()
    built.unlink()  # the loaded one keeps its file
    built.write_bytes(content[:5000])
    compiled.load.cache_clear()
    compiled.load(events.SOURCE)
    assert [path.name for path in built.parent.iterdir()] == [built.name]
    assert built.read_bytes() == content
