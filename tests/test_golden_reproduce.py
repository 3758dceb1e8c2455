"""The experiments: their arithmetic by hand, their trainings done once, their files whole."""

import itertools
import json
import pickle
import re
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from adderforge.cli import main
from golden import checkpoint, cifar, data
from golden.reproduce import accuracies, figures, paper, propositions, runs
from golden.reproduce.experiments import EXPERIMENTS
from golden.reproduce.results import Options, Pair
from golden.train import Step, TrainConfig, build_network


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
    monkeypatch.setattr(data, "load", lambda name, directory=None, classes=None: few)
    return few


def test_a_training_is_done_once_and_kept(few_digits, tmp_path, monkeypatch):
    configs = [TrainConfig(epochs=1, batch_size=32, seed=seed) for seed in (0, 1)]
    seen = []
    first = runs.train_all(configs, tmp_path, lambda *step: seen.append(step))
    assert seen[-1][1:] == (2, 2) and [run.config["seed"] for run in first] == [0, 1]
    assert "run 2 of 2 (lenet5-bn adder, seed 1), epoch 1/1, about 0 min left" in seen[-1][0]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".pt", ".pt"]
    monkeypatch.setattr(runs, "train", None)
    assert runs.train_all(configs, tmp_path, quiet) == first
    moved = [replace(config, data_dir="elsewhere") for config in configs]
    assert runs.train_all(moved, tmp_path, quiet) == first
    assert "elsewhere" not in first[0].network.with_suffix(".json").read_text()


def test_another_configuration_is_another_training(few_digits, tmp_path):
    config = TrainConfig(epochs=1, batch_size=32)
    one, other = runs.train_all([config, replace(config, eta=0.5)], tmp_path, quiet)
    assert one.network != other.network


def test_a_training_that_is_broken_off_goes_on(few_digits, tmp_path):
    config, epochs = TrainConfig(epochs=3, batch_size=32), []
    whole = runs.train_all([config], tmp_path / "whole", quiet)

    def progress(what, done, total):
        epochs.append(done)
        if len(epochs) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runs.train_all([config], tmp_path / "again", progress)
    resumed = runs.train_all([config], tmp_path / "again", progress)
    assert epochs == [0, 1, 1, 2, 2, 2, 3]
    assert [run.curve for run in resumed] == [run.curve for run in whole]
    networks = [checkpoint.load(run.network).network for run in (*resumed, *whole)]
    pairs = zip(*[network.state_dict().values() for network in networks], strict=True)
    assert all(one.equal(other) for one, other in pairs)


def test_the_time_left_is_at_the_pace_of_what_was_done_here(monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr(runs.time, "monotonic", lambda: now[0])
    configs = [TrainConfig(epochs=10, seed=seed) for seed in (0, 1)]
    clock = runs.Clock(configs, lambda *step: seen.append(step))
    first, second = clock.follow(configs[0]), clock.follow(configs[1])
    means = {"steps": 4, "loss": 1.0, "train_accuracy": 0.5, "images_per_second": 1.0}
    for on_step, epoch, number, seconds in (
        (first, 7, 1, 60),  # six epochs were there already
        (first, 8, 4, 8 * 60),
        (second, 1, 4, 5 * 3600),
    ):
        now[0] = seconds
        on_step(Step(epoch=epoch, number=number, **means))
    texts = [text.removesuffix(" left; epochs").rpartition("about ")[2] for text, *_ in seen]
    assert texts == ["55 min", "48 min", "9 h 0 min"]  # 13.75 × 4, 12 × 4, 9 × 60
    assert [done for _, done, _ in seen] == [6, 8, 11] and seen[0][2] == 20
    assert seen[2][0].startswith("run 2 of 2 (lenet5-bn adder, seed 1), epoch 1/10, about")


def test_a_run_without_a_test_curve_is_done_again_where_one_is_wanted(few_digits, tmp_path):
    config = TrainConfig(epochs=2, batch_size=32)
    (plain,) = runs.train_all([config], tmp_path, quiet)
    (tested,) = runs.train_all([config], tmp_path, quiet, test_epochs=True)
    assert plain.test_curve is None and len(tested.test_curve) == 2
    assert tested.test_curve[-1] == tested.accuracy and tested.curve == plain.curve
    assert runs.train_all([config], tmp_path, quiet) == [tested]


@pytest.mark.parametrize("content", ['{"accuracy": 1', '{"other": 1}', "[]"])
def test_a_damaged_record_is_named(few_digits, tmp_path, content):
    config = TrainConfig(epochs=1, batch_size=32)
    record = tmp_path / f"{runs._name(config)}.json"
    record.write_text(content)
    with pytest.raises(ValueError, match=r"seed0-\w+\.json: must be the record of a training"):
        runs.train_all([config], tmp_path, quiet)


def test_a_record_made_before_keeps_its_name():
    config = TrainConfig.suited_to("mnist", kind="adder", seed=0, data_dir="somewhere")
    assert runs._name(config) == "lenet5-bn-mnist-adder-seed0-b5d0b00437"


def test_table_1_has_the_norms_of_both_ways_to_begin(few_digits, tmp_path):
    result = EXPERIMENTS["table1"](Options(folder=tmp_path), quiet)
    assert [len(norms) for norms in result.numbers.values()] == [3] * 4
    assert [row.paper for row in result.rows[:6]] == [row.paper for row in result.rows[6:]]
    network = build_network(TrainConfig.suited_to("mnist", init="xavier"))
    network.blocks["fc3"].norm = torch.nn.Identity()
    images, labels = map(torch.from_numpy, (few_digits.train_images, few_digits.train_labels))
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    (gradient,) = torch.autograd.grad(loss, [network.blocks["conv2"].layer.weight])
    wanted = float(gradient.square().sum().sqrt())
    assert result.numbers["adder, logits not normalized, Xavier's filters"][1] == pytest.approx(
        wanted, rel=1e-5
    )
    norms = [float(row.ours) for row in result.rows]
    assert max(norms[:3] + norms[6:9]) < min(norms[3:6] + norms[9:])


@pytest.fixture
def made_up(monkeypatch, tmp_path):
    """Trainings that are not done: their configurations, and results that count up."""
    seen = []

    def trained(configs, folder, progress, test_epochs=False):
        seen.extend(configs)
        return [
            runs.Run(
                config=asdict(config),
                accuracy=0.9 + index / 1000,
                top5=0.99,
                seconds=1.0,
                curve=[(1.0, 0.5)],
                test_curve=[0.5],
                network=tmp_path / "none.pt",
            )
            for index, config in enumerate(configs)
        ]

    monkeypatch.setattr(accuracies, "train_all", trained)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [("mnist", 4), ("eta", 5), ("ablation", 6), ("ablation-xavier", 6), ("ablation-derivative", 6)],
)
def test_an_experiment_stands_beside_the_paper(name, count, made_up, tmp_path):
    result = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1), quiet)
    assert "epochs" not in result.title
    short = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1, epochs=3), quiet)
    assert "(3 epochs, the paper's " in short.title
    assert len(result.rows) == count and result.rows[0].ours == "90.00"
    assert result.pictures == [f"{name}.png"] and (tmp_path / f"{name}.png").exists()
    assert all(row.paper for row in result.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", paper.NETWORKS)
def test_every_network_of_the_tables_is_trained_as_the_paper_says(name, made_up, tmp_path):
    result, entry = (
        EXPERIMENTS[name](Options(folder=tmp_path, seeds=1), quiet),
        paper.NETWORKS[name],
    )
    wanted = [
        TrainConfig.suited_to(entry.data, model=entry.model, kind=kind) for kind in entry.accuracies
    ]
    assert made_up == wanted
    assert all(row.paper for row in result.rows)
    json.dumps(result.numbers)


@pytest.mark.parametrize(
    ("name", "init", "sign", "plain"),
    [
        ("ablation", "normal", "sign", 1),
        ("ablation-xavier", "xavier", "sign", 1),
        ("ablation-derivative", "xavier", "derivative", 5),
    ],
)
def test_an_ablation_has_its_own_filters_signs_and_picture(
    name, init, sign, plain, made_up, tmp_path
):
    result = EXPERIMENTS[name](Options(folder=tmp_path), quiet)
    assert {(config.init, config.gradient) for config in made_up} == {(init, "full"), (init, sign)}
    seeds = Counter(config.schedule for config in made_up)
    assert seeds == {"alr": 2, "ilr": 2, "plain": 2 * plain}
    assert [row.paper for row in result.rows] == [
        "99.40",
        "97.99",
        "98.99",
        "97.72",
        "54.91",
        "29.26",
    ]
    assert result.pictures == [f"{name}.png"] and (tmp_path / f"{name}.png").exists()


def test_a_row_of_table_2_has_accuracies_and_operations(made_up, tmp_path):
    result = EXPERIMENTS["cifar100-resnet32"](Options(folder=tmp_path), quiet)
    assert [(row.label, row.ours, row.paper) for row in result.rows] == [
        ("adder", "90.00", "69.02"),
        ("cnn", "90.10", "69.74"),
        ("bnn", "90.20", "56.21"),
        ("adder, #mul / #add / #xnor", "0 / 138.25 M / 0", "0 / 138.24 M / 0"),
        ("cnn, #mul / #add / #xnor", "69.12 M / 69.12 M / 0", "69.12 M / 69.12 M / 0"),
        ("bnn, #mul / #add / #xnor", "0 / 69.12 M / 69.12 M", "0 / 69.12 M / 69.12 M"),
    ]
    assert result.numbers["operations"]["bnn"]["mul"] == 0
    assert result.pictures == ["cifar100-resnet32.png"]


def test_a_pair_is_drawn_as_dots_beside_a_stroke(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: drawn.append(figure) or path.name)
    pairs = [
        Pair(label="adder", ours=[90.5, 91.25], paper=91.84),
        Pair(label="cnn", ours=[92.0], paper=92.25, digits=1),
    ]
    assert figures.beside(pairs, "test accuracy, %", tmp_path / "some.png") == "some.png"
    (axes,) = drawn[0].axes
    points = [(line.get_marker(), *map(list, line.get_data())) for line in axes.lines]
    assert points == [
        ("o", [90.5, 91.25], [0, 0]),
        ("|", [91.84], [0]),
        ("o", [92.0], [1]),
        ("|", [92.25], [1]),
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adder", "cnn"]
    assert [pair.row.ours for pair in pairs] == ["90.88 ± 0.53, best 91.25", "92.0"]


def test_kinds_of_a_network_may_be_chosen(made_up, tmp_path):
    options = Options(folder=tmp_path, kinds=("cnn", "adder"))
    result = EXPERIMENTS["cifar10-resnet20"](options, quiet)
    assert [config.kind for config in made_up] == ["adder", "cnn"]
    assert [row.label.split(",")[0] for row in result.rows] == ["adder", "cnn"] * 2
    assert [*result.numbers] == ["adder", "cnn", "operations"]
    assert [*result.numbers["operations"]] == ["adder", "cnn"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist", "kind must be one of the experiment's, adder, cnn, not 'bnn'"),
        ("figure1", "kind must be left out for figure1, which is not one of mnist, cifar10-vgg-s"),
    ],
)
def test_a_kind_that_an_experiment_does_not_have_is_refused(name, message, tmp_path):
    words = ["reproduce", name, "--kind", "bnn", "--out", str(tmp_path / "no")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and not (tmp_path / "no").exists()
    assert result.stderr.splitlines()[-1].startswith(f"adderforge: error: {message}")


@pytest.mark.parametrize("name", ["mnist", "table1"])
def test_no_folder_is_left_where_there_are_no_data(name, tmp_path):
    place = tmp_path / "nothing"
    words = ["reproduce", name, "--data-dir", str(place), "--out", str(tmp_path / "no")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and not (tmp_path / "no").exists()
    assert str(place) in result.stderr.splitlines()[-1]


def test_imagenet_has_top_5_too(made_up, tmp_path):
    result = EXPERIMENTS["table5"](Options(folder=tmp_path), quiet)
    assert [(row.label, row.ours, row.paper) for row in result.rows[:3]] == [
        ("l2, top-1", "90.0", "69.6"),
        ("l2, top-5", "99.0", "89.0"),
        ("adder, top-1", "90.1", "66.8"),
    ]
    operations = next(row for row in result.rows if row.label.startswith("l2, #mul"))
    assert (operations.ours, operations.paper) == ("1.81 G / 3.63 G / 0", "1.8 G / 3.6 G / 0")


def few_pixels(monkeypatch, folder, name):
    """The data set with four random images a file."""
    files = cifar.CIFAR[name]
    few = replace(files, train=dict.fromkeys(files.train, 4), test=dict.fromkeys(files.test, 4))
    monkeypatch.setitem(cifar.CIFAR, name, few)
    rng = np.random.default_rng(0)
    for file in few.train | few.test:
        pixels = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        content = {b"data": pixels, files.labels: rng.integers(0, files.classes, 4).tolist()}
        (folder / file).write_bytes(pickle.dumps(content, 2))


def few_pictures(monkeypatch, folder):
    """Six classes of two random pictures, of all and of those for testing."""
    monkeypatch.setitem(data.CLASSES, "imagenet", 6)
    rng = np.random.default_rng(0)
    for part, name in itertools.product(("train", "val"), "abcdef"):
        (folder / part / name).mkdir(parents=True)
        for number in "12":
            picture = Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))
            picture.save(folder / part / name / f"{number}.png")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["cifar10-vgg-small", "cifar10-resnet32", "cifar100-resnet20", "table5"]
)
def test_the_command_trains_a_network_of_the_tables(name, tmp_path, monkeypatch):
    entry, place = paper.NETWORKS[name], tmp_path / "data"
    place.mkdir()
    if entry.data == "imagenet":
        few_pictures(monkeypatch, place)
    else:
        few_pixels(monkeypatch, place, entry.data)
    words = ["reproduce", name, "--data-dir", place, "--epochs", 1, "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert result.exit_code == 0, result.stderr
    figures = json.loads(result.stdout)
    assert f"{entry.title}: test accuracy, % (1 epoch, the paper's " in figures["title"]
    for kind, percents in entry.accuracies.items():
        (run,) = figures["numbers"][kind]
        assert run["epochs"] == 1 and 0 <= run["accuracy"] <= run["top5"] <= 1
        labels = [row["label"] for row in figures["rows"] if row["label"].startswith(kind)]
        assert len(labels) == len(percents) + 1
    assert len(list((tmp_path / "out" / "runs").glob("*.pt"))) == len(entry.accuracies)


def test_a_line_is_printed_off_a_terminal_as_time_goes_by(few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr("adderforge.commands.reproduce.LINES_EVERY", 0)
    words = ["reproduce", "mnist", "--seeds", "1", "--epochs", "1", "--out", str(tmp_path)]
    lines = CliRunner().invoke(main, words).stderr.splitlines()
    assert lines[0].startswith(
        "[1/1] reproduce mnist … run 1 of 2 (lenet5-bn adder, seed 0), epoch"
    )
    assert re.search(r"about 0 min left; epochs \(\d of 2, \d+ s\)", lines[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure1", "figure2", "figure4"])
def test_a_figure_is_drawn_from_trained_networks(name, few_digits, tmp_path):
    result = EXPERIMENTS[name](Options(folder=tmp_path, seeds=1, epochs=1), quiet)
    assert result.pictures == [f"{name}.png"]
    assert (tmp_path / result.pictures[0]).stat().st_size > 1000


def test_help_names_every_experiment():
    text = CliRunner().invoke(main, ["reproduce", "--help"]).stdout
    for name, title in paper.TITLES.items():
        assert re.search(rf"^  {re.escape(name)} +{re.escape(title)}$", text, re.MULTILINE)
    assert list(EXPERIMENTS) == list(paper.TITLES)


def test_the_command_writes_numbers_text_and_picture(tmp_path):
    result = CliRunner().invoke(main, ["reproduce", "propositions", "--out", str(tmp_path)])
    assert result.exit_code == 0
    assert (tmp_path / "propositions.md").read_text() in result.stdout + "\n"
    assert r"mean \|x − f\| at the end | " in result.stdout  # no cells of its own
    numbers = json.loads((tmp_path / "propositions.json").read_text())
    assert numbers["numbers"]["cycling"] > 0.9
    assert (tmp_path / "propositions.png").stat().st_size > 1000


def test_an_unknown_experiment_is_refused_in_one_line(tmp_path):
    result = CliRunner().invoke(main, ["reproduce", "table9", "--out", str(tmp_path / "no")])
    assert result.exit_code == 1 and not (tmp_path / "no").exists()
    assert result.stderr.startswith(
        "adderforge: error: NAME must be one of mnist, cifar10-vgg-small"
    )
