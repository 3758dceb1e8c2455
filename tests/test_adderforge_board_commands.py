"""`adderforge build`, `run` and `ip`: from a model's file to a bitstream, and to answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from golden import model_file, reference
from hw.accelerator_config import AcceleratorConfig
from hw.boards import check_board
from hw.config import ArrayConfig
from hw.program import compile_model
from sim.generated_models import generated_model
from sim.link_run import simulated_board

LAYERS = [{"out_channels": 3, "kernel": (2, 2)}, {"out_channels": 5, "flatten": True}]
MODEL = generated_model("adder", (1, 4, 3), LAYERS, width=6, seed=1)
ARRAY = {"pe": "complement", "width": 6, "rows": 2, "cols": 2, "lanes": 2, "positions": 16}
SIZES = {"activation_words": 32, "weight_words": 64, "constant_words": 8}
LOWEST = -MODEL.input_zero_point
IMAGES = np.random.default_rng(0).uniform(LOWEST, LOWEST + 63, (3, 1, 4, 3)).astype(np.float32)
CLASSES = reference.classify(MODEL, IMAGES).tolist()


def options():
    """The configuration's, with a model and images, which are written here."""
    model_file.save(MODEL, "model.npz")
    np.savez("images.npz", images=IMAGES)
    named = ARRAY | SIZES | {"model": "model.npz"}
    return [word for k, v in named.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def config():
    array = ArrayConfig(dataflow="weight-stationary", **ARRAY)
    return AcceleratorConfig(array=array, **SIZES)


def call(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("board", "seeds", "baud", "message"),
    [
        ("arty", (1,), 1_000_000, "board must be one of icebreaker, ulx3s-85f, not 'arty'"),
        ("icebreaker", (), 1_000_000, "seeds must be at least one, not none"),
        ("icebreaker", (1,), 4_000_000, "choose a lower baud rate than 4000000"),
    ],
)
def test_what_cannot_be_built_is_refused(board, seeds, baud, message):
    with pytest.raises(ValueError, match=message):
        check_board(board, seeds, baud)


def test_a_port_that_is_not_there_is_named_in_one_line():
    words = ["run", *options(), "--port", "/dev/nothing", "--vectors", "images.npz"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1
    assert "/dev/nothing" in result.stderr


@pytest.mark.slow
def test_a_bitstream_is_built_with_what_it_takes_of_the_device():
    figures = call("build", *options(), "--board", "icebreaker", "--out", "build", "--json")
    assert figures["fmax_mhz"][0] > figures["clock_mhz"] == 12
    used, available = figures["resources"][figures["binding"]]
    assert 0 < used < available
    assert Path("build", figures["bitstream"]).stat().st_size == 104_090  # of every UP5K


@pytest.mark.slow
def test_run_classifies_on_a_board(tmp_path):
    words = options()
    with simulated_board(compile_model(MODEL, config()), tmp_path / "board") as port:
        figures = call("run", *words, "--port", port, "--vectors", "images.npz", "--json")
    assert figures["classes"] == CLASSES and figures["wrong_classes"] == 0


@pytest.mark.slow
def test_ip_writes_what_goes_with_the_verilog():
    figures = call("ip", *options(), "--vectors", "images.npz", "--out", "ip", "--json")
    names = {path.name for path in Path("ip").iterdir()}
    wanted = "adderforge_ip.v adderforge_ip.core component.xml registers.json registers.md "
    wanted += "adderforge_registers.h adderforge.svd report.json"
    assert names == set(wanted.split())
    assert figures["program"] in Path("ip", "adderforge_ip.v").read_text().splitlines()[0]


@pytest.mark.slow
def test_ip_with_an_external_memory_writes_programs_for_it():
    bus = ["--external", "weights", "--external-width", "32", "--also", "other.npz"]
    model_file.save(generated_model("adder", (1, 4, 3), LAYERS, width=6, seed=2), "other.npz")
    figures = call("ip", *options(), *bus, "--vectors", "images.npz", "--out", "ip", "--json")
    image, other = (Path("ip", f"{name}.bin").read_bytes() for name in ("program", "other"))
    assert image[:16] == other[:16] and image[16:] != other[16:]
    assert image[16:24][::-1].hex() == figures["program"]
    assert image[8:16][::-1].hex() == figures["hardware"]
    assert "external memory" in Path("ip", "memory_map.txt").read_text()
    assert "ADDERFORGE_BASE_LOW" in Path("ip", "adderforge_registers.h").read_text()
    assert "m_axi_araddr" in Path("ip", "component.xml").read_text()
