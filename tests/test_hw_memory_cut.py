import pytest

from hw.memory_cut import CutMemory, cut, models, open_boxes

MEMORY = CutMemory(
    name="top.inner.memory",
    words=3,
    width=4,
    address_width=2,
    read_ports=1,
    write_ports=1,
    read_enabled=False,
    granules=((0, 0, 2), (0, 2, 2)),
)


def memory_cell(**parameters):
    """3 words of 4 bits, 1, 2 and an undefined one, written in halves."""
    figures = {"SIZE": 3, "WIDTH": 4, "ABITS": 2, "RD_PORTS": 1, "WR_PORTS": 1}
    figures |= {"RD_CLK_ENABLE": 1, "RD_TRANSPARENCY_MASK": 0} | parameters
    bits = {name: f"{value:b}" for name, value in figures.items()}
    pins = {"RD_CLK": [2], "RD_ADDR": [3, 4], "RD_DATA": [5, 6, 7, 8], "RD_EN": ["1"]}
    pins |= {"RD_ARST": ["0"], "RD_SRST": ["0"], "WR_CLK": [2], "WR_ADDR": [3, 4]}
    pins |= {"WR_DATA": [9, 10, 11, 12], "WR_EN": [13, 13, 14, 14]}
    return {"type": "$mem_v2", "parameters": bits | {"INIT": "xxxx00100001"}, "connections": pins}


def design(**parameters):
    return {"modules": {"top.inner": {"cells": {"memory": memory_cell(**parameters)}}}}


def test_a_memory_becomes_a_black_box_with_an_enable_for_bits_written_together():
    before = design()
    found = cut(before)
    assert found.memories == {"adderforge_memory_0": MEMORY}
    assert found.contents == {"adderforge_memory_0": [1, 2, 0]}
    box = before["modules"]["top.inner"]["cells"]["memory"]
    assert box["connections"]["WR_EN"] == [13, 14] and box["connections"]["clk"] == [2]
    assert "RD_EN" not in box["connections"]
    module = before["modules"]["adderforge_memory_0"]
    sides = {name: (port["direction"], len(port["bits"])) for name, port in module["ports"].items()}
    assert sides == {
        "clk": ("input", 1),
        "RD_ADDR": ("input", 2),
        "RD_DATA": ("output", 4),
        "WR_ADDR": ("input", 2),
        "WR_DATA": ("input", 4),
        "WR_EN": ("input", 2),
    }


def test_what_a_black_box_gives_is_an_input_of_the_netlist():
    before = design()
    found = cut(before)
    [box] = before["modules"]["top.inner"]["cells"].values()
    flat = {"modules": {"top": {"ports": {}, "cells": {"inner.memory": box, "u": {"type": "INV"}}}}}
    flat["modules"]["adderforge_memory_0"] = {}
    [memory] = open_boxes(flat, found.memories)
    assert memory.name == "inner.memory" and memory.bits == 12
    [top] = flat["modules"].values()
    assert list(top["cells"]) == ["u"] and "inner.memory.clk" not in top["ports"]
    assert top["ports"]["inner.memory.RD_DATA"] == {"direction": "input", "bits": [5, 6, 7, 8]}
    assert top["ports"]["inner.memory.WR_EN"] == {"direction": "output", "bits": [13, 14]}


@pytest.mark.parametrize("change", [{"RD_CLK_ENABLE": 0}, {"RD_TRANSPARENCY_MASK": 1}])
def test_a_memory_that_is_no_plain_clocked_one_is_refused(change):
    with pytest.raises(
        ValueError, match=r"^memory top\.inner\.memory must have clocked reads that"
    ):
        cut(design(**change))


def test_the_model_starts_with_the_words_and_writes_granules():
    text = models(cut(design()))
    assert "    memory[1] = 4'h2;" in text
    assert "    RD_DATA[0 +: 4] <= memory[RD_ADDR[0 +: 2]];" in text
    assert "    if (WR_EN[1]) memory[WR_ADDR[0 +: 2]][2 +: 2] <= WR_DATA[2 +: 2];" in text


def test_a_lone_word_has_no_address():
    lone = design(SIZE=1, ABITS=0)
    cell = lone["modules"]["top.inner"]["cells"]["memory"]
    cell["connections"] |= {"RD_ADDR": [], "WR_ADDR": []}
    found = cut(lone)
    assert "RD_ADDR" not in lone["modules"]["adderforge_memory_0"]["ports"]
    assert "    RD_DATA[0 +: 4] <= memory[1'b0];" in models(found)


def test_each_write_port_has_enables_of_its_own():
    two = design(WR_PORTS=2)
    cell = two["modules"]["top.inner"]["cells"]["memory"]
    pins = {"WR_ADDR": [3, 4, 15, 16], "WR_DATA": list(range(20, 28))}
    cell["connections"] |= pins | {"WR_EN": [13, 13, 13, 13, 13, 13, 14, 14]}
    [memory] = (found := cut(two)).memories.values()
    assert memory.granules == ((0, 0, 4), (1, 0, 2), (1, 2, 2))
    text = "    if (WR_EN[2]) memory[WR_ADDR[2 +: 2]][2 +: 2] <= WR_DATA[6 +: 2];"
    assert text in models(found)
