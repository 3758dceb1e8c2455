"""A comparison: who takes part, arrays of equal area, the page; and once all of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge import compare
from adderforge.cli import main
from adderforge.compare import grown
from adderforge.compare_page import sources, write_pages
from adderforge.compare_tables import tables, verdict
from adderforge.contenders import Effort, Flow, contenders
from golden import model_file
from hw.choices import BUILT_IN_LIBRARY
from hw.config import ArrayConfig
from hw.liberty_text import read_text
from hw.synth import SynthReport

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER, CNN = (FIXTURES / f"lenet5-bn-digits-{kind}.npz" for kind in ("adder", "cnn"))
ARRAY = ArrayConfig(rows=2, cols=2, lanes=2, depth=400)
ONE = Effort(images=1, batches=1)
IMAGES = np.zeros((4, 1, 32, 32))


def models():
    return [model_file.load(path) for path in (ADDER, CNN)]


def test_each_network_gets_an_array_of_its_own_pes():
    adder, mac = contenders(ARRAY, models(), IMAGES, Effort(images=2, batches=2))
    assert (adder.config, mac.config) == (ARRAY, ARRAY.twin("mac"))
    assert adder.layers == mac.layers == ("conv1", "conv2", "fc1", "fc2", "fc3")
    assert [[form.name for form in batch] for batch in adder.batches] == [list(adder.layers)] * 2
    assert adder.batches[0][0].shape == (2 * 28 * 28, 25, 6)


@pytest.mark.parametrize(
    ("change", "effort", "message"),
    [
        (
            {"pe": "mac"},
            ONE,
            "pe must be one of complement, min, two_adder, compare_swap for a com",
        ),
        (
            {"dataflow": "weight-stationary"},
            ONE,
            "positions must be at most 240 for a gate-level run of this weight-stationary array, w",
        ),
        ({"depth": 399}, ONE, "layer 'fc1' of lenet5-bn-digits-adder needs depth 400, but the arr"),
        ({}, Effort(images=5, batches=1), "1 batches of 5 images need 5, but there are 4"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, effort, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        contenders(ArrayConfig(**ARRAY.model_dump() | change), models(), IMAGES, effort)


def test_each_network_gets_an_accelerator_whose_memories_are_as_large_as_it_takes():
    adder, mac = contenders(ARRAY, models(), IMAGES, ONE, accelerator=True)
    for one in (adder, mac):
        array = one.program.config.array
        assert array == ArrayConfig(**one.config.model_dump() | {"dataflow": "weight-stationary"})
        assert one.program.config.weight_words == len(one.program.weights)
        assert one.codes.shape == (1, 1, 32, 32)
    assert adder.program.cycles == mac.program.cycles


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pe": "min"}, "pe of an accelerator must be one of complement, two_adder, compare_swap,"),
        ({"cols": 3}, "the channels of a word, 4, must be a multiple of cols, 3"),
    ],
)
def test_what_there_is_no_accelerator_of_is_refused(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        contenders(
            ArrayConfig(**ARRAY.model_dump() | change), models(), IMAGES, ONE, accelerator=True
        )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clock_mhz": 0.0}, "clock_mhz must be positive, not 0.0"),
        ({"fpgas": ("virtex",)}, "fpgas must be some of ice40, ecp5, not 'virtex'"),
        ({"seeds": -1}, "seeds must be at least 0, not -1"),
        ({"liberty": Path("no.lib")}, "no.lib: a Liberty file must be readable text, plain or gz"),
    ],
)
def test_arrays_cannot_be_mapped_to_what_there_is_not(values, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        Flow(**values)


def test_a_library_without_power_tables_is_refused_before_anything_is_mapped(tmp_path):
    group = re.compile(r"internal_power \(\) \{(?:[^{}]|\{[^{}]*\})*\}")
    mute = tmp_path / "mute.lib"
    mute.write_text(group.sub("", read_text(BUILT_IN_LIBRARY)))
    with pytest.raises(ValueError, match=r"^library adderforge130 must have internal_power tables"):
        Flow(liberty=mute)
    words = ["demo", "--liberty", str(mute), "--out", str(tmp_path / "demo")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and not (tmp_path / "demo").exists()
    assert "library adderforge130 must have internal_power tables" in result.stderr


def test_an_effort_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^batches must be at least 1, not 0$"):
        Effort(batches=0)


def report_of(area):
    return SynthReport(
        target="asic", pe="complement", multiplier="none", area_um2=area, cells={}, tools={}
    )


def columns_in(monkeypatch, tmp_path, area, area_of):
    """Columns of the array that grows into `area`, when one of n columns takes area_of(n)."""
    [one, _] = contenders(ARRAY, models(), IMAGES, ONE)
    made = []

    def synthesize(config, target, folder, multiplier, liberty, style, clock_mhz):
        made.append(config.cols)
        return report_of(area_of(config.cols))

    monkeypatch.setattr(compare, "synthesize", synthesize)
    config, _ = grown(one, report_of(area_of(2)), area, Flow(), tmp_path)
    assert len(made) == len(set(made))
    return config.cols


@pytest.mark.parametrize(("area", "cols"), [(100, 10), (99, 9), (21, 2), (10, 1)])
def test_an_array_grows_to_the_columns_that_fit(monkeypatch, tmp_path, area, cols):
    assert columns_in(monkeypatch, tmp_path, area, lambda n: 10 * n) == cols


def test_the_first_guess_of_columns_may_be_too_low_or_too_high(monkeypatch, tmp_path):
    assert columns_in(monkeypatch, tmp_path, 100, lambda n: 20 + 5 * n) == 16
    assert columns_in(monkeypatch, tmp_path, 100, lambda n: n * n) == 10


def test_an_area_without_room_for_a_column_is_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"^no column of complement PEs fits into 9 µm²$"):
        columns_in(monkeypatch, tmp_path, 9, lambda n: 10 * n)


def made_up_report():
    """A report of figures that can be told apart."""

    def twin(pe, scale):
        size = {"luts": 10 * scale, "carries": 2 * scale, "flip_flops": 3, "dsps": 4}
        size |= {"multiplier": "rows"}
        asic = {
            "multiplier": "booth-tree",
            "area_um2": 100.0 * scale,
            "sequential_area_um2": 40.0,
            "pe_area_um2": 20.0,
            "style": "full-adders",
            "fmax_mhz": 200.0,
            "clock_mhz": None,
            "clock_met": None,
        }
        dsp = {"ice40-dsp": size, "ecp5-dsp": size} if pe == "mac" else {}
        return {
            "array": ARRAY.twin(pe).model_dump(),
            "configuration_hash": f"{pe}-hash",
            "layers": ["conv1"],
            "other_layers": ["fc"] if pe == "xnor" else [],
            "accuracy": {"share": 0.9 + 0.01 * scale, "right": 9, "images": 10},
            "synthesis": {"ice40": size, "ecp5": size, "asic": asic} | dsp,
            "routes": {},
            "longest_path_ns": 5.0,
            "memory": {"pj_per_op": 0.125 * scale, "source": "an SRAM"},
            "energy": {
                "pj_per_op": 1.5 * scale,
                "multiplier": "array-tree",
                "place": "asic-array-tree" if pe == "mac" else "asic",
                "cycles": 500,
                "clock_mhz": 100.0,
                "spread_pj": None,
                "zero_delay_pj": 1.25 * scale,
                "glitch_share": 0.25,
                "parts": {"flip_flops": 0.5, "clock": 0.25, "logic": scale, "leakage": None},
                "blocks": {"PEs": 1.0 * scale, "result bus": 0.75},
                "block_parts": {
                    "PEs": {"logic": 1.0 * scale},
                    "result bus": {"flip_flops": 0.5, "clock": 0.25},
                },
            },
            "netlist_check": {"compared": 11, "mismatches": 0},
            "inference": {
                "operations": 1000,
                "cycles": 200,
                "pj": 1500.0 * scale,
                "us_at_longest_path": 1.0,
            },
        }

    scales = {"complement": 1, "mac": 4, "xnor": 2}
    effort = {"images": 1, "batches": 2, "cycles": 400}
    return {
        "options": {
            "data": "digits",
            "liberty": ["cells.lib", "sram.lib"],
            "clock_mhz": None,
            "fpgas": ["ice40", "ecp5"],
            "seeds": 0,
            "effort": effort,
        },
        "tools": {"python": "3.11", "torch": None},
        "twins": {pe: twin(pe, scale) for pe, scale in scales.items()},
        "equal_area": {pe: {"cols": 2, "area_um2": 9.0, "cycles": 3} for pe in scales},
        "command": "adderforge compare --rows 2",
    }


def test_the_verdict_is_of_the_adder_against_the_mac():
    text = verdict(made_up_report())
    assert "takes 0.25 of the CNN's area and 0.25 of its energy per image" in text
    assert text.endswith("at -3.00 points of accuracy.")


def test_tables_put_all_contenders_side_by_side():
    shown = tables(made_up_report())
    results = shown[0]
    assert results.headings == (
        "",
        "adder (complement)",
        "MAC (CNN)",
        "XNOR (BNN)",
        "adder / MAC",
    )
    rows = {row[0]: row[1:] for table in shown for row in table.rows}
    assert rows["test accuracy of the integers"] == ("91.00%", "94.00%", "92.00%", "–")
    assert rows["energy per operation, pJ"] == ("1.5", "6", "3", "0.25")
    assert rows["iCE40, LUTs + DSP blocks"] == ("–", "40 + 4", "–", "–")
    assert rows["… by what the cells are: leakage"] == ("–", "–", "–", "–", "–")
    assert rows["datapath"] == ("1", "4", "2", "0.25", "−3")
    assert rows["registers"] == ("0.75", "0.75", "0.75", "1.00", "0")
    assert rows["memory"] == ("0.125", "0.5", "0.25", "0.25", "−0.375")
    assert rows["control"] == ("–", "–", "–", "–", "–")
    assert "XNOR (BNN): conv1, without fc, which stay ordinary" in results.note


def with_accelerators(report):
    for scale, twin in enumerate(report["twins"].values(), 2):
        parts = {"flip_flops": 0.5, "clock": 1.5, "logic": 1.0 * scale, "leakage": 0.0}
        blocks = {
            "PEs": parts,
            "requantizer": parts | {"logic": 0.25},
            "control": {"clock": 0.5, "logic": 0.25},
            "memory ports": {"clock": 0.125},
            "memories": {"memories": 2.0 * scale},
        }
        twin["accelerator"] = {
            "block_parts": blocks,
            "blocks": {name: sum(of.values()) for name, of in blocks.items()},
            "memories": [
                {"name": "weights.memory", "uj": 1.5e-3 * scale},
                {"name": "sequencer.layers", "uj": 0.5e-3 * scale},
            ],
            "memory_source": "SRAMs",
            "operations_per_inference": 1000,
            "cycles_per_inference": 90,
            "pj_per_inference": 1e6 * scale,
            "pj_per_op": 1e3 * scale,
            "zero_delay_pj_per_op": 900.0 * scale,
            "standard_error": 0.5,
            "power_mw": 3.0,
            "clock_mhz": 100.0,
            "area_um2": 50.0 * scale,
            "sequential_area_um2": 5.0,
            "longest_path_ns": 8.0,
            "cycles": 320,
            "compared": 700,
            "mismatches": 0,
        }
    return report


def test_whole_accelerators_have_tables_a_sentence_and_a_picture(tmp_path):
    report = with_accelerators(made_up_report())
    origins = next(table for table in tables(report) if table.charts == ("accelerators",))
    rows = {row[0]: row[1:] for row in origins.rows}
    assert rows["datapath"] == ("2.25", "3.25", "4.25", "0.69", "−1")
    assert rows["registers"] == ("4", "4", "4", "1.00", "0")
    assert rows["memory"] == ("4", "6", "8", "0.67", "−2")
    assert rows["control"] == ("0.875", "0.875", "0.875", "1.00", "0")
    assert rows["… memory weights"] == ("3", "4.5", "6", "0.67", "−1.5")
    assert "… by where they stand: memories" not in rows
    assert "takes 0.67 of the CNN's energy per image, memories among it" in verdict(report)
    page = write_pages(report, tmp_path)
    html = page.html.read_text()
    assert html.count("<svg") == 4 and "2,100 values, 0 were wrong" in html
    assert 'href="mac/accelerator/cut.v"' in html
    assert "| energy per image, nJ | 2,000 | 3,000 | 4,000 | 0.67 |" in page.markdown


def test_a_clock_rate_that_was_asked_for_has_a_row_and_so_have_routed_ones():
    report = made_up_report()
    for pe, twin in report["twins"].items():
        twin["synthesis"]["asic"] |= {"clock_mhz": 250.0, "clock_met": pe != "mac"}
        twin["routes"] = {"ecp5": {"median_mhz": 90.0, "spread_mhz": 4.0}}
    report["twins"]["mac"]["routes"] = {"ecp5": {"error": "it does not fit"}}
    report["options"] |= {"clock_mhz": 250.0, "seeds": 3}
    rows = {row[0]: row[1:] for table in tables(report) for row in table.rows}
    assert rows["meets 250 MHz"] == ("yes", "no", "yes", "–")
    assert rows["clock rate of that path, MHz"] == ("200", "200", "200", "1.00")
    assert rows["ECP5, MHz between registers, median"] == ("90", "–", "90", "–")
    [routed] = [source for source in sources(report) if source.what == "Routed clock rates"]
    assert routed.how.endswith("MAC (CNN) on ecp5: it does not fit")


def test_a_comparison_without_fpgas_has_none_in_table_and_picture(tmp_path):
    report = made_up_report()
    for twin in report["twins"].values():
        twin["synthesis"] = {"asic": twin["synthesis"]["asic"]}
    page = write_pages(report, tmp_path)
    assert "ECP5 LUTs" not in page.html.read_text() and "ASIC area" in page.html.read_text()


def test_the_page_stands_alone_and_links_what_lies_beside_it(tmp_path):
    report = made_up_report()
    page = write_pages(report, tmp_path)
    html = page.html.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org|purl\.org|creativecommons\.org)", html)
    assert html.count("<svg") == 3 and "22 sums" not in html and "33 sums" in html
    links = set(re.findall(r'href="([^"#][^"]*)"', html))
    assert {
        "cells.lib",
        "sram.lib",
        "complement/asic/netlist.json",
        "complement/asic/activity.npz",
        "mac/asic-array-tree/netlist.json",
        "mac/asic-array-tree/activity.npz",
        "xnor/asic/synth.log",
    } <= links
    assert json.loads((tmp_path / "compare.json").read_text()) == report
    assert "| energy per operation, pJ | 1.5 | 6 | 3 | 0.25 |" in page.markdown


@pytest.mark.parametrize(("arrays", "wholes"), [(2, 0), (0, 3), (2, 3)])
def test_a_comparison_with_wrong_values_fails_in_one_line(monkeypatch, tmp_path, arrays, wholes):
    report = with_accelerators(made_up_report())
    report["twins"]["mac"]["netlist_check"]["mismatches"] = arrays
    report["twins"]["xnor"]["accelerator"]["mismatches"] = wholes
    monkeypatch.setattr("adderforge.compare_run.run_comparison", lambda *_: report)
    monkeypatch.setattr("sim.events.prepare", lambda: None)
    words = ["compare", "--rows", 1, "--cols", 1, "--depth", 400, "--model", ADDER, "--json"]
    words += ["--twin-model", CNN, "--images", 1, "--batches", 1, "--out", tmp_path / "run"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 1
    lines = [line for line in done.stderr.splitlines() if "rror" in line]
    (line,) = lines
    assert f"must be the references', but {arrays + wholes} were wrong; the figures in" in line


@pytest.mark.slow
def test_a_comparison_from_the_command_line_leaves_all_that_its_page_links(tmp_path):
    words = ["compare", "--rows", 1, "--cols", 1, "--depth", 400, "--model", ADDER]
    words += ["--twin-model", CNN, "--images", 1, "--batches", 2]
    words += ["--cycles", 900, "--out", tmp_path / "run", "--json"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    twins = json.loads(done.stdout)["twins"]
    assert [twin["netlist_check"]["mismatches"] for twin in twins.values()] == [0, 0]
    assert all(twin["netlist_check"]["compared"] > 0 for twin in twins.values())
    assert twins["complement"]["energy"]["pj_per_op"] < twins["mac"]["energy"]["pj_per_op"]
    assert twins["mac"]["synthesis"]["ice40"]["multiplier"] == "none"  # made by hand
    html = (tmp_path / "run" / "compare.html").read_text()
    for place in re.findall(r'href="([^"#][^"]*)"', html):
        assert (tmp_path / "run" / place).is_file(), place
