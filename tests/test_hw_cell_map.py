import re
from dataclasses import replace

from hw.cell_map import full_adder_cell, full_adder_map, full_adder_stub
from hw.liberty import read_library
from hw.synth import BUILT_IN_LIBRARY

LIBRARY = read_library(BUILT_IN_LIBRARY)


def without(name):
    cells = {key: cell for key, cell in LIBRARY.cells.items() if key != name}
    return replace(LIBRARY, cells=cells)


def test_a_full_adder_is_found_by_what_it_computes():
    name = full_adder_cell(LIBRARY)
    cell = LIBRARY.cells[name]
    assert sorted(pin.function.text for pin in cell.outputs)[0].startswith("(A&!B&!CIN)")
    assert full_adder_cell(without(name)) is None


def test_the_smallest_of_several_is_taken():
    name = full_adder_cell(LIBRARY)
    small = replace(LIBRARY.cells[name], name="SMALL", area_um2=LIBRARY.cells[name].area_um2 / 2)
    library = replace(LIBRARY, cells=LIBRARY.cells | {"SMALL": small})
    assert full_adder_cell(library) == "SMALL"


def test_the_map_joins_each_pin_to_what_it_stands_for():
    name = full_adder_cell(LIBRARY)
    text = full_adder_map(LIBRARY, "fa")
    pins = dict(re.findall(r"\.(\w+)\((\w+)\)", text))
    assert pins == {"A": "a", "B": "b", "CIN": "c", "COUT": "carry", "SUM": "sum"}
    assert text.startswith("module fa(") and f"\n{name} " in text
    assert f"module {name}(" in full_adder_stub(LIBRARY)


def test_a_library_without_one_gets_logic_and_no_stub():
    library = without(full_adder_cell(LIBRARY))
    assert "assign sum = p ^ c" in full_adder_map(library, "fa")
    assert full_adder_stub(library) == ""
