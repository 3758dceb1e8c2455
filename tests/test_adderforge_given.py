"""What commands take of a network, its images and the user's files, where nothing else is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.options import accelerator_config, array_for
from adderforge.pictures import images_from
from golden import data, model_file
from golden.archive import load_arrays
from sim.generated_models import generated_model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"
CNN = FIXTURES / "lenet5-bn-digits-cnn.npz"
NARROW = generated_model(
    "adder",
    (1, 6, 5),
    [{"out_channels": 3, "kernel": (2, 2)}, {"out_channels": 2, "flatten": True}],
    4,
)
NO_SIZES = dict.fromkeys(("activation_words", "weight_words", "constant_words"))
NEED_A_MODEL = ("accelerator", "compare", "ip", "build", "energy")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(*words):
    """The one line that a refused command prints; it must leave no file."""
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 1
    assert before == {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    (line,) = result.stderr.splitlines()
    return line.removeprefix("adderforge: error: ")


def test_images_are_of_the_data_that_the_network_was_trained_on(monkeypatch):
    asked = []
    test_images = np.zeros((5, 1, 6, 5), np.float32)

    digits = data.load("digits")

    def load(*names):
        asked.append(names)
        return replace(digits, test_images=test_images)

    monkeypatch.setattr(data, "load", load)
    trained = replace(NARROW, metadata={"data": "mnist"})
    assert len(images_from(trained, None, None, "somewhere", 3)) == 3
    assert len(images_from(trained, None, "cifar10", None, 9)) == 5
    assert len(images_from(NARROW, None, None, None, 1)) == 1
    assert asked == [("mnist", "somewhere", 2), ("cifar10", None, 2), ("digits", None, 2)]


def test_networks_of_other_data_are_not_compared_unasked():
    network = model_file.load(CNN)
    model_file.save(replace(network, metadata=network.metadata | {"data": "mnist"}), "other.npz")
    line = refused("compare", "--depth", 400, "--model", ADDER, "--twin-model", "other.npz")
    assert line.startswith(
        "networks must be trained on the same data, but are lenet5-bn-digits-adder"
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": np.zeros(3)}, "must hold numbers 'images' .*, and holds pixels (3,);"),
        ({"images": np.zeros(3)}, "and holds images (3,);"),
        ({"images": np.full((1, 1, 6, 5), "a")}, "and holds images (1, 1, 6, 5);"),
        (
            {"images": np.zeros((0, 1, 6, 5))},
            "must hold images of (1, 6, 5) for .*, but has 0",
        ),
        ({"images": np.zeros((2, 1, 5, 6))}, "but has 1 of (1, 5, 6)"),
    ],
)
def test_a_file_without_the_networks_images_is_refused(arrays, message):
    np.savez("images.npz", **arrays)
    with pytest.raises(ValueError) as caught:
        images_from(NARROW, Path("images.npz"), None, None, 1)
    parts = message.split(".*")
    assert str(caught.value).startswith("images.npz: ")
    assert all(part in str(caught.value) for part in parts)


def test_arrays_are_as_wide_as_the_network_where_nothing_else_is_said():
    assert array_for(NARROW, config=None, width=None).width == 4
    assert array_for(NARROW, config=None, width=9).width == 9
    Path("rows.toml").write_text("rows = 3\n")
    assert array_for(NARROW, config=Path("rows.toml"), width=None).width == 4
    Path("wide.toml").write_text("width = 6\n")
    assert array_for(NARROW, config=Path("wide.toml"), width=None).width == 6
    assert array_for(NARROW, config=None, pe="xnor", width=None).width == 1


@pytest.mark.parametrize("text", ["", 'dataflow = "weight-stationary"\n'])
def test_an_accelerator_is_what_its_file_leaves_open(text):
    Path("my.toml").write_text(f"rows = 2\ncols = 2\n{text}")
    options = {"config": Path("my.toml"), "pe": None, "width": None, "dataflow": None} | NO_SIZES
    array = accelerator_config(options, NARROW).array
    assert (array.rows, array.width, array.dataflow) == (2, 4, "weight-stationary")


def test_verilog_of_the_users_must_be_some():
    model_file.save(NARROW, "model.npz")
    Path("empty.v").write_text("")
    Path("binary.v").write_bytes(b"\xff\xfe")
    for name in ("empty.v", "binary.v"):
        words = ("accelerator", "--model", "model.npz", "--depth", 60, "--verilog", name)
        assert (
            refused(*words)
            == f"{name}: must be Verilog text with a module; give the accelerator's file"
        )


def test_a_finished_training_is_not_replaced():
    words = ["train", "--epochs", "1", "--batch-size", "64", "--out", "out"]
    Path("out").mkdir()
    Path("out/adder.pt").write_bytes(b"work of days")
    assert "adder.pt: a finished training must not be replaced" in refused(*words)


def test_verilog_goes_to_no_folder_of_other_files():
    Path("README.md").write_text("mine")
    assert refused("verilog", "--out", ".").startswith(
        ".: must be new, empty or a folder that this"
    )
    for _ in range(2):  # its own folder is written again
        result = CliRunner().invoke(main, ["verilog", "--rows", "1", "--cols", "1", "--out", "ip"])
        assert result.exit_code == 0 and Path("ip/README.md").exists()


def test_a_model_is_not_replaced_by_its_export():
    model_file.save(NARROW, "model.npz")
    assert "must not be the model's" in refused("export", "model.npz", "--onnx", "./model.npz")


def test_programs_for_a_memory_are_checked_before_anything_is_written():
    Path("more").mkdir()
    for path in ("model.npz", "more/model.npz"):
        model_file.save(NARROW, path)
    np.savez("images.npz", images=np.zeros((1, 1, 6, 5)))
    also = ("--also", "model.npz", "--also", "more/model.npz")
    words = ("ip", "--model", "model.npz", "--vectors", "images.npz", "--images", 1)
    message = refused(*words, "--external", "weights", *also, "--out", "ip")
    assert message.startswith("names of networks must differ, but model.bin is there already")


def test_a_single_array_is_no_model_and_numpys_advice_is_not_passed_on():
    np.save("one.npy", np.zeros(3))
    Path("text.npz").write_text("text")
    for name in ("one.npy", "text.npz"):
        with pytest.raises(ValueError, match=rf"^{name}: truncated or not an .npz file") as caught:
            load_arrays(name)
        assert "pickle" not in str(caught.value)


def test_what_the_system_refuses_is_told_with_the_file():
    Path("folder").mkdir()
    assert refused("verilog", "--config", "folder") == "folder: is a directory"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("simulate --data digits", "data must be left out without a network; add --model"),
        ("synth --pdk sky130A", "pdk must be left out for ice40; it is of asic alone"),
        ("synth --seeds 4", "seeds must be left out where nothing is placed; add --route"),
        (
            "train --out o --kind cnn --gradient sign",
            "gradient must be left out for kind 'cnn'",
        ),
        (
            "train --out o --kind l2 --gradient sign",
            "gradient must be left out for kind 'l2'",
        ),
        (
            "train --out o --kind bnn --eta 0.1",
            "eta must be left out for kind 'bnn'; it is of",
        ),
        (
            "train --out o --kind cnn --filter-decay 0",
            "filter_decay must be left out for kind 'cnn'; it is of adder and l2",
        ),
        (
            "train --out o --schedule ilr --eta 0.1",
            "eta must be left out for schedule 'ilr'; it",
        ),
        ("compare --no-fpga --route --twin-model cnn.npz", "route must be left out without FPGAs"),
        ("ip --external-width 64 --images 1", "external_width must be left out without --external"),
        ("accelerator --processes 2", "processes must be left out where nothing is simulated; add"),
        ("accelerator --vectors none.npz", "vectors must be left out where nothing is simulated"),
        ("build --board icebreaker --data digits", "data must be left out without --check"),
        ("build --board arty-a7-35 --seeds 2", "seeds must be left out for arty-a7-35, which Viv"),
        (
            "compare --seeds 2 --twin-model cnn.npz",
            "seeds must be left out where nothing is placed",
        ),
        ("energy --accelerator --layer conv1", "layer must be left out with --accelerator; it is"),
        (
            "energy --accelerator --board icebreaker --layer conv1",
            "layer must be left out with --accelerator; it is of an array",
        ),
        ("simulate --images 3", "images must be left out without a network; add --model"),
        ("simulate --images 0", "images must be left out without a network; add --model"),
        ("quantize none.pt --seed 1 --out o", "seed must be left out where nothing is fine-tuned"),
        ("quantize none.pt --finetune-rate 1 --out o", "finetune_rate must be left out where noth"),
        ("reproduce propositions --epochs 3", "epochs must be left out for propositions"),
        ("reproduce figure2 --seeds 3", "seeds must be left out for figure2"),
        ("accelerator --explain", "explain must be left out where nothing is simulated"),
    ],
)
def test_an_option_without_effect_is_refused(words, message):
    more = ("--model", ADDER, "--depth", 400) if words.split()[0] in NEED_A_MODEL else ()
    assert refused(*words.replace("cnn.npz", str(CNN)).split(), *more).startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("verilog", "--clock-mhz", "inf"), "clock_mhz must be positive, not inf"),
        (
            ("synth", "--target", "asic", "--clock-mhz", "inf"),
            "clock_mhz must be positive, not inf",
        ),
        (
            ("build", "--board", "icebreaker", "--clock-mhz", "nan"),
            "clock_mhz must be positive, not nan",
        ),
        (
            ("build", "--board", "icebreaker", "--clock-mhz", 0),
            "clock_mhz must be positive, not 0.0",
        ),
        (("build", "--board", "icebreaker", "--baud", 0), "baud must be at least 1, not 0"),
    ],
)
def test_rates_are_positive_numbers(words, message):
    more = ("--model", ADDER, "--depth", 400) if words[0] == "build" else ()
    assert refused(*words, *more) == message


@pytest.mark.slow
def test_a_clock_that_nothing_meets_is_told_with_the_fastest():
    words = "synth --rows 1 --cols 1 --width 2 --depth 4 --target asic --clock-mhz 90000 --out out"
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 1 and "clock_met False" in result.stdout
    assert "error: the clock must be 90000 MHz, but the fastest that was" in result.stderr
