"""The experiments: their arithmetic by hand, their trainings done once, their files whole."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from click.testing import CliRunner

from adderforge.cli import main
from golden import data
from golden.reproduce import experiments, figures, propositions, runs
from golden.reproduce.experiments import EXPERIMENTS, Options
from golden.train import TrainConfig


def quiet(what, done, total):
    pass


def test_the_sign_gradient_reaches_only_whole_numbers_of_steps():
    x = np.array([0.5, 0.55])
    path = propositions.descend(x, np.zeros(2), 0.1, 21, "sign")
    np.testing.assert_allclose(path[5:8, 0], [0.5, 0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(path[-4:, 1], [0.6, 0.5, 0.6, 0.5], atol=1e-9)


def test_the_full_gradient_shrinks_the_distance_by_one_minus_alpha():
    path = propositions.descend(np.array([2.0]), np.array([1.0]), 0.25, 3, "full")
    np.testing.assert_allclose(2.0 - path[:, 0], [1, 0.75, 0.5625, 0.421875])


def test_appendix_a_shows_both_propositions():
    numbers = propositions.run(elements=50, steps=200)
    assert numbers["last"]["full"] < 1e-8 < 0.02 < numbers["last"]["sign"] < 0.08
    assert numbers["cycling"] > 0.9


def test_the_likelier_distribution_is_the_one_drawn_from():
    rng = np.random.default_rng(0)
    for name, sample in (("Laplace", rng.laplace(1, 2, 5000)), ("Gauss", rng.normal(1, 2, 5000))):
        fits = figures.fits(sample)
        assert max(fits, key=fits.get) == name


@pytest.fixture
def few_digits(monkeypatch):
    digits = data.load("digits")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    few = replace(digits, **{name: getattr(digits, name)[:64] for name in names})
    monkeypatch.setattr(data, "load", lambda name, directory=None: few)
    return few


def test_a_training_is_done_once_and_kept(few_digits, tmp_path, monkeypatch):
    configs = [TrainConfig(epochs=1, batch_size=32, seed=seed) for seed in (0, 1)]
    seen = []
    first = runs.train_all(configs, tmp_path, lambda *step: seen.append(step))
    assert seen[-1] == ("epochs", 2, 2) and [run.config["seed"] for run in first] == [0, 1]
    monkeypatch.setattr(runs, "train", None)
    assert runs.train_all(configs, tmp_path, quiet) == first
    moved = [replace(config, data_dir="elsewhere") for config in configs]
    assert runs.train_all(moved, tmp_path, quiet) == first
    assert "elsewhere" not in first[0].network.with_suffix(".json").read_text()


def test_another_configuration_is_another_training(few_digits, tmp_path):
    config = TrainConfig(epochs=1, batch_size=32)
    one, other = runs.train_all([config, replace(config, eta=0.5)], tmp_path, quiet)
    assert one.network != other.network


@pytest.mark.parametrize(
    ("name", "count"),
    [("mnist", 2), ("eta", 5), ("ablation", 6), ("cifar10-resnet20", 3)],
)
def test_an_experiment_stands_beside_the_paper(name, count, few_digits, tmp_path, monkeypatch):
    def trained(configs, folder, progress):
        return [
            runs.Run(
                config=asdict(config),
                accuracy=0.9 + index / 1000,
                seconds=1.0,
                curve=[(1.0, 0.5)],
                network=tmp_path / "none.pt",
            )
            for index, config in enumerate(configs)
        ]

    monkeypatch.setattr(experiments, "train_all", trained)
    result = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1), quiet)
    assert "epochs" not in result.title
    short = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1, epochs=3), quiet)
    assert "(3 epochs, the paper's " in short.title
    assert len(result.rows) == count and result.rows[0].ours == "90.00"
    assert all(row.paper for row in result.rows)
    for picture in result.pictures:
        assert (tmp_path / picture).stat().st_size > 1000


@pytest.mark.parametrize("name", ["figure1", "figure2", "figure4"])
def test_a_figure_is_drawn_from_trained_networks(name, few_digits, tmp_path):
    result = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1, epochs=1), quiet)
    assert result.pictures == [f"{name}.png"]
    assert (tmp_path / result.pictures[0]).stat().st_size > 1000


def test_help_names_every_experiment():
    text = " ".join(CliRunner().invoke(main, ["reproduce", "--help"]).stdout.split())
    assert all(name in text for name in EXPERIMENTS)


def test_the_command_writes_numbers_text_and_picture(tmp_path):
    result = CliRunner().invoke(main, ["reproduce", "propositions", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert (tmp_path / "propositions.md").read_text() in result.stdout + "\n"
    numbers = json.loads((tmp_path / "propositions.json").read_text())
    assert numbers["numbers"]["cycling"] > 0.9
    assert (tmp_path / "propositions.png").stat().st_size > 1000


def test_an_unknown_experiment_is_refused_in_one_line(tmp_path):
    result = CliRunner().invoke(main, ["reproduce", "table9", "--out", str(tmp_path / "no")])
    assert result.exit_code == 1 and not (tmp_path / "no").exists()
    assert result.stderr.startswith("adderforge: error: NAME must be one of mnist, ablation")
