"""How PEs are made: the ways that are tried, and the one that is taken."""

import json

import pytest

from hw import best
from hw.best import best_multiplier, synthesize_best
from hw.choices import candidates, choices
from hw.config import ArrayConfig
from hw.synth import SynthReport, synthesize

ADDER = ArrayConfig(width=8, rows=2, cols=2, depth=64)
MAC = ADDER.twin("mac")
SMALL = ArrayConfig(width=4, rows=1, cols=1, lanes=2, depth=16)


@pytest.mark.slow
def test_the_best_multiplier_is_the_smallest_of_all_candidates(tmp_path):
    found = best_multiplier(MAC, "asic", tmp_path)
    areas = {
        choice: json.loads((tmp_path / choice.name / "stat.json").read_text())["design"]["area"]
        for choice in choices(MAC, "asic")
    }
    assert len(set(areas.values())) > 1
    assert found == min(areas, key=areas.get).multiplier
    assert best_multiplier(ADDER, "ice40", tmp_path / "never") == "none"
    assert not (tmp_path / "never").exists()


def test_the_ways_to_make_a_pe_are_the_same_for_adders_and_macs():
    """Half adders and lookahead are tried where they can be the best."""
    styles = {pe: {c.style for c in choices(SMALL.twin(pe), "asic")} for pe in ("min", "mac")}
    assert styles == {"min": {"full-adders", "half-adders"}, "mac": styles["min"] | {"gates"}}
    timed = {c.style for c in choices(SMALL, "asic", clock_mhz=100.0)} - styles["min"]
    assert timed == {"fast", "lookahead"}
    macs = choices(SMALL.twin("mac"), "asic", clock_mhz=100.0)
    assert {c.multiplier for c in macs if c.style == "fast"} == set(candidates("mac", "asic"))


def test_a_style_that_is_none_is_refused(tmp_path):
    message = "style must be one of full-adders, half-adders, not 'fast'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        synthesize(SMALL, "asic", tmp_path, style="fast")


@pytest.mark.parametrize(
    ("paths", "made"),
    [
        ({"full-adders": 11, "half-adders": 9, "fast": 5, "lookahead": 4}, ["half-adders"]),
        ({"half-adders": 14, "fast": 12, "lookahead": 8}, ["half-adders", "fast", "lookahead"]),
        ({"half-adders": 14, "fast": 12, "lookahead": 13}, ["half-adders", "fast", "lookahead"]),
    ],
    ids=["the smallest", "the first that is fast enough as an array, too", "none"],
)
def test_an_array_that_misses_the_clock_is_made_in_another_way(tmp_path, monkeypatch, paths, made):
    """Areas rise in the order of the ways. Full adders miss 100 MHz in the PE itself."""
    order = ["full-adders", "half-adders", "fast", "lookahead"]
    arrays = []

    def synthesized(config, target, folder, multiplier, liberty, style, clock_mhz):
        path = paths.get(style, 11) if config.rows > 1 else {"full-adders": 11}.get(style, 9)
        if config.rows > 1:
            arrays.append(style)
        return SynthReport(
            target=target,
            pe=config.pe,
            multiplier=multiplier,
            style=style,
            area_um2=100.0 + order.index(style),
            longest_path_ns=path,
            clock_met=path <= 10,
            cells={},
            tools={},
        )

    monkeypatch.setattr(best, "synthesize", synthesized)
    report = synthesize_best(ADDER, "asic", tmp_path, clock_mhz=100.0)
    again = [] if report.clock_met else [min(made, key=paths.__getitem__)]
    assert arrays == made + again and report.style == arrays[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("pe", "width"), [("complement", 4), ("mac", 2), ("xnor", 1)])
def test_the_choice_is_the_smallest_that_meets_the_clock_or_the_fastest(tmp_path, pe, width):
    config = ArrayConfig(pe=pe, width=width, rows=1, cols=1, lanes=2, depth=16)
    slow, fast = (
        synthesize_best(config, "asic", tmp_path / str(mhz), clock_mhz=mhz) for mhz in (20, 5000)
    )
    plain = synthesize_best(config, "asic", tmp_path / "area")
    assert slow.clock_met and slow.area_um2 == plain.area_um2
    assert fast.clock_met is False and fast.longest_path_ns < 0.8 * plain.longest_path_ns
    assert fast.area_um2 > plain.area_um2
    assert fast.fmax_mhz == pytest.approx(1000 / fast.longest_path_ns)
    assert plain.clock_met is None and plain.clock_mhz is None


@pytest.mark.slow
def test_half_adder_cells_are_in_the_netlist_only_where_they_make_it_smaller(tmp_path):
    half = synthesize(SMALL, "asic", tmp_path / "half", style="half-adders")
    full = synthesize(SMALL, "asic", tmp_path / "full")
    assert half.cells["HA_X1"] > 0 and "HA_X1" not in full.cells
    best = synthesize_best(SMALL, "asic", tmp_path / "best")
    assert best.area_um2 == min(half.area_um2, full.area_um2)
