"""Suggestions for a board: what fits and is fast enough, what binds, and what was promised."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.exploration import narrowest as fewest
from adderforge.exploration import suggest as module
from adderforge.exploration.boards import BOARDS, board
from adderforge.exploration.measuring import Laboratory
from adderforge.exploration.narrowest import narrowest
from adderforge.exploration.store import Measurement
from adderforge.exploration.suggest import FILL, Adviser, Option, Wish
from adderforge.exploration.workloads import Workload, of_model
from golden import model_file
from hw.choices import TARGETS
from hw.schedule import cycles

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER, CNN = FIXTURES / "lenet5-bn-digits-adder.npz", FIXTURES / "lenet5-bn-digits-cnn.npz"


class Model:
    """Guesses 50 LUTs a product, 10 where a DSP makes it, and 40 flip-flops a PE."""

    def guess(self, designs, place):
        for design in designs:
            array = design.array
            pes, each = array.rows * array.cols, 10 if design.multiplier == "dsp" else 50
            figures = {"luts": each * pes * array.lanes, "flip_flops": 40 * pes}
            yield figures, {"luts": 0.1, "flip_flops": 0.05}


@pytest.fixture(autouse=True)
def in_a_new_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def guesses(monkeypatch):
    monkeypatch.setattr(module, "CostModel", lambda samples: Model())


def adviser(rate, name="icebreaker", model=ADDER, clock_mhz=12.0):
    wish = Wish(
        model=model_file.load(model),
        board=board(name),
        images_per_second=rate,
        clock_mhz=clock_mhz,
    )
    return Adviser(wish, Laboratory())


def test_the_first_has_the_fewest_luts_of_all_that_are_fast_enough(guesses):
    first, second, third = adviser(200).options()
    assert first.used["luts"] <= second.used["luts"] <= third.used["luts"] <= FILL * 5280
    for option in (first, second, third):
        array = option.design.array
        count = sum(cycles(layer.shape, array) for layer in of_model(ADDER).layers)
        assert option.images_per_second == 12e6 / count >= 200


def test_an_array_leaves_room_for_what_stands_around_it(guesses, monkeypatch):
    def fastest():
        with pytest.raises(ValueError, match="the fastest") as error:
            adviser(1e6).options()
        return float(re.search("fastest .* gives ([0-9,]+),", str(error.value))[1].replace(",", ""))

    with_room = fastest()
    monkeypatch.setattr(module, "FILL", 1.0)
    assert fastest() > 1.2 * with_room


def test_steps_tell_what_one_more_of_each_buys(guesses):
    (option,) = adviser(200).options(1)
    names = [step.parameter for step in option.steps]
    assert names == ["rows", "cols", "lanes"]
    values = option.design.values
    for step in option.steps:
        assert step.value > values[step.parameter]
        assert step.used["luts"] > option.used["luts"]
        assert step.images_per_second > 0.5 * option.images_per_second


def test_the_binding_resource_is_that_of_the_largest_share(guesses):
    used = {"luts": FILL * 2640, "flip_flops": FILL * 528, "memory_kbits": 572, "dsps": 8}
    design = adviser(200).options(1)[0].design
    option = Option(design=design, images_per_second=1.0, used=used, errors={})
    shares = {"luts": 0.5, "flip_flops": 0.1, "memory_kbits": 0.5, "dsps": 1.0}
    assert option.shares(board("icebreaker")) == pytest.approx(shares)
    assert option.binding(board("icebreaker")) == "dsps"


def test_macs_may_be_made_of_dsps_as_far_as_there_are(guesses):
    options = adviser(200, "ulx3s-85f", CNN, 25.0).options(3)
    assert options[0].design.multiplier == "dsp"
    assert all(option.used["dsps"] <= 156 for option in options)


def test_memory_is_that_of_weights_and_of_the_largest_maps():
    weights = 150 + 2400 + 48_000 + 10_080 + 840
    image, pooled = 32 * 32, 6 * 14 * 14
    assert adviser(1).wish.memory_kbits == 8 * (weights + image + pooled) / 1000


@pytest.mark.parametrize(
    ("rate", "name", "message"),
    [
        (1e6, "icebreaker", "no array that fits icebreaker gives 1,000,000 images a second at 12"),
        (1, "icestick", "lenet5-bn-digits-adder needs 509 kbit for weights and maps, but icestick"),
    ],
)
def test_what_no_board_can_do_says_what_binds(guesses, rate, name, message):
    with pytest.raises(ValueError) as error:
        adviser(rate, name).options()
    assert str(error.value).startswith(message) and "bind" in str(error.value)


def call(*words):
    words = ["suggest", "--model", ADDER, "--store", "store", "--out", "out", *words]
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--board", "abacus", "--min-images-per-second", 1), "board must be one of icestick"),
        (
            ("--board", "icebreaker", "--min-images-per-second", 0),
            "images_per_second must be positive, not 0.0",
        ),
        (
            ("--board", "arty-a7-35", "--min-images-per-second", 1, "--route"),
            "there is no place and route for xilinx7",
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


def test_boards_have_targets_that_can_be_synthesized_and_a_source():
    for one in BOARDS.values():
        assert one.target in TARGETS and min(one.luts, one.flip_flops, one.clock_mhz) > 0
        assert "table" in one.source


def test_a_checkpoint_gets_the_fewest_bits_that_keep_its_accuracy(monkeypatch, tmp_path):
    class Fixed(Laboratory):
        def measure(self, tasks, progress=None):
            figures = {"accuracy": 0.1 * tasks[0].design.array.width}
            return [Measurement(subject=tasks[0].subject, design={}, figures=figures)]

    trained = SimpleNamespace(
        config=SimpleNamespace(kind="cnn", model="lenet5-bn", data="digits", data_dir=None)
    )
    monkeypatch.setattr("golden.checkpoint.load", lambda path: trained)

    def pe_and_width(workload, design):
        return design.array.pe, design.array.width

    monkeypatch.setattr(Workload, "model", pe_and_width)
    path = tmp_path / "cnn.pt"
    path.write_text("")
    assert narrowest(path, 0.45, None, Fixed()) == (("mac", 5), 0.5)
    with pytest.raises(ValueError, match="must be above 0 and at most 1"):
        narrowest(path, 1.5, None, Fixed())
    monkeypatch.setattr(fewest, "WIDTHS", (2, 3))
    with pytest.raises(ValueError, match=r"accuracy of 30\.00% at most, with 3 bits, not 45"):
        narrowest(path, 0.45, None, Fixed())


@pytest.mark.slow
def test_the_suggestion_is_built_and_stands_beside_the_promise():
    result = call("--board", "ulx3s-85f", "--min-images-per-second", 300, "--json")
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)["suggestions"][0]
    assert first["images_per_second"] >= 300
    assert first["built"]["luts"] == pytest.approx(first["used"]["luts"], rel=0.5)
    assert Path("out/suggestion-1.toml").exists()
