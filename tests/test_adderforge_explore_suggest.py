"""Suggestions for a board: what fits and is fast enough, what binds, and what was promised."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.exploration import narrowest as fewest
from adderforge.exploration import on_board, on_cells
from adderforge.exploration.accelerators import compiled
from adderforge.exploration.boards import BOARDS, accelerator_mhz, board
from adderforge.exploration.design import Design
from adderforge.exploration.effort import ENERGY
from adderforge.exploration.measuring import Laboratory
from adderforge.exploration.narrowest import narrowest
from adderforge.exploration.on_board import ARRAY_ROOM, ROOM, OnBoard
from adderforge.exploration.on_cells import OnCells
from adderforge.exploration.promise import Option, Wish, fits, shares
from adderforge.exploration.store import Measurement
from adderforge.exploration.suggest import Adviser
from adderforge.exploration.suggestion_text import suggestion_text
from adderforge.exploration.workloads import Workload, of_model
from golden import model_file
from hw.choices import TARGETS
from hw.tools import ToolError
from hw.up5k import base_mw
from sim.generated_models import generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER, CNN = FIXTURES / "lenet5-bn-digits-adder.npz", FIXTURES / "lenet5-bn-digits-cnn.npz"


class Guesses:
    """50 LUTs a product, 10 where a DSP makes it, and 40 flip-flops a PE; on cells 100 µm² and 2 pJ
    a product, at 100 MHz; 100 pJ a cycle and 10 more a product on a board."""

    def knows(self, effort, requantize):
        known = ("ice40 ultraplus", "ecp5")
        return requantize == "multiply" and effort.accelerator_place in known

    def guess(self, designs, place):
        for design in designs:
            array = design.array
            pes, each = array.rows * array.cols, 10 if design.multiplier == "dsp" else 50
            products = pes * array.lanes
            figures = {"luts": each * products, "flip_flops": 40 * pes, "area_um2": 100 * products}
            figures |= {"fmax_mhz": 100.0, "pj_per_op": 2.0, "pj_per_cycle": 100 + 10 * products}
            yield figures, dict.fromkeys(figures, 0.1)


@pytest.fixture(autouse=True)
def in_a_new_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def guesses(monkeypatch):
    for module in (on_board, on_cells):
        monkeypatch.setattr(module, "CostModel", lambda samples: Guesses())
    monkeypatch.setattr(on_board, "AroundModel", lambda samples, arrays: Guesses())


def for_board(
    rate, name="ulx3s-85f", model=ADDER, clock_mhz=25.0, microjoules=None, laboratory=None
):
    wish = Wish(model=model_file.load(model), images_per_second=rate, microjoules=microjoules)
    workload = of_model(model, accelerator=True)
    laboratory = laboratory or Laboratory()
    return Adviser(OnBoard(wish, workload, board(name), clock_mhz, laboratory))


def on_a_board(option, clock_mhz, pj_per_cycle):
    """µJ of an image, at the icebreaker's clock or another."""
    seconds = 1 / option.images_per_second
    base = base_mw(clock_mhz, pll=clock_mhz != 12.0) * 1e3 * seconds
    return base + pj_per_cycle * clock_mhz * seconds


def for_cells(rate=None, microjoules=None, clock_mhz=None, laboratory=None):
    wish = Wish(model=model_file.load(ADDER), images_per_second=rate, microjoules=microjoules)
    laboratory = laboratory or Laboratory()
    return Adviser(OnCells(wish, of_model(ADDER), clock_mhz, laboratory))


@pytest.mark.slow
def test_the_first_has_the_fewest_luts_of_all_that_are_fast_enough(guesses):
    first, second, third = for_board(300).options()
    assert first.used["luts"] <= second.used["luts"] <= third.used["luts"] <= ROOM * 83_640
    for option in (first, second, third):
        interval = compiled(model_file.load(ADDER), option.design).interval
        assert option.images_per_second == 25e6 / interval >= 300
    for option in for_board(300).ground.guesses(for_board(300).ground.designs()):
        if option.used["luts"] < first.used["luts"]:
            whole = for_board(300).ground.complete(option)
            assert whole is None or whole.images_per_second < 300


@pytest.mark.slow
def test_without_a_rate_the_fastest_that_fits_is_first(guesses):
    adviser = for_board(None, "icebreaker")
    options = adviser.options(500)
    rates = [option.images_per_second for option in options]
    assert rates == sorted(rates, reverse=True) and len(rates) > 3
    assert all(fits(option.used, adviser.ground.limits) for option in options)


def test_where_what_stands_around_was_not_measured_arrays_leave_more_room(guesses):
    assert for_board(1, "tang-nano-9k").ground.limits["luts"] == ARRAY_ROOM * 8640
    assert for_board(1).ground.limits["luts"] == ROOM * 83_640
    layers = [{"out_channels": 4, "kernel": (2, 2)}, {"out_channels": 6, "flatten": True}]
    model_file.save(generated_model("adder", (1, 6, 5), layers, 8, "shift"), "shift.npz")
    ground = for_board(1, model=Path("shift.npz")).ground
    assert ground.limits["luts"] == ARRAY_ROOM * 83_640
    assert "was not measured on ecp5 with requantizer 'shift'; what is built" in ground.scope


def test_steps_tell_what_one_more_of_each_buys(guesses):
    (option,) = for_board(400).options(1)
    values = option.design.values
    assert [step.parameter for step in option.steps] == ["rows", "cols", "lanes"]
    for step in option.steps:
        assert step.value > values[step.parameter]
        assert step.used["luts"] > option.used["luts"]
        assert step.images_per_second > 0.5 * option.images_per_second


def test_the_binding_resource_is_that_of_the_largest_share(guesses):
    adviser = for_board(300, "icebreaker")
    used = {"luts": ROOM * 2640, "flip_flops": ROOM * 528, "block_rams": 15, "dsps": 8}
    option = Option(design=Design.of({}), images_per_second=1.0, used=used)
    found = {"luts": 0.5, "flip_flops": 0.1, "block_rams": 0.5, "dsps": 1.0}
    assert shares(used, adviser.ground.limits) == pytest.approx(found)
    assert adviser.binding(option) == "dsps"


def test_on_cells_the_wish_that_is_nearest_binds(guesses):
    adviser = for_cells(rate=1000, microjoules=2.0)
    used = {"area_um2": 1.0, "microjoules": 1.0}
    for rate, binds in ((1500.0, "images_per_second"), (3000.0, "microjoules")):
        option = Option(design=Design.of({}), images_per_second=rate, used=used)
        assert adviser.binding(option) == binds


def test_macs_may_be_made_of_dsps_as_far_as_there_are(guesses):
    options = for_board(400, "ulx3s-85f", CNN, 25.0).options(3)
    assert options[0].design.multiplier == "dsp"
    assert all(option.used["dsps"] <= 156 for option in options)


def test_requantizers_take_a_multiplier_for_each_column_and_half_of_a_sum(guesses):
    (option,) = for_board(300).options(1)
    array = option.design.array
    assert array.acc_width == 17 and option.used["dsps"] == array.cols
    ground = for_board(300, "icebreaker").ground
    (option,) = ground.guesses([Design.of(option.design.values | {"target": "ice40"})])
    assert option.used["dsps"] == 2 * array.cols


def test_a_suggestion_says_what_is_promised_and_what_there_is(guesses):
    adviser = for_board(300)
    (option,) = adviser.options(1)
    lines = suggestion_text(1, option, adviser).splitlines()
    assert lines[0] == f"1. {option.design.options}"
    assert f"{option.images_per_second:.4g} images a second, " in lines[1]
    assert f"{option.used['luts']} ± 10% LUTs" in lines[1]
    assert " bind it; limits: 75,276 LUTs, 75,276 flip-flops, " in lines[2]
    assert lines[3].startswith("   rows ") and len(lines) == 3 + len(option.steps)


def test_the_least_area_that_is_fast_and_frugal_enough_is_first(guesses):
    workload = of_model(ADDER)
    options = for_cells(rate=3000, microjoules=0.9).options()
    areas = [option.used["area_um2"] for option in options]
    assert areas == sorted(areas) and min(o.images_per_second for o in options) >= 3000
    for option in options:
        assert option.images_per_second == 100e6 / workload.cycles(option.design.array)
        assert option.used["microjoules"] == pytest.approx(2e-6 * workload.operations)
    slow = for_cells(rate=3000, microjoules=0.9, clock_mhz=50).options()
    assert slow[0].used["area_um2"] > areas[0]
    assert "images_per_second" in options[0].errors and "images_per_second" not in slow[0].errors


@pytest.mark.slow
@pytest.mark.parametrize("clock_mhz", [12.0, 24.0])
def test_on_a_board_an_energy_is_that_of_the_design_and_of_the_device(guesses, clock_mhz):
    adviser = for_board(100, "icebreaker", clock_mhz=clock_mhz, microjoules=30.0)
    options = adviser.options()
    assert adviser.ground.limits["microjoules"] == 30.0
    for option in options:
        products = option.used["luts"] / 50
        found = on_a_board(option, clock_mhz, 100 + 10 * products)
        assert option.used["microjoules"] == pytest.approx(found) and found <= 30
        rest = on_a_board(option, clock_mhz, 0.0)
        assert option.errors["microjoules"] == pytest.approx(0.1 * (found - rest) / found)
    for guess in adviser.ground.guesses(adviser.ground.designs()):
        if guess.used["luts"] < options[0].used["luts"]:
            whole = adviser.ground.complete(guess)
            wished = whole and whole.used["microjoules"] <= 30 and whole.images_per_second >= 100
            assert not wished


@pytest.mark.slow
def test_on_a_board_a_suggestion_that_takes_too_much_energy_makes_room(guesses):
    class Hungry(Laboratory):
        """Measures 500 pJ a cycle in one row, 50 otherwise."""

        def measure(self, tasks, progress=None):
            (task,) = tasks
            figures = dict.fromkeys(("luts", "flip_flops", "dsps", "block_rams"), 1)
            if task.level == ENERGY:
                figures = {"pj_per_cycle": 500 if task.design.array.rows == 1 else 50}
            return [Measurement(subject=task.subject, design={}, figures=figures)]

    adviser = for_board(100, "icebreaker", microjoules=30.0, laboratory=Hungry(), clock_mhz=12.0)
    options = adviser.options(20)
    assert options[0].design.array.rows == 1
    built = adviser.build(options)
    first = built[0]
    assert adviser.holds(first) and first.design.array.rows > 1
    assert first.built["microjoules"] == pytest.approx(on_a_board(first, 12.0, 50))
    assert all(o.built["microjoules"] > 30 for o in built[1:] if o.built)


@pytest.mark.slow
def test_the_energy_that_the_help_names_for_a_board_can_be_promised():
    text = CliRunner().invoke(main, ["suggest", "--help"]).stdout
    most = float(re.search(r"--board icebreaker --max-uj-per-image ([0-9.]+)", text)[1])
    (option,) = for_board(None, "icebreaker", clock_mhz=12.0, microjoules=most).options(1)
    assert option.used["microjoules"] <= most


def test_on_a_board_products_have_no_energy(guesses):
    with pytest.raises(ValueError, match="known of adder networks, and of binary ones without"):
        for_board(1, "icebreaker", CNN, microjoules=30.0).options()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("adviser", "message"),
    [
        (lambda: for_board(1e6, "icebreaker"), "no array that fits icebreaker gives 1,000,000 im"),
        (lambda: for_board(1, "icestick"), "no array fits icestick: the one that comes nearest"),
        (
            lambda: for_board(1, "icebreaker", microjoules=1.0),
            "no array fits icebreaker: the one that comes nearest",
        ),
        (lambda: for_cells(1e9), "no array that fits adderforge130.lib gives 1,000,000,000 im"),
        (lambda: for_cells(1, 0.5), "no array fits adderforge130.lib: the one that comes nearest"),
    ],
)
def test_what_cannot_be_says_what_binds(guesses, adviser, message):
    with pytest.raises(ValueError) as error:
        adviser().options()
    assert str(error.value).startswith(message)
    assert re.search(
        "(DSPs|RAMs|LUTs|flops) bind it|takes [0-9.]+ |; ask for less", str(error.value)
    )


class Fixed(Laboratory):
    """Measures what was guessed, but for an energy that is larger in arrays of fewer PEs."""

    def measure(self, tasks, progress=None):
        (task,) = tasks
        array = task.design.array
        products = array.rows * array.cols * array.lanes
        figures = {"area_um2": 100 * products, "fmax_mhz": 100.0, "pj_per_op": 30 / products}
        return [Measurement(subject=task.subject, design={}, figures=figures)]


def test_a_suggestion_that_breaks_its_promise_makes_room_for_the_next(guesses):
    adviser = for_cells(rate=1000, microjoules=2.0, laboratory=Fixed())
    options = adviser.options(40)
    built = adviser.build(options)
    assert adviser.holds(built[0]) and built[0].built["microjoules"] <= 2.0
    missed = [option for option in built[1:] if option.built]
    assert missed and all(option.built["microjoules"] > 2.0 for option in missed)
    assert {o.design for o in built} == {o.design for o in options}
    none = adviser.build(options[:1])
    assert not adviser.holds(none[0])


def call(*words):
    usual = {"--model": ADDER, "--store": "store", "--out": "out"}
    given = [word for option in usual.items() if option[0] not in words for word in option]
    words = ["suggest", *given, *words]
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--board", "abacus", "--min-images-per-second", 1), "board must be one of icestick"),
        (
            ("--board", "icebreaker", "--min-images-per-second", 0),
            "min_images_per_second must be positive, not 0.0",
        ),
        (
            ("--board", "icestick", "--min-images-per-second", 1, "--route"),
            "board must be one of icebreaker, ulx3s-85f",
        ),
        (
            ("--max-uj-per-image", 1, "--min-images-per-second", 1, "--route"),
            "route must be left out without a board",
        ),
        (("--board", "icebreaker"), "at least two of --board, --min-images-per-second"),
        (("--max-uj-per-image", 1), "at least two of --board, --min-images-per-second"),
        (
            ("--max-uj-per-image", 1, "--max-pj-per-operation", 1),
            "give max_uj_per_image or max_pj_per_operation, not both",
        ),
        (
            ("--board", "ulx3s-85f", "--max-uj-per-image", 1),
            "energy is known of cell libraries and of the iCE40 UP5K, whose current was measured, "
            "not of the LFE5U-85F; leave out the board or the energy, or take icebreaker",
        ),
        (
            ("--max-uj-per-image", -1, "--min-images-per-second", 1),
            "max_uj_per_image must be positive, not -1.0",
        ),
        (
            ("--max-uj-per-image", 1, "--min-images-per-second", 1, "--clock-mhz", 0),
            "clock_mhz must be positive, not 0.0",
        ),
        (
            ("--board", "ulx3s-85f", "--min-images-per-second", 1, "--clock-mhz", 1e5),
            "clock_mhz must be a rate that the PLL makes of 25 MHz, to 2 %, not 100000; 800 comes",
        ),
        (
            ("--board", "tang-nano-9k", "--min-images-per-second", 1, "--clock-mhz", 50),
            "clock_mhz must be the board's own, 27, on gowin, not 50",
        ),
        (
            ("--board", "icebreaker", "--min-images-per-second", 1, "--min-accuracy", 0.9),
            "min_accuracy must be given with a checkpoint (.pt), and with nothing else",
        ),
        (
            ("--board", "icebreaker", "--min-images-per-second", 1, "--count", 0),
            "count must be at least 1, not 0",
        ),
    ],
)
def test_bad_wishes_are_refused_in_one_line(words, message):
    result = call(*words)
    assert result.exit_code == 1 and not Path("out").exists()
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"adderforge: error: {message}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--board", "abacus"), "board must be one of icestick"),
        (("--board", "icebreaker", "--clock-mhz", 1e5), "clock_mhz must be a rate that the PLL"),
        (("--max-uj-per-image", 1, "--clock-mhz", 0), "clock_mhz must be positive, not 0.0"),
        (("--min-images-per-second", 0), "min_images_per_second must be positive, not 0.0"),
        (("--max-pj-per-operation", -1), "max_pj_per_operation must be positive, not -1.0"),
        (("--board", "icebreaker", "--out", "full"), "full: the run folder must be new or empty"),
    ],
)
def test_with_a_checkpoint_all_else_is_checked_before_the_search(words, message):
    Path("full").mkdir()
    Path("full/mine.txt").write_text("keep me")
    result = call("--model", "none.pt", "--min-accuracy", 0.9, *words)
    assert result.exit_code == 1 and not Path("out").exists()
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"adderforge: error: {message}")


@pytest.fixture
def built(guesses, monkeypatch):
    """(holds, bitstream): the result of --route where what was built does what is wished or does
    not, and what makes the bitstream."""

    def route(holds, bitstream, *words):
        design = Design.of({})
        figures = dict.fromkeys(("luts", "flip_flops", "dsps", "block_rams"), 1)
        figures["images_per_second"] = 2.0 if holds else 0.5
        option = Option(design=design, images_per_second=2.0, used={"luts": 1}, built=figures)
        monkeypatch.setattr(Adviser, "options", lambda self, count: [option])
        monkeypatch.setattr(Adviser, "build", lambda self, options: options)
        monkeypatch.setattr("adderforge.commands.suggest._bitstream", bitstream)
        return call("--board", "icebreaker", "--min-images-per-second", 1, "--route", *words)

    return route


def test_no_bitstream_is_made_of_a_promise_that_does_not_hold(built):
    def never(*others):
        raise AssertionError

    result = built(False, never)
    assert result.exit_code == 1 and "WHAT IS WISHED DOES NOT HOLD" in result.stdout
    assert result.stdout.splitlines()[-2] == "no bitstream, for what is wished does not hold"
    assert json.loads(Path("out/suggest.json").read_text())["board"] is None


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_bitstream_that_fails_leaves_what_was_built(built, words):
    def failing(*others):
        raise ToolError("nextpnr failed")

    result = built(True, failing, *words)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "adderforge: error: nextpnr failed"
    report = json.loads(Path("out/suggest.json").read_text())
    assert report["suggestions"][0]["holds"] and Path("out/suggestion-1.toml").exists()
    assert json.loads(result.stdout) == report if words else "wished holds" in result.stdout


def test_a_bitstream_that_was_made_stands_in_the_report(built):
    made = {"board": "iCEBreaker", "fmax_mhz": [25.0], "resources": {"LUTs": [5, 9]}}
    result = built(True, lambda *others: made)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2] == "iCEBreaker: routed at 25 MHz; 5 of 9 LUTs"
    assert json.loads(Path("out/suggest.json").read_text())["board"] == made


@pytest.mark.parametrize(
    ("name", "wanted", "rate"),
    [
        ("ulx3s-85f", None, 25),
        ("ulx3s-85f", 25, 25),
        ("ulx3s-85f", 50, 50),
        ("icebreaker", 17, 16.875),
        ("arty-a7-35", None, 50),
        ("cmod-a7-35", None, 12),
    ],
)
def test_an_accelerator_runs_at_a_rate_that_its_board_makes(name, wanted, rate):
    assert accelerator_mhz(BOARDS[name], wanted) == rate


def test_boards_have_targets_that_can_be_synthesized_and_a_source():
    for one in BOARDS.values():
        assert one.target in TARGETS and min(one.luts, one.flip_flops, one.clock_mhz) > 0
        assert "table" in one.source


def test_a_checkpoint_gets_the_fewest_bits_that_keep_its_accuracy(monkeypatch, tmp_path):
    class ByWidth(Laboratory):
        def measure(self, tasks, progress=None):
            figures = {"accuracy": 0.1 * tasks[0].design.array.width}
            return [Measurement(subject=tasks[0].subject, design={}, figures=figures)]

    trained = SimpleNamespace(
        config=SimpleNamespace(kind="cnn", model="lenet5-bn", data="digits", data_dir="here")
    )
    monkeypatch.setattr("golden.checkpoint.load", lambda path: trained)

    def pe_and_width(workload, design):
        return design.array.pe, design.array.width

    monkeypatch.setattr(Workload, "model", pe_and_width)
    path = tmp_path / "cnn.pt"
    path.write_text("")
    workload, model, share = narrowest(path, 0.45, ByWidth())
    assert (model, share) == (("mac", 5), 0.5) and workload.models == {"cnn": path}
    assert (workload.data_set, workload.data_dir) == ("digits", "here")
    others = ((("mnist", None), None), (("mnist", "there"), "there"), (("digits", None), "here"))
    for given, folder in others:
        workload, *_ = narrowest(path, 0.45, ByWidth(), *given)
        assert (workload.data_set, workload.data_dir) == (given[0], folder)
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        narrowest(path, 1.5, ByWidth())
    monkeypatch.setattr(fewest, "WIDTHS", (2, 3))
    with pytest.raises(ValueError, match=r"accuracy of 30\.00% at most, with 3 bits, not 45"):
        narrowest(path, 0.45, ByWidth())


@pytest.mark.slow
def test_the_suggestion_is_built_and_stands_beside_the_promise():
    words = ("--max-uj-per-image", 3, "--min-images-per-second", 300, "--json")
    result = call(*words)
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)["suggestions"][0]
    built = first["built"]
    assert first["holds"] and built["images_per_second"] >= 300 and built["microjoules"] <= 3
    assert built["area_um2"] == pytest.approx(first["used"]["area_um2"], rel=0.5)
    assert Path("out/suggestion-1.toml").exists()
