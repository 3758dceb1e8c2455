"""Routed netlists as Verilog: expressions of tables, what is refused, and cells beside Yosys' own
models of them."""

import json
import random
from itertools import product

import pytest

from sim.routed.netlist import Cell, Netlist, read_netlist
from sim.routed.verilog import ONE, ZERO, lookup
from sim.routed.writer import routed_verilog

NAMES = ("a", "b", "c", "d")


def value_of(expression, values):
    names = {name: -bit for name, bit in zip(NAMES, values, strict=True)}  # 0 or all ones
    plain = expression.replace(ONE, "-1").replace(ZERO, "0")
    return eval(plain, {}, names) & 1


@pytest.mark.parametrize("inputs", [NAMES, ("a", ZERO, "c", ONE), ("a", "a", "b", "b")])
def test_an_expression_has_its_tables_values(inputs):
    some = random.Random(1)
    numbers = [0, 1, 0x8000, 0x6996, 0xFFFF, *(some.getrandbits(16) for _ in range(50))]
    for number, values in product(numbers, product((0, 1), repeat=4)):
        row = sum(value_of(name, values) << at for at, name in enumerate(inputs))
        assert value_of(lookup(f"{number:016b}", inputs), values) == number >> row & 1


def test_constant_and_copied_inputs_leave_short_expressions():
    assert lookup("1" * 16, NAMES) == ONE
    assert lookup("01" * 8, NAMES) == "(~a)"
    assert lookup("0110" * 4, NAMES) == "(b ^ (a))"
    assert lookup("1" + 15 * "0", ("a", ONE, ONE, ONE)) == "(a)"


def cell(kind, settings, pins, name="some"):
    return Cell(name=name, kind=kind, settings=settings, attributes={}, pins=pins)


def netlist_of(*cells):
    return Netlist(ports={"in": "n0", "out": "n1"}, cells={one.name: one for one in cells})


LOGIC = {"LUT_INIT": "1" * 16}


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (cell("SB_HFOSC", {}, {}), "some must be of ICESTORM_LC, .*, not SB_HFOSC"),
        (cell("ICESTORM_LC", LOGIC | {"NEW": "1"}, {}), "NEW of ICESTORM_LC some .*, not 1"),
        (cell("ICESTORM_RAM", {"NEG_CLK_R": "1"}, {}), r"NEG_CLK_R .* here \(0\), not 1"),
        (cell("ICESTORM_DSP", {"MODE_8x8": "1"}, {}), "MODE_8x8 of ICESTORM_DSP some"),
        (cell("ICESTORM_DSP", {}, {"SIGNEXTIN": "n0"}), "pin SIGNEXTIN of ICESTORM_DSP some"),
        (cell("SB_IO", {"PIN_TYPE": "110000"}, {}), "PIN_TYPE of SB_IO some"),
        (cell("SB_IO", {}, {"PACKAGE_PIN": "n1", "OUTPUT_ENABLE": "n0"}), "must be constant, 1'b1"),
        (cell("ICESTORM_LC", LOGIC, {"I0": "n2", "O": "n1"}), "pin I0 of .* on a driven net"),
        (cell("DP16KD", {"REGMODE_A": "OTHER"}, {}), "REGMODE_A of DP16KD some"),
        (cell("MULT18X18D", {"REG_INPUTA_CLK": "CLK0"}, {}), "REG_INPUTA_CLK of MULT18X18D"),
        (cell("TRELLIS_FF", {"LSRMODE": "PRLD"}, {}), "LSRMODE of TRELLIS_FF some"),
        (
            cell("TRELLIS_FF", {"SD": "1"}, {"Q": "n1"}),
            "pin DI of TRELLIS_FF some must be on a net",
        ),
    ],
)
def test_what_is_not_understood_is_refused_by_name(one, message):
    with pytest.raises(ValueError, match=message):
        routed_verilog(netlist_of(one), "top")


@pytest.mark.parametrize(
    ("chosen", "write"), [({}, "1'b0"), ({"WEAMUX": "WEA"}, "1'b1"), ({"WEAMUX": "INV"}, "1'b0")]
)
def test_a_blocks_open_control_is_what_its_multiplexer_makes_of_1(chosen, write):
    widths = {"DATA_WIDTH_A": "100100", "DATA_WIDTH_B": "100100"}
    text = routed_verilog(netlist_of(cell("DP16KD", widths | chosen, {})), "top")
    assert f".write_A({write})" in text and ".enable_A(1'b1)" in text


def test_a_block_in_reset_is_refused():
    settings = {"DATA_WIDTH_A": "10010", "DATA_WIDTH_B": "10010", "RSTAMUX": "RSTA"}
    with pytest.raises(ValueError, match="pin RSTA of DP16KD some must be constant, 0"):
        routed_verilog(netlist_of(cell("DP16KD", settings, {})), "top")


def test_a_net_has_one_driver():
    cells = (cell("ICESTORM_LC", LOGIC, {"O": "n1"}, name) for name in ("one", "two"))
    with pytest.raises(ValueError, match="net n1 must have one driver, not two"):
        routed_verilog(netlist_of(*cells), "top")


def test_a_buffer_of_a_pin_is_one_of_the_netlist():
    buffer = cell("SB_GB", {}, {}, "$gbuf_clk_io")
    lost = Cell(**vars(buffer) | {"attributes": {"FOR_PAD_IN": "1"}})
    with pytest.raises(ValueError, match="must belong to a pin or a PLL of the netlist"):
        routed_verilog(netlist_of(lost), "top")


@pytest.mark.parametrize(
    ("bits", "message"), [(["1"], r"one.O must be on one net, not on \['1'\]"), ([1, 2], "one net")]
)
def test_a_pin_is_on_one_net(tmp_path, bits, message):
    one = {"type": "ICESTORM_LC", "parameters": {}, "attributes": {}, "connections": {"O": bits}}
    module = {"ports": {}, "cells": {"one": one}}
    (tmp_path / "routed.json").write_text(json.dumps({"modules": {"top": module}}))
    with pytest.raises(ValueError, match=message):
        read_netlist(tmp_path / "routed.json")
