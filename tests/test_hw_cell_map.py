import re
from dataclasses import replace

import pytest

from hw.cell_map import FULL, HALF, adder_cell, empty_module, full_adder_map, half_adder_map
from hw.choices import BUILT_IN_LIBRARY
from hw.liberty import read_library

LIBRARY = read_library(BUILT_IN_LIBRARY)


def without(name):
    cells = {key: cell for key, cell in LIBRARY.cells.items() if key != name}
    return replace(LIBRARY, cells=cells)


@pytest.mark.parametrize(("bits", "expected"), [(FULL, "FA_X1"), (HALF, "HA_X1")])
def test_an_adder_is_found_by_what_it_computes(bits, expected):
    assert adder_cell(LIBRARY, bits) == expected
    assert adder_cell(without(expected), bits) is None


def test_the_smallest_of_several_is_taken():
    small = replace(LIBRARY.cells["FA_X1"], name="SMALL", area_um2=1.0)
    library = replace(LIBRARY, cells=LIBRARY.cells | {"SMALL": small})
    assert adder_cell(library, FULL) == "SMALL"


def test_the_map_of_a_full_adder_joins_each_pin_to_what_it_stands_for():
    text = full_adder_map(LIBRARY, "fa", "FA_X1")
    pins = dict(re.findall(r"\.(\w+)\((\w+)\)", text))
    assert pins == {"A": "a", "B": "b", "CIN": "c", "COUT": "carry", "SUM": "sum"}
    assert text.startswith("module fa(") and "\nFA_X1 " in text
    assert "module FA_X1(" in empty_module(LIBRARY, "FA_X1")


def test_the_map_of_a_half_adder_takes_only_those_that_add_a_constant_0():
    text = half_adder_map(LIBRARY, "HA_X1")
    pins = dict(re.findall(r"\.(\w+)\((\w+)\)", text))
    assert pins == {"A": "A", "B": "B", "COUT": "X", "SUM": "Y"}
    assert "_TECHMAP_FAIL_ = WIDTH != 1 || !_TECHMAP_CONSTMSK_C_ || _TECHMAP_CONSTVAL_C_" in text


def test_without_a_cell_a_full_adder_is_logic():
    assert "assign sum = p ^ c" in full_adder_map(LIBRARY, "fa", None)
