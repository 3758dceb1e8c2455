import json
from types import SimpleNamespace

import pytest

from hw.boards import build
from hw.boards.kinds import BOARDS
from hw.boards.output_registers import use_output_registers
from hw.boards.top import TOP

REGISTER = {"CLKMUX": "CLK", "CEMUX": "1 ", "LSRMUX": "LSR", "REGSET": "RESET", "GSR": "DISABLED"}


def register(data, output, settings=(), **pins):
    pins = {"CLK": [2], "DI": [data], "LSR": ["0"], "Q": [output]} | pins
    ways = dict.fromkeys(pins, "input") | {"Q": "output"}
    return {
        "type": "TRELLIS_FF",
        "parameters": REGISTER | dict(settings),
        "port_directions": ways,
        "connections": pins,
    }


def module(*registers):
    """Two bits of port A of a RAM, on nets 10 and 11, and what reads them."""
    pins = {"CLKA": [2], "RSTA": ["0"], "CEA": [3], "DOA0": [10], "DOA1": [11], "DOB0": [12]}
    ways = {name: "output" if name.startswith("DO") else "input" for name in pins}
    ram = {"type": "DP16KD", "parameters": {}, "port_directions": ways, "connections": pins}
    cells = {f"register {place}": some for place, some in enumerate(registers)}
    return {"ports": {"clk": {"bits": [2]}, "out": {"bits": [20]}}, "cells": {"ram": ram} | cells}


def test_registers_behind_a_port_become_its_own():
    some = module(register(10, 20), register(11, 21))
    assert use_output_registers(some) == 2
    assert list(some["cells"]) == ["ram"]
    ram = some["cells"]["ram"]
    assert ram["parameters"] == {"REGMODE_A": "OUTREG"}
    assert ram["connections"]["DOA0"] == [20] and ram["connections"]["DOA1"] == [21]
    assert ram["connections"]["OCEA"] == ["1"] and ram["connections"]["DOB0"] == [12]
    assert use_output_registers(some) == 0


def test_a_port_of_which_nothing_else_is_read_has_them_too():
    assert use_output_registers(module(register(10, 20))) == 1


@pytest.mark.parametrize(
    "second",
    [
        register(11, 21, CE=[5], settings={"CEMUX": "CE"}),
        register(11, 21, LSR=[5]),
        register(11, 21, CLK=[6]),
        register(11, 21, settings={"CLKMUX": "INV"}),
        register(11, 21, settings={"REGSET": "SET"}),
        register(10, 21),  # what the first one reads
        register(8, 21, M=[11]),
        {
            "type": "LUT4",
            "parameters": {},
            "port_directions": {"A": "input"},
            "connections": {"A": [11]},
        },
    ],
)
def test_all_of_a_port_or_none(second):
    some = module(register(10, 20), second)
    assert use_output_registers(some) == 0
    assert some == module(register(10, 20), second)


def test_what_leaves_the_module_stays():
    some = module(register(10, 20))
    some["ports"]["out"]["bits"] = [10]
    assert use_output_registers(some) == 0


@pytest.mark.parametrize("change", [{"RSTA": [5]}, {"CLKA": [6]}])
def test_a_port_with_a_reset_or_another_clock_stays(change):
    some = module(register(10, 20))
    some["cells"]["ram"]["connections"] |= change
    assert use_output_registers(some) == 0


@pytest.mark.parametrize(("board", "mode"), [("ulx3s-85f", "OUTREG"), ("icebreaker", None)])
def test_boards_with_ecp5_are_routed_with_them(board, mode, tmp_path, monkeypatch):
    placed = []

    def synthesize(script, folder, name):
        netlist = {"modules": {TOP: module(register(10, 20))}}
        (folder / f"{TOP}.json").write_text(json.dumps(netlist))

    def run(tool, words, folder, log):
        placed.append(json.loads((folder / f"{TOP}.json").read_text())["modules"][TOP])
        used = {name: {"used": 1, "available": 2} for name in BOARDS[board].resources}
        report = {"fmax": {"clk": {"achieved": 99.0}}, "utilization": used, "critical_paths": []}
        (folder / "report-1.json").write_text(json.dumps(report))

    monkeypatch.setattr(build, "yosys", synthesize)
    monkeypatch.setattr(build, "yowasp", run)
    monkeypatch.setattr(build, "write_design", lambda plan, program, folder: None)
    program = SimpleNamespace(image_bytes=4, interval=100)
    (tmp_path / f"{TOP}.ys").write_text("")
    assert build.build_board(program, board, tmp_path).fmax_mhz == (99.0,)
    assert placed[0]["cells"]["ram"]["parameters"].get("REGMODE_A") == mode
