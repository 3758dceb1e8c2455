"""The committed sizes of single PEs: a part regenerated, and the same as their page."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "pe_area.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("pe_area", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pe_area"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def table(script):
    return json.loads(script.TABLE.read_text())


def test_the_page_shows_the_table(script, table):
    assert script.TABLE.with_suffix(".md").read_text() == script.page(table)


def test_every_library_of_the_table_has_all_cases(script, table):
    names = [case.name for case in script.CASES]
    assert all(list(cases) == names for cases in table["libraries"].values())
    assert script.BUILT_IN_LIBRARY.name in table["libraries"]


def test_a_figure_that_changed_is_named_with_both_values_and_the_remedy(script, table, monkeypatch):
    before = table["fpgas"]["ecp5"]
    monkeypatch.setattr(script, "luts", lambda *_: before | {"array_luts": 1})
    [line] = script.differences(table, [], script.FPGAS[1:2])
    assert line == (
        f"ecp5, array_luts: committed {before['array_luts']}, now 1; if meant: {script.COMMAND}"
    )


@pytest.mark.slow
def test_regenerated_sizes_are_the_tables(script, table):
    assert list(script.differences(table, script.CASES[:1], script.FPGAS[:2])) == []
