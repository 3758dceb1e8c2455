"""A training that is broken off and goes on."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from adderforge.cli import main
from golden import checkpoint, data, state
from golden.train import TrainConfig, train


def few():
    digits = data.load("digits")
    fields = ("train_images", "train_labels", "test_images", "test_labels")
    return dataclasses.replace(digits, **{name: getattr(digits, name)[:40] for name in fields})


def quick(**changes):
    return TrainConfig(**{"epochs": 3, "batch_size": 16, "seed": 4} | changes)


class Broken(Exception):
    pass


def break_off(path, epoch, step):
    """Train until that step of that epoch."""

    def on_step(at):
        if (at.epoch, at.number) == (epoch, step):
            raise Broken

    with pytest.raises(Broken):
        train(quick(), dataset=few(), state_file=path, on_step=on_step)


def same(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 1), (3, 2)])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, epoch, step):
    path, seen = tmp_path / "adder.state", []
    break_off(path, epoch, step)
    resumed = train(quick(), seen.append, few(), state_file=path)
    whole = train(quick(), dataset=few())
    assert same(resumed.network, whole.network)
    assert [at.loss for at in resumed.history] == [at.loss for at in whole.history]
    assert [at.number for at in seen] == [1, 2, 3]


def test_another_configuration_is_refused_with_the_key_that_differs(tmp_path):
    path = tmp_path / "adder.state"
    break_off(path, 2, 1)
    with pytest.raises(ValueError, match=r"adder.state: eta must be 0.2 as when .* not 0.3"):
        train(quick(eta=0.3), dataset=few(), state_file=path)
    state.load(quick(data_dir="elsewhere"), path)


def test_a_key_that_an_older_state_lacks_had_its_default():
    made_with = dataclasses.asdict(quick())
    del made_with["init"]
    state.check_same(quick(), made_with, "adder.state")
    with pytest.raises(ValueError, match="init must be 'normal' as when it was begun, not 'xav"):
        state.check_same(quick(init="xavier"), made_with, "adder.state")


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_damaged_state_is_refused(tmp_path, keep):
    path = tmp_path / "adder.state"
    break_off(path, 2, 1)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="must be a whole training state, and is damaged"):
        state.load(quick(), path)


def test_a_loss_that_is_not_finite_keeps_the_state_before_it(tmp_path):
    path, dataset = tmp_path / "adder.state", few()

    def spoil(epoch):
        dataset.train_images[:] = np.inf

    message = (
        r"nan in epoch 2, step 1; .* the state after epoch 1 is kept in .*adder.state, .*--from-c"
    )
    with pytest.raises(ValueError, match=message):
        train(quick(), spoil, dataset, state_file=path)
    kept = state.load(quick(), path)
    assert all(tensor.isfinite().all() for tensor in kept["network"].values())


def words(out, *more):
    return ["train", "--epochs", "4", "--batch-size", "32", "--out", str(out), *more]


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "adderforge", *arguments], stderr=subprocess.DEVNULL
    )


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


@pytest.mark.slow
def test_a_killed_process_is_resumed_to_the_same_bits(tmp_path):
    process = start(*words(tmp_path))
    wait_for((tmp_path / "adder.state").exists)
    time.sleep(0.05)  # well into the next epoch
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL and not (tmp_path / "adder.pt").exists()
    refused = CliRunner().invoke(main, words(tmp_path))
    assert refused.exit_code == 1 and "must be resumed or removed" in refused.stderr
    assert start(*words(tmp_path, "--resume")).wait() == 0
    whole = train(TrainConfig(epochs=4, batch_size=32))
    assert same(checkpoint.load(tmp_path / "adder.pt").network, whole.network)
    lines = (tmp_path / "adder.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == [f"{at.loss:.6f}" for at in whole.history]
    assert sorted(os.listdir(tmp_path)) == ["adder.csv", "adder.pt", "tensorboard"]


def test_resuming_a_finished_training_gives_its_result(tmp_path):
    once = ["train", "--epochs", "1", "--out", str(tmp_path), "--json"]
    first, again = (CliRunner().invoke(main, [*once, *more]) for more in ([], ["--resume"]))
    assert first.exit_code == again.exit_code == 0 and first.stdout == again.stdout
    other = CliRunner().invoke(main, [*once, "--resume", "--seed", "5"])
    assert other.exit_code == 1 and "seed must be 0 as when it was begun, not 5" in other.stderr
