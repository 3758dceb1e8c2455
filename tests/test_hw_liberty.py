import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest

from hw.boolean import Expression
from hw.cells import SETUP, Table
from hw.compact_library import CELLS, PREFIX, compact_text
from hw.liberty import read_library

COMPACT = Path(__file__).parents[1] / "fixtures" / "adderforge130.lib"
FULL = "sky130hd_tt_025C_1v80.lib.gz"
FOLDER = os.environ.get("ADDERFORGE_LIBERTY")
needs_full = pytest.mark.skipif(
    not FOLDER, reason=f"set ADDERFORGE_LIBERTY to the folder that holds {FULL}"
)

SMALL = r"""
/* a comment with "quotes" and
   { braces } */
library ("small") {
  capacitive_load_unit (10, "ff");
  voltage_unit : "100mV"; leakage_power_unit : "1uW"; time_unit : "10ps";
  nom_voltage : 12;
  power_lut_template (loads_first) {
    variable_1 : total_output_net_capacitance;
    variable_2 : input_transition_time;
    index_1 ("1, 3"); index_2 ("5, 7, 9");
  }
  cell (GATE) {
    area : 2.5;
    leakage_power () { value : 3; when : "A"; }
    leakage_power () { value : 5; when : "!A"; }
    pin (A, B) { direction : input; capacitance : 0.5; }
    pin (Y) {
      direction : "output";
      function : "(A B)'";
      internal_power () {
        related_pin : "A B";
        rise_power (loads_first) { values ("1, 2, 3", \
                                           "4, 5, 6"); }
        fall_power (scalar) { values ("9"); }
      }
    }
  }
}
"""


def read(tmp_path, text):
    path = tmp_path / "small.lib"
    path.write_text(text)
    return read_library(path)


def error_of(tmp_path, text):
    with pytest.raises(ValueError) as error:
        read(tmp_path, text)
    return str(error.value).removeprefix(f"{tmp_path}/")


def words(*bits):
    return np.array([sum(bit << i for i, bit in enumerate(bits))], dtype=np.uint64)


def truth(text, names="ABC"):
    rows = range(2 ** len(names))
    values = {name: words(*(row >> i & 1 for row in rows)) for i, name in enumerate(names)}
    result = Expression(text).evaluate(values)
    return [int(result.item()) >> row & 1 for row in rows]


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("0", "0"),
        ("1", "1"),
        ("A", "a"),
        ("!A", "1-a"),
        ("A''", "a"),
        ("!A'", "a"),
        ("A B' C", "a&(1-b)&c"),
        ("A*B + C", "(a&b)|c"),
        ("A | B & C", "a|(b&c)"),
        ("A & B ^ C", "a&(b^c)"),
        ("(A+B)'(C)", "(1-(a|b))&c"),
        ("(A&!B) | (!A&B)", "a^b"),
    ],
)
def test_an_expression_evaluates_64_values_a_word(text, python):
    rows = [{"a": row & 1, "b": row >> 1 & 1, "c": row >> 2 & 1} for row in range(8)]
    assert truth(text) == [eval(python, row) for row in rows]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a term is missing before its end"),
        ("A &", "a term is missing before its end"),
        ("(A", "a parenthesis is not closed"),
        ("A)", "')' follows its end"),
        ("| A", "a term is missing before |"),
        ("A $ B", "'$' is no part of one"),
    ],
)
def test_what_is_no_expression_is_refused(text, problem):
    with pytest.raises(ValueError, match="must be a Boolean expression") as error:
        Expression(text)
    assert f"but {problem}; correct the Liberty file" in str(error.value)


def test_the_inputs_of_an_expression_are_listed_once():
    assert Expression("(B&A[1]) | !B | 1").inputs == ("B", "A[1]")


def test_figures_are_converted_to_fixed_units(tmp_path):
    library = read(tmp_path, SMALL)
    gate = library.cell("GATE")
    assert (library.name, gate.area_um2) == ("small", 2.5)
    assert library.voltage_v == pytest.approx(1.2)
    assert gate.leakage_nw == pytest.approx(4000)
    assert [pin.name for pin in gate.inputs] == ["A", "B"]
    assert gate.inputs[1].capacitance_pf == pytest.approx(0.005)
    assert gate.pins["Y"].function.inputs == ("A", "B")


def test_tables_are_turned_to_slew_by_load_and_energies_to_pj(tmp_path):
    [power] = read(tmp_path, SMALL).cell("GATE").pins["Y"].power
    unit = 0.01 * 0.1**2
    np.testing.assert_allclose(power.rise.slews, [0.05, 0.07, 0.09])
    np.testing.assert_allclose(power.rise.loads, [0.01, 0.03])
    np.testing.assert_allclose(power.rise.values, np.array([[1, 4], [2, 5], [3, 6]]) * unit)
    np.testing.assert_allclose(power.fall.at(0.05, 0.02), 9 * unit)
    assert power.related_pins == ("A", "B")


def test_leakages_by_state_keep_their_conditions(tmp_path):
    gate = read(tmp_path, SMALL).cell("GATE")
    assert gate.leakages == (("A", pytest.approx(3000)), ("!A", pytest.approx(5000)))
    assert gate.conditions == ("A", "!A")


def test_a_table_is_interpolated_inside_and_extended_by_its_last_two_entries():
    table = Table(np.array([1.0, 3.0]), np.array([10.0, 20.0]), np.array([[0.0, 4], [2, 6]]))
    np.testing.assert_allclose(table.at(2.0, np.array([10, 15, 20])), [1, 3, 5])
    np.testing.assert_allclose(table.at(0.0, np.array([5, 30])), [-3, 7])
    np.testing.assert_allclose(table.at(np.array([1.0, 3.0]), np.array([20, 10])), [4, 2])


def test_a_table_of_one_entry_is_the_same_everywhere():
    table = Table(np.zeros(1), np.zeros(1), np.array([[7.0]]))
    np.testing.assert_allclose(table.at(np.array([0.1, 5.0]), 3.0), [7, 7])


WIRES = """
  wire_load ("short") { capacitance : 0.5; slope : 3;
    fanout_length (1, 10); fanout_length (3, 20); }
  cell (GATE)"""


def test_a_wire_load_grows_with_the_pins_on_the_net(tmp_path):
    library = read(tmp_path, SMALL.replace("  cell (GATE)", WIRES, 1))
    wires = library.wire_loads["short"].load_pf(np.array([0, 1, 2, 3, 5]))
    np.testing.assert_allclose(wires, np.array([0, 10, 15, 20, 26]) * 0.5 * 0.01)


def test_a_wire_load_without_lengths_is_refused(tmp_path):
    text = SMALL.replace(
        "  cell (GATE)", '  wire_load ("w") { capacitance : 1; }\n  cell (GATE)', 1
    )
    assert "wire_load must have fanout_length (pins, length)" in error_of(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("}\n}\n", "}\n", "line 4: group library is never closed"),
        ("}\n}\n", "}\n}\n}\n", "line 30: a brace closes no group"),
        ("area : 2.5", "area  2.5", "line 14: expected a statement or a closing brace, got 'area"),
        ("area : 2.5", "area : big", "line 13: area of cell is no number"),
        ('"4, 5, 6"', '"4, 5, x"', "line 23: values holds something that is no number"),
        ('"4, 5, 6"', '"4, 5"', "line 23: 5 values for a table of [2, 3]"),
        ("nom_voltage : 12;", "", "line 4: library has no voltage"),
        ('"100mV"', '"100parsec"', "line 4: voltage_unit is '100parsec', which is no unit"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path, old, new, message):
    assert SMALL.count(old) == 1
    error = error_of(tmp_path, SMALL.replace(old, new))
    assert error.startswith(f"small.lib, {message}")
    assert error.endswith("; give an undamaged Liberty file") and "\n" not in error


def test_a_file_that_is_no_library_is_refused(tmp_path):
    assert "got 0; give an undamaged Liberty file" in error_of(tmp_path, "")


def test_a_missing_or_truncated_file_is_refused_in_one_line(tmp_path):
    truncated = tmp_path / "cut.lib.gz"
    truncated.write_bytes(gzip.compress(SMALL.encode())[:100])
    for path in (tmp_path / "none.lib", tmp_path, truncated):
        with pytest.raises(
            ValueError, match="must be readable text, plain or gzip, but: "
        ) as error:
            read_library(path)
        assert "\n" not in str(error.value)


def test_a_gzip_file_reads_as_the_plain_one(tmp_path):
    path = tmp_path / "small.lib.gz"
    path.write_bytes(gzip.compress(SMALL.encode()))
    assert read_library(path).cell("GATE").leakage_nw == pytest.approx(4000)


def test_a_cell_that_the_library_lacks_is_named(tmp_path):
    with pytest.raises(ValueError, match="cell NAND9 must be in library small, which has 1 cells"):
        read(tmp_path, SMALL).cell("NAND9")


def test_the_compact_library_has_every_cell_with_all_its_figures():
    library = read_library(COMPACT)
    assert library.cells.keys() == CELLS.keys() and library.voltage_v == 1.8
    for cell in library.cells.values():
        assert cell.area_um2 > 0 and cell.leakage_nw > 0
        assert all(pin.capacitance_pf > 0 for pin in cell.inputs)
        assert all(pin.function for pin in cell.outputs)
        if cell.name != "TIE_X1":
            assert all(pin.power and pin.timing for pin in cell.outputs)
    assert library.cell("DFFR_X1").flip_flop.clear == Expression("!RESET_B")
    assert library.cell("DFFE_X1").clock_pin == "CLK"


def test_the_compact_librarys_flip_flops_have_setup_times_by_both_slews():
    flip_flops = [cell for cell in read_library(COMPACT).cells.values() if cell.flip_flop]
    assert len(flip_flops) == 4
    for cell in flip_flops:
        [setup] = cell.pins["D"].timing
        assert (setup.kind, setup.related_pins) == (SETUP, ("CLK",))
        for table in (setup.rise_constraint, setup.fall_constraint):
            assert table.at(0.6, 0.05) > table.at(0.05, 0.05) > table.at(0.05, 0.6)


@pytest.mark.slow
@needs_full
def test_the_compact_librarys_setup_times_are_the_full_ones():
    full = read_library(Path(FOLDER) / FULL).cell(PREFIX + "dfxtp_1").pins["D"].timing
    [full] = [one for one in full if one.kind == SETUP]
    [own] = read_library(COMPACT).cell("DFF_X1").pins["D"].timing
    for at in ((0.05, 0.2), (0.2, 0.05)):
        assert own.fall_constraint.at(*at) == pytest.approx(full.fall_constraint.at(*at), rel=1e-3)


@needs_full
def test_the_compact_library_is_what_its_generator_writes():
    assert compact_text(read_library(Path(FOLDER) / FULL)) == COMPACT.read_text()


@needs_full
def test_the_full_libraries_are_read_whole():
    full = read_library(Path(FOLDER) / FULL)
    nand = full.cell(PREFIX + "nand2_1")
    assert len(full.cells) == 428 and full.voltage_v == 1.8
    assert (nand.area_um2, nand.inputs[0].capacitance_pf) == (3.7536, 0.002315)
    ihp = Path(FOLDER) / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
    if ihp.exists():
        assert read_library(ihp).cell("sg13g2_inv_1").leakage_nw == pytest.approx(0.0630032)


SRAM = """
library (ram) {
  time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1mW";
  capacitive_load_unit (1, "pf"); nom_voltage : 1.8;
  type (data) { base_type : array; data_type : bit; bit_width : 2; bit_from : 1; bit_to : 0; }
  cell (RAM) {
    area : 5000; cell_leakage_power : 2;
    memory () { type : ram; address_width : 1; word_width : 2; }
    bus (dout) { bus_type : data; direction : output; pin (dout[1:0]) { } }
    pin (clk) { direction : input; clock : true; capacitance : 0.02; }
  }
}
"""


@pytest.fixture
def sram(tmp_path):
    """Writes a second library, changed by old text and new, and returns its path."""

    def write(old="", new=""):
        path = tmp_path / "sram.lib"
        path.write_text(SRAM.replace(old, new) if old else SRAM)
        return path

    return write


def test_several_files_make_one_library(sram):
    alone, both = read_library(COMPACT), read_library((COMPACT, sram()))
    assert both.name == "adderforge130 + ram" and both.voltage_v == alone.voltage_v
    assert set(both.cells) == {*alone.cells, "RAM"}
    assert both.cell("RAM").leakage_nw == pytest.approx(2e6)  # mW beside the first file's nW


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1ns"', '"1ps"', "time_unit must be 1 ns as in {}, not 0.001 ns; give libraries of the"),
        ('(1, "pf")', '(1, "ff")', "capacitive_load_unit must be 1 pF as in {}, not 0.001 pF; gi"),
        (': "1V"', ': "1mV"', "voltage_unit must be 1 V as in {}, not 0.001 V; give libraries of"),
        ("1.8", "1.2", "nom_voltage must be 1.8 V as in {}, not 1.2 V; give libraries of the same"),
        ("(RAM)", "(INV_X1)", "cell INV_X1 must be in one library, but is in another given one t"),
    ],
)
def test_files_that_do_not_go_together_are_refused(sram, old, new, message):
    path = sram(old, new)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message.format(COMPACT)}')}"):
        read_library((COMPACT, path))


def test_no_file_at_all_is_refused():
    with pytest.raises(ValueError, match=r"^liberty must be at least one file, not none; give a"):
        read_library(())
