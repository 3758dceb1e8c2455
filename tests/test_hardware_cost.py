"""The committed table of hardware costs: regenerated, compared, and the same as its page."""

import importlib.util
import json
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "hardware_cost.py"
COMMAND = "python benchmarks/hardware_cost.py --write"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("hardware_cost", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cycles_are_those_of_the_table(script):
    assert list(script.differences(script.read_table(), targets=())) == []


def test_the_page_shows_the_table(script):
    assert script.TABLE.with_suffix(".md").read_text() == script.page(script.read_table())


def test_the_table_has_the_presets_and_nothing_else(script):
    table = script.read_table()
    assert list(table["designs"]) == [script.name_of(config) for config in script.DESIGNS]
    assert table["layers"] == json.loads(json.dumps(script.LAYERS))


def test_a_figure_that_changed_is_named_with_both_values_and_the_remedy(script, monkeypatch):
    table = script.read_table()
    config = script.DESIGNS[0]
    costs = table["designs"][script.name_of(config)]
    before = costs["ice40"]["luts"]
    monkeypatch.setattr(script, "cost", lambda *_: costs["ice40"] | {"luts": before + 1})
    [line] = script.differences(table, [config], ["ice40"])
    assert line == (
        f"4 × 4 × 4 complement 8 bit, ice40 luts: committed {before}, now {before + 1}; "
        f"if that is meant: {COMMAND}"
    )


def test_a_preset_that_is_not_in_the_table_is_named(script):
    config = script.DESIGNS[0].twin("square")
    [line] = script.differences(script.read_table(), [config])
    assert line == f"4 × 4 × 4 square 8 bit: not in the table; {COMMAND}"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ice40", "ecp5", "asic", "xilinx7"])
def test_regenerated_designs_are_the_tables(script, target):
    """Each kind of PE and both dataflows, but for the largest; on 7-series, which takes longest,
    the first design alone. `make cost` regenerates all."""
    complement, _, least, *_, stationary_complement, stationary_mac = script.DESIGNS
    designs = [complement, least, stationary_complement, stationary_mac]
    designs = designs[:1] if target == "xilinx7" else designs
    found = list(script.differences(script.read_table(), designs, [target]))
    assert not found, "\n".join(found)
