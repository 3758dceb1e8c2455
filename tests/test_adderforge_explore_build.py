"""The commands on an exploration's page make the design again, where there are such."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from adderforge.cli import main
from adderforge.exploration.accelerators import compiled
from adderforge.exploration.build_command import build_command, config_file
from adderforge.exploration.design import Design, DesignPoint
from adderforge.exploration.effort import Effort
from adderforge.exploration.page import _shown, toml
from adderforge.exploration.workloads import Workload, network, of_model
from golden import checkpoint
from golden.train_config import TrainConfig
from golden.training import TrainResult, build_network
from hw.program_hash import program_hash

FIXTURES = Path(__file__).parent.parent / "fixtures"
ADDER = FIXTURES / "lenet5-bn-digits-adder.npz"
AROUND = {"dataflow": "weight-stationary", "positions": 784, "depth": 400}


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def trained():
    config = TrainConfig()
    path = Path("adder.pt")
    parts = {"network": build_network(config), "history": (), "test_accuracy": 0.1}
    checkpoint.save(TrainResult(config=config, **parts), path)
    return path


def command(workload, effort=None, figures=None, **values):
    point = DesignPoint(design=Design.of(values), figures=figures or {})
    return build_command(point, workload, effort or Effort())


def test_arrays_are_synthesized_with_their_library_and_multiplier():
    lenet, cells = network("lenet5-bn"), Effort(liberty=Path("my cells.lib"))
    file = config_file(Design.of({"pe": "mac"}))
    start = f"adderforge synth --config {file} --target"
    assert command(lenet, pe="mac") == f"{start} asic"
    library = shlex.quote(f"{Path.cwd()}/my cells.lib")
    assert command(lenet, cells, pe="mac") == f"{start} asic --liberty {library}"
    found = command(lenet, Effort(target="ecp5"), {"made_of": "rows"}, pe="mac")
    assert found == f"{start} ecp5 --multiplier rows"
    assert command(lenet, figures={"made_of": "none"}).endswith("--target asic")


def test_accelerators_that_no_command_makes_have_none(trained, monkeypatch):
    workload = of_model(ADDER, accelerator=True)
    quantized = workload.quantized
    monkeypatch.setattr(Workload, "model", lambda self, design: quantized)
    assert command(workload, **AROUND).startswith(f"adderforge ip --model {ADDER} --config designs")
    assert command(workload, **AROUND, map_width=12) is None
    assert _shown({"build": None}) == {"build": "no command builds it"}
    of_floats = replace(workload, models={"adder": trained})
    start = f"adderforge quantize {Path.cwd()}/adder.pt --width 8 "
    assert command(of_floats, **AROUND).startswith(start)
    assert command(replace(of_floats, data="mnist"), **AROUND) is None


def test_images_for_the_self_test_come_from_the_folder_of_the_models_data(trained, monkeypatch):
    workload = of_model(ADDER, accelerator=True)
    quantized = workload.quantized
    monkeypatch.setattr(Workload, "model", lambda self, design: quantized)
    with_folder = replace(workload, data_dir="images")
    end = f" --data-dir {Path.cwd()}/images"
    assert command(with_folder, **AROUND).endswith(end)
    assert "--data-dir" not in command(replace(with_folder, data="mnist"), **AROUND)
    of_floats = replace(with_folder, models={"adder": trained})
    assert [end in one for one in command(of_floats, **AROUND).split("&&")] == [True, True]


def run(text):
    words = [shlex.split(one)[1:] for one in text.split(" && ")]
    words[-1] += ["--data", "digits", "--out", "made"]
    for one in words:
        done = CliRunner().invoke(main, one)
        assert done.exit_code == 0, done.output


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"external": "maps"}])
def test_the_command_makes_the_same_program(more, monkeypatch, trained):
    values = AROUND | {"rows": 2, "cols": 2, "lanes": 2} | more
    design = Design.of(values)
    workload = of_model(ADDER, accelerator=True)
    if not more:
        models = {"adder": trained}
        workload = network("lenet5-bn", models=models, accelerator=True)
        design = Design.of(values | {"requantize": "shift", "groups": 2, "width": 6})
    Path("out/designs").mkdir(parents=True)
    Path("out", config_file(design)).write_text(toml(design))
    model = replace(workload.model(design), name="lenet5-bn-digits-adder")
    expected = compiled(model, design)
    text = build_command(DesignPoint(design=design, figures={}), workload, Effort())
    monkeypatch.chdir("out")
    run(text)
    report = Path("made/report.json").read_text()
    assert program_hash(expected) in report
