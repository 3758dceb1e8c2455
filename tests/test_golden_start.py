"""Trainings that start from a checkpoint."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from adderforge.cli import main
from golden import checkpoint, data, state
from golden.kinds import kind_of
from golden.networks import build
from golden.start import read_start
from golden.train import TrainConfig, TrainResult, build_network, train

CIFAR = TrainConfig.suited_to("cifar10")


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    digits = data.load("digits")
    names = ("train_images", "train_labels", "test_images", "test_labels")
    few = replace(digits, **{name: getattr(digits, name)[:32] for name in names})
    monkeypatch.setattr(data, "load", lambda *names: few)


def saved(path, **changes):
    """A checkpoint of an untrained network."""
    config = TrainConfig(**{"seed": 7} | changes)
    network = build_network(config).eval()
    checkpoint.save(
        TrainResult(config=config, network=network, history=(), test_accuracy=0.5), path
    )
    return network


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in second)


def call(out, *words):
    size = ["--epochs", "2", "--batch-size", "16"]
    return CliRunner().invoke(main, ["train", *size, "--out", str(out), "--json", *map(str, words)])


def test_a_training_starts_from_the_weights_and_keeps_what_they_were(tmp_path):
    network = saved(tmp_path / "first.pt", kind="l2")
    begun = read_start(tmp_path / "first.pt", TrainConfig(kind="adder"))
    assert same(begun.tensors, network.state_dict())
    still = TrainConfig(epochs=1, learning_rate=0.0)
    result = train(still, start=begun)
    weights = dict(result.network.named_parameters())
    assert same(weights, dict(network.named_parameters()))
    assert result.start == {"file": "first.pt", "sha256": begun.sha256}
    checkpoint.save(result, tmp_path / "next.pt")
    assert checkpoint.load(tmp_path / "next.pt").start == result.start


def test_a_checkpoint_of_the_authors_code_starts_a_training(tmp_path):
    theirs, state = build("resnet20"), {}
    for name, value in theirs.state_dict().items():
        path, _, ending = name.rpartition(".")
        if kind_of(theirs.get_submodule(path)) == "adder":
            ending = "adder"
        state[f"module.{path}.{ending}"] = value[:, :, None, None] if path == "fc" else value
    for content in (state, {"state_dict": state, "epoch": 400}):
        torch.save(content, tmp_path / "ResNet20-AdderNet.pth")
        begun = read_start(tmp_path / "ResNet20-AdderNet.pth", CIFAR)
        assert same(begun.tensors, theirs.state_dict())


def test_what_does_not_fit_is_listed(tmp_path):
    state = build("resnet20", classes=100).state_dict()
    del state["conv1.weight"], state["layer1.0.conv1.weight"]
    torch.save(state | {"more": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError) as caught:
        read_start(tmp_path / "other.pt", CIFAR)
    assert str(caught.value) == (
        f"{tmp_path / 'other.pt'}: must fit resnet20 with 10 outputs, but it has no conv1.weight, "
        "layer1.0.conv1.weight; it has unknown more; other shapes are fc.weight (100, 64), not "
        "(10, 64), bn2.weight (100,), not (10,), bn2.bias (100,), not (10,) and 2 more; choose the "
        "model that it was made with, or another checkpoint"
    )


def test_a_checkpoint_of_ours_is_checked_before_it_is_used(tmp_path):
    saved(tmp_path / "adder.pt")
    content = torch.load(tmp_path / "adder.pt", weights_only=True)
    content["state"]["blocks.fc3.norm.bias"] += 1
    torch.save(content, tmp_path / "adder.pt")
    with pytest.raises(ValueError, match="not a consistent checkpoint"):
        read_start(tmp_path / "adder.pt", TrainConfig())


def test_the_state_of_an_unfinished_training_starts_another(tmp_path):
    """As after a loss that was not finite, with other settings."""
    path, config = tmp_path / "adder.state", TrainConfig(epochs=3, batch_size=16)

    def stop(epoch):
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        train(config, stop, state_file=path)
    begun = read_start(path, replace(config, learning_rate=0.01))
    assert same(begun.tensors, state.load(config, path)["network"]) and begun.file == path.name
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"adder.state: must .*damaged"):
        read_start(path, config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must hold a network's tensors, and is damaged or something else"),
        (build("lenet5-bn"), "of a whole network saved by torch.save, save its state_dict"),
        ([1], "state_dict must map names to tensors, not be a list"),
        ({"epoch": 3}, "but 'epoch' is a int"),
    ],
)
def test_something_else_is_refused(tmp_path, content, message):
    path = tmp_path / "odd.pt"
    if content == b"":
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=rf"odd.pt: .*{message}"):
        read_start(path, TrainConfig())
    with pytest.raises(FileNotFoundError, match=r"none.pt: no such file"):
        read_start(tmp_path / "none.pt", TrainConfig())


def test_the_command_starts_from_a_checkpoint_and_says_so(tmp_path):
    saved(tmp_path / "first.pt")
    figures = json.loads(call(tmp_path / "out", "--from-checkpoint", tmp_path / "first.pt").stdout)
    assert figures["start"]["file"] == "first.pt" and len(figures["start"]["sha256"]) == 64
    plain = json.loads(call(tmp_path / "plain").stdout)
    assert plain["start"] is None and plain["test_top5"] >= plain["test_accuracy"]


def test_the_command_refuses_a_checkpoint_that_does_not_fit_and_makes_nothing(tmp_path):
    saved(tmp_path / "first.pt", data="mnist", model="lenet-plus-plus")
    result = call(tmp_path / "out", "--from-checkpoint", tmp_path / "first.pt")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "first.pt: must fit lenet5-bn with 10 outputs" in result.stderr
    assert not (tmp_path / "out").exists()


def test_resuming_does_not_read_the_checkpoint_again(tmp_path, monkeypatch):
    saved(tmp_path / "first.pt")
    words = ("--resume", "--from-checkpoint", tmp_path / "first.pt")
    whole = json.loads(call(tmp_path / "whole", *words).stdout)
    with monkeypatch.context() as patch:
        patch.setattr("golden.metrics.Metrics.add", broken_off)
        assert isinstance(call(tmp_path / "out", *words).exception, KeyboardInterrupt | SystemExit)
    assert (tmp_path / "out" / "adder.state").exists()
    (tmp_path / "first.pt").unlink()
    other = call(tmp_path / "out", "--resume", "--from-checkpoint", "second.pt")
    assert "must start from 'first.pt' as when it was begun, not from 'second.pt'" in other.stderr
    resumed = json.loads(call(tmp_path / "out", *words).stdout)
    assert resumed | {"checkpoint": whole["checkpoint"]} == whole
    networks = [checkpoint.load(tmp_path / name / "adder.pt").network for name in ("out", "whole")]
    assert same(*[network.state_dict() for network in networks])
    finished = call(tmp_path / "out", "--resume", "--from-checkpoint", "second.pt")
    assert "adder.pt: must start from 'first.pt'" in finished.stderr


def test_a_training_that_began_at_random_does_not_resume_from_a_checkpoint(tmp_path):
    assert call(tmp_path / "out").exit_code == 0
    result = call(tmp_path / "out", "--resume", "--from-checkpoint", "first.pt")
    assert "adder.pt: must start from random weights as when it was begun" in result.stderr


def broken_off(metrics, epoch):
    raise KeyboardInterrupt
