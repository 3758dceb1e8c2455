import dataclasses

import numpy as np
import pytest
import torch

from golden import checkpoint, data, reference, state, training
from golden.optimizer import AdderSGD
from golden.quantize import quantize
from golden.train import TrainConfig, build_network, evaluate, train
from golden.train_config import INITS


def few(count=40):
    """The first images of digits, as a data set of its own."""
    digits = data.load("digits")
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:count],
        train_labels=digits.train_labels[:count],
        test_images=digits.test_images[:count],
        test_labels=digits.test_labels[:count],
    )


def quick(**changes):
    return TrainConfig(**{"epochs": 2, "batch_size": 16} | changes)


def same(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("kind", ["adder", "cnn"])
def test_a_seed_gives_the_same_network_again_and_another_seed_another(kind):
    dataset = few()
    first, again, other = (
        train(quick(kind=kind, seed=seed), dataset=dataset).network for seed in (5, 5, 6)
    )
    assert same(first, again) and not same(first, other)


def test_filters_decay_like_other_weights_or_as_their_own_decay_says():
    dataset, usual = few(), TrainConfig().weight_decay
    shared, own, none = (
        train(quick(epochs=1, filter_decay=decay), dataset=dataset).network
        for decay in (None, usual, 0.0)
    )
    assert same(shared, own) and not same(shared, none)


@pytest.mark.parametrize("kind", ["adder", "l2"])
def test_xaviers_filters_have_his_variance_in_every_layer(kind):
    network = build_network(quick(kind=kind, init="xavier"))
    for block in network.blocks.values():
        filters, channels, *kernel = block.layer.weight.shape
        fans = (filters + channels) * np.prod(kernel, initial=1)
        spread = block.layer.weight.std().item() / np.sqrt(2 / fans)
        assert spread == pytest.approx(1, abs=4 / np.sqrt(2 * block.layer.weight.numel()))


def test_init_changes_no_ordinary_layer():
    config = quick(model="resnet20", data="cifar10")
    one, other = (build_network(dataclasses.replace(config, init=init)) for init in INITS)
    pairs = zip(one.named_parameters(), other.named_parameters(), strict=True)
    changed = [name for (name, first), (_, second) in pairs if not torch.equal(first, second)]
    assert len(changed) == 20 and not {"conv1.weight", "fc.weight"} & {*changed}


@pytest.mark.parametrize("kind", ["cnn", "bnn"])
def test_maps_of_ordinary_networks_are_channels_last_and_what_they_learn_is_the_same(
    monkeypatch, tmp_path, kind
):
    images = np.random.default_rng(2).normal(size=(8, 3, 32, 32)).astype(np.float32)
    sets = {"train_images": images, "test_images": images}
    labels = {"train_labels": np.arange(8), "test_labels": np.arange(8)}
    dataset = data.Dataset(name="cifar10", **sets, **labels)
    config = quick(model="resnet20", data="cifar10", kind=kind, batch_size=8, epochs=1)
    last = {"memory_format": torch.channels_last}

    path = tmp_path / "one.state"
    trained = train(config, dataset=dataset, state_file=path).network
    at_work = state.load(config, path)["network"]["layer1.0.conv1.weight"]
    assert at_work.is_contiguous(**last)
    assert all(value.is_contiguous() for value in trained.state_dict().values())

    monkeypatch.setattr(training, "CHANNELS_LAST", ())
    other = train(config, dataset=dataset).network
    for one, two in zip(trained.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0.01, atol=0.02)  # rounding, by a norm of 8


def test_the_seed_orders_the_images_too(monkeypatch):
    monkeypatch.setattr("golden.training.build_network", lambda config: build_network(quick()))
    first, other = (train(quick(seed=seed), dataset=few()).network for seed in (5, 6))
    assert not same(first, other)


def test_training_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(1)
    wanted = torch.rand(1)
    torch.manual_seed(1)
    train(quick(epochs=1), dataset=few())
    assert torch.rand(1) == wanted


def test_every_epoch_is_reported_as_it_ends():
    seen = []
    result = train(quick(epochs=3), seen.append, few())
    assert [epoch.number for epoch in seen] == [1, 2, 3]
    assert result.history == tuple(seen)
    assert seen[-1].loss < seen[0].loss and 0 <= seen[-1].train_accuracy <= 1


def test_looking_at_the_test_images_after_every_epoch_changes_nothing_else():
    plain, tested = (train(quick(), dataset=few(), test_epochs=wish) for wish in (False, True))
    assert same(plain.network, tested.network)
    accuracies = [epoch.test_accuracy for epoch in tested.history]
    assert accuracies[-1] == tested.test_accuracy and 0 <= accuracies[0] <= 1
    assert all(np.isnan(epoch.test_accuracy) for epoch in plain.history)


@pytest.mark.parametrize(
    ("logits", "score"),
    [  # of classes 0 … : the class is 1 in both images
        ([[9, 8, 7, 6, 5, 4], [9, 0, 7, 6, 5, 4]], (0.0, 0.5)),
        ([[0, 9, 7, 6, 5, 4], [9, 1, 7, 6, 5, 0]], (0.5, 1.0)),
        ([[9, 8], [8, 9]], (0.5, 1.0)),
    ],
)
def test_a_class_among_the_five_highest_counts_for_top_5(logits, score):
    images = np.zeros((2, 1, 2, 3), np.float32)
    images.reshape(2, 6)[:, : len(logits[0])] = logits
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, len(logits[0])))
    network[1].weight.data, network[1].bias.data[:] = torch.eye(6)[: len(logits[0])], 0
    assert evaluate(network, images, np.array([1, 1])) == score


def test_the_learning_rate_falls_along_a_cosine_at_every_step(monkeypatch):
    rates = []
    step = AdderSGD.step

    def recorded(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        step(optimizer)

    monkeypatch.setattr(AdderSGD, "step", recorded)
    train(quick(kind="cnn", epochs=3), dataset=few(40))
    wanted = 0.05 * (1 + np.cos(np.pi * np.arange(6) / 6))
    np.testing.assert_allclose(rates, wanted)


def test_the_learning_rate_falls_along_a_line_with_poly():
    config = quick(decay="poly")
    assert [config.rate_at(done) for done in (0, 0.25, 1)] == pytest.approx([0.1, 0.075, 0])


@pytest.mark.parametrize("schedule", ["alr", "ilr", "plain"])
def test_the_schedule_is_the_optimizers_rate(monkeypatch, schedule):
    rates = []
    step = AdderSGD.step

    def recorded(optimizer):
        rates.append(optimizer.param_groups[0]["rate"])
        step(optimizer)

    monkeypatch.setattr(AdderSGD, "step", recorded)
    train(quick(epochs=1, schedule=schedule), dataset=few(16))
    assert rates == [schedule]


def test_every_data_set_has_a_configuration_that_suits_it():
    for name in data.NAMES:
        assert TrainConfig.suited_to(name).data == name
    paper = TrainConfig.suited_to("mnist")
    assert (paper.epochs, paper.batch_size, paper.eta, paper.decay) == (50, 256, 0.1, "cosine")
    assert TrainConfig.suited_to("cifar100").outputs == 100


def test_a_data_set_smaller_than_a_batch_is_one_batch():
    assert len(train(quick(batch_size=64), dataset=few(10)).history) == 2


def test_a_loss_that_is_not_finite_stops_training():
    dataset = few()
    dataset.train_images[:] = np.inf
    with pytest.raises(ValueError, match="must stay finite, but was nan in epoch 1, step 1; lower"):
        train(quick(), dataset=dataset)


def test_weights_that_are_not_finite_stop_a_binary_network_at_the_step():
    dataset = few()
    dataset.train_images[5, 0, 3, 3] = np.nan  # its sign is 1, so the loss stays finite
    with pytest.raises(ValueError, match=r"is not after epoch 1, step [12]; check the images"):
        train(quick(kind="bnn"), dataset=dataset)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "lenet"}, "model must be one of"),
        ({"kind": "mac"}, "kind must be one of"),
        ({"data": "letters"}, "data must be one of"),
        ({"gradient": "half"}, "gradient must be one of"),
        ({"epochs": 0}, "epochs must be an integer of at least 1, not 0"),
        ({"batch_size": 1}, "batch_size must be an integer of at least 2, not 1"),
        ({"seed": 2**63}, "seed must be below 2\\^63, not 9223372036854775808"),
        ({"learning_rate": -0.1}, "learning_rate must be a number of at least 0, not -0.1"),
        ({"filter_decay": -0.1}, "filter_decay must be a number of at least 0, not -0.1"),
        ({"schedule": "fast"}, "schedule must be one of"),
        ({"decay": "step"}, "decay must be one of"),
        ({"data": "cifar10"}, r"must take images of \(3, 32, 32\) for data 'cifar10'.*resnet20"),
        ({"classes": 5}, "classes must be 10 for data 'digits', not 5; leave it out"),
        ({"eta": float("nan")}, "eta must be a number of at least 0, not nan"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**changes)


def saved(tmp_path):
    result = train(quick(epochs=1, seed=3), dataset=few())
    checkpoint.save(result, tmp_path / "float.pt")
    return result, tmp_path / "float.pt"


def test_a_checkpoint_comes_back_whole_and_leaves_no_temporary_file(tmp_path):
    result, path = saved(tmp_path)
    loaded = checkpoint.load(path)
    assert loaded.config == result.config and loaded.test_accuracy == result.test_accuracy
    assert same(loaded.network, result.network) and not loaded.network.training
    assert [entry.name for entry in tmp_path.iterdir()] == ["float.pt"]


def test_a_damaged_checkpoint_is_refused(tmp_path):
    _, path = saved(tmp_path)
    whole = path.read_bytes()
    for share in (0, 0.001, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match="truncated or not a checkpoint"):
            checkpoint.load(path)


def test_a_changed_byte_never_changes_the_network_unnoticed(tmp_path):
    result, path = saved(tmp_path)
    whole = path.read_bytes()
    for position in range(0, len(whole), 4001):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        path.write_bytes(damaged)
        try:
            assert same(checkpoint.load(path).network, result.network)
        except ValueError as error:
            assert "train the network again" in str(error)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "another"}, "not a float checkpoint of AdderForge"),
        ({"version": 99}, "format version must be 1, not 99; train the network again"),
        ({"config": {"size": 3}}, "not a consistent checkpoint"),
        ({"state": {}}, "not a consistent checkpoint"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(tmp_path, changes, message):
    _, path = saved(tmp_path)
    torch.save(torch.load(path, weights_only=True) | changes, path)
    with pytest.raises(ValueError, match=message):
        checkpoint.load(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        checkpoint.load(tmp_path / "nowhere.pt")


def test_gradients_have_the_ratio_of_table_1():
    """Filters of adder layers get gradients far below those of a CNN at the first iteration."""
    dataset = few()
    norms = {}
    for kind in ("adder", "cnn"):
        network = build_network(quick(kind=kind))
        output = network(torch.from_numpy(dataset.train_images))
        torch.nn.functional.cross_entropy(output, torch.from_numpy(dataset.train_labels)).backward()
        norms[kind] = network.blocks["conv1"].layer.weight.grad.norm().item()
    assert norms["adder"] < 0.1 * norms["cnn"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adder", "cnn"])
def test_a_trained_network_keeps_its_accuracy_in_8_bit_integers(kind):
    digits = data.load("digits")
    result = train(TrainConfig(kind=kind, epochs=6), dataset=digits)
    model = quantize(result.network, digits.train_images[:256])
    integer = (reference.classify(model, digits.test_images) == digits.test_labels).mean()
    score = evaluate(result.network, digits.test_images, digits.test_labels)
    assert (result.test_accuracy, result.test_top5) == score
    assert result.test_accuracy > 0.94
    assert abs(integer - result.test_accuracy) < 0.015
