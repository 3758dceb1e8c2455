"""Synthesis with cell libraries other than the built-in one."""

import os
import re
from pathlib import Path

import pytest

from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.synth import synthesize
from hw.tools import ToolError

SMALL = ArrayConfig(width=4, rows=1, cols=1, lanes=2, depth=16)
FOLDER = os.environ.get("ADDERFORGE_LIBERTY")
FULL = "sky130hd_tt_025C_1v80.lib.gz"


def library_of(path, keep):
    """The built-in library with the cells whose text `keep` accepts."""
    text = BUILT_IN_LIBRARY.read_text()
    head, *cells = re.split(r"(?=^  cell \()", text.rstrip()[:-1], flags=re.MULTILINE)
    path.write_text("".join([head, *filter(keep, cells), "}\n"]))
    return path


@pytest.mark.parametrize(
    ("kind", "left", "keep"),
    [
        ("flip-flops", 40, lambda cell: "ff (" not in cell),
        ("gates", 7, lambda cell: "ff (" in cell or "INV_X" in cell),
    ],
)
def test_a_library_without_flip_flops_or_gates_is_refused_before_any_work(
    tmp_path, kind, left, keep
):
    library = library_of(tmp_path / "some.lib", keep)
    message = f"library adderforge130 must have {kind}, but none of its {left} cells is one; give "
    with pytest.raises(ValueError, match=f"^{message}"):
        synthesize(SMALL, "asic", tmp_path / "never", liberty=library)
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
def test_a_library_without_all_the_gates_it_takes_gives_an_error_and_no_area(tmp_path):
    few = library_of(tmp_path / "few.lib", lambda cell: "ff (" in cell or "(XOR2_X1)" in cell)
    with pytest.raises(ToolError, match=r"^yosys failed: "):
        synthesize(SMALL, "asic", tmp_path / "run", liberty=few)


@pytest.mark.slow
def test_a_library_without_delays_gives_an_area_and_no_path(tmp_path):
    group = re.compile(r"timing \(\) \{(?:[^{}]|\{[^{}]*\})*\}")
    (tmp_path / "timeless.lib").write_text(group.sub("", BUILT_IN_LIBRARY.read_text()))
    options = {"liberty": tmp_path / "timeless.lib"}
    report = synthesize(SMALL, "asic", tmp_path / "area", **options)
    assert report.area_um2 > 0 and (report.longest_path_ns, report.fmax_mhz) == (None, None)
    with pytest.raises(
        ValueError, match=r"must have delays of cell .*; give a library with timing"
    ):
        synthesize(SMALL, "asic", tmp_path / "timed", clock_mhz=100.0, **options)


@pytest.mark.slow
def test_cells_of_a_second_library_are_mapped_to(tmp_path):
    """All full adders are in it."""
    gates = library_of(tmp_path / "gates.lib", lambda cell: "FA_X1" not in cell)
    adders = library_of(tmp_path / "adders.lib", lambda cell: "FA_X1" in cell)
    report = synthesize(SMALL, "asic", tmp_path / "two", liberty=(gates, adders))
    alone = synthesize(SMALL, "asic", tmp_path / "one")
    assert report.cells["FA_X1"] > 0 and report.library == "gates.lib + adders.lib"
    assert report.area_um2 == alone.area_um2
    assert report.longest_path_ns == pytest.approx(alone.longest_path_ns)


def test_a_missing_library_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"none\.lib"):
        synthesize(SMALL, "asic", tmp_path / "never", liberty=tmp_path / "none.lib")
    assert not (tmp_path / "never").exists()


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason=f"set ADDERFORGE_LIBERTY to the folder that holds {FULL}")
def test_the_full_library_gives_nearly_the_built_in_librarys_area(tmp_path):
    own = synthesize(SMALL, "asic", tmp_path / "own")
    report = synthesize(SMALL, "asic", tmp_path / "full", liberty=Path(FOLDER) / FULL)
    assert report.library == FULL
    assert report.area_um2 == pytest.approx(own.area_um2, rel=0.15)
    assert any(name.startswith("sky130_fd_sc_hd__") for name in report.cells)
