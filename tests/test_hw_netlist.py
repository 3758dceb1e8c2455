import json
from pathlib import Path

import numpy as np
import pytest

from hw.liberty import read_library
from hw.netlist import read_netlist

LIBRARY = read_library(Path(__file__).parents[1] / "fixtures" / "adderforge130.lib")


def port(direction, *bits):
    return {"direction": direction, "bits": list(bits)}


def cell(kind, **pins):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}


def read(tmp_path, ports, cells, **other_modules):
    modules = {"top": {"ports": ports, "cells": cells}, **other_modules}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": modules}))
    return read_netlist(path, LIBRARY)


def registered_and(tmp_path, **changes):
    """q <= a & !b, through a NAND and an inverter."""
    ports = {"clk": port("input", 2), "ab": port("input", 3, 4), "q": port("output", 5, "1", "x")}
    cells = {
        "last": cell("INV_X1", A=7, Y=8),
        "flop": cell("DFF_X1", CLK=2, D=8, Q=5),
        "nand": cell("NAND2B_X1", A_N=4, B=3, Y=7),
        "scope": {"type": "$scopeinfo", "connections": {}},
    }
    return read(tmp_path, ports, {**cells, **changes})


def error_of(tmp_path, **changes):
    with pytest.raises(ValueError) as error:
        _ = registered_and(tmp_path, **changes).levels
    return str(error.value)


def test_ports_are_net_ids_and_constants_nets_0_and_1(tmp_path):
    netlist = registered_and(tmp_path)
    assert netlist.inputs.keys() == {"clk", "ab"} and netlist.outputs.keys() == {"q"}
    [flop] = netlist.flip_flops()
    assert netlist.outputs["q"].tolist() == [flop.nets["Q"][0], 1, 0]
    nand = netlist.instances["NAND2B_X1"]
    assert netlist.inputs["ab"].tolist() == [nand.nets["B"][0], nand.nets["A_N"][0]]
    assert netlist.net_count == 2 + 6


def test_levels_follow_the_logic_from_flip_flops_and_ports(tmp_path):
    netlist = registered_and(tmp_path)
    assert {key: level.tolist() for key, level in netlist.levels.items()} == {
        ("NAND2B_X1", "Y"): [1],
        ("INV_X1", "Y"): [2],
    }
    assert netlist.clock == "clk"


def test_instances_of_one_cell_share_arrays(tmp_path):
    cells = {f"i{n}": cell("INV_X1", A=2 + n, Y=3 + n) for n in range(200)}
    netlist = read(tmp_path, {"a": port("input", 2), "y": port("output", 202)}, cells)
    inverters = netlist.instances["INV_X1"]
    assert inverters.names == [f"i{n}" for n in range(200)]
    np.testing.assert_array_equal(netlist.levels["INV_X1", "Y"], np.arange(1, 201))
    assert netlist.clock is None


def test_an_open_output_gets_a_net_of_its_own(tmp_path):
    cells = {"half": cell("HA_X1", A=2, B=2, COUT=3)}
    netlist = read(tmp_path, {"a": port("input", 2), "y": port("output", 3)}, cells)
    assert netlist.instances["HA_X1"].nets["SUM"][0] not in (*netlist.inputs["a"], 0, 1)


def test_a_loop_names_a_cell_on_it(tmp_path):
    assert error_of(tmp_path, nand=cell("NAND2B_X1", A_N=8, B=3, Y=7)) == (
        "netlist top must have no combinational loop, but last is in or behind one; break it with "
        "a flip-flop"
    )


def test_a_flip_flop_breaks_a_loop(tmp_path):
    assert registered_and(tmp_path, nand=cell("NAND2B_X1", A_N=5, B=3, Y=7)).levels


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"nand": cell("NAND9_X1", A=3, Y=7)}, "cell NAND9_X1 must be in library adderforge130"),
        ({"nand": cell("NAND2B_X1", A_N=3, Y=7)}, "must be connected, got nand.B open"),
        ({"nand": cell("NAND2B_X1", A_N=3, B=99, Y=7)}, "one driver, got 0 for one of the nets"),
        ({"more": cell("INV_X1", A=3, Y=8)}, "one driver, got 2 for one of the nets"),
    ],
)
def test_a_netlist_that_is_not_complete_is_refused(tmp_path, changes, problem):
    error = error_of(tmp_path, **changes)
    assert problem in error and "map the design" in error


def test_what_is_not_one_flat_module_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must hold one module, got 2; flatten the design"):
        read(tmp_path, {}, {}, other={"ports": {}, "cells": {}})
    (tmp_path / "netlist.json").write_text("{")
    with pytest.raises(ValueError, match="must be a JSON file from Yosys' write_json"):
        read_netlist(tmp_path / "netlist.json", LIBRARY)
    with pytest.raises(ValueError, match="every port must be an input or an output, got inout"):
        read(tmp_path, {"a": port("inout", 2)}, {})


def test_a_gated_clock_is_refused(tmp_path):
    netlist = registered_and(tmp_path, flop=cell("DFF_X1", CLK=7, D=8, Q=5))
    with pytest.raises(ValueError, match="rising edge of one input port"):
        _ = netlist.clock
