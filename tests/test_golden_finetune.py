"""Fine-tuning with simulated integers. The simulation is compared with the integers themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from golden import data, fast, reference, simulation
from golden.codes import MapFormat
from golden.finetune import Tuning, finetune
from golden.graph import NORMS
from golden.kinds import layers_of
from golden.networks import lenet5_bn
from golden.quantize import quantize, quantize_whole
from golden.recipe import Recipe
from golden.residual import ResNet
from golden.simulation import Simulation
from golden.train import TrainConfig, TrainResult, build_network, train

KINDS = ("adder", "cnn", "bnn")


def settled(network, images):
    """The network in float64, its batch norm set to what these images need."""
    network = network.double()
    for norm in (some for some in network.modules() if isinstance(some, NORMS)):
        norm.momentum = 1.0
        nn.init.uniform_(norm.bias, -1, 1)
    with torch.no_grad():
        network.train()(torch.tensor(images))
    return network.eval(), images


def lenet(kind):
    torch.manual_seed(0)
    return settled(lenet5_bn(kind), np.random.default_rng(0).uniform(-0.1, 1.175, (20, 1, 32, 32)))


def resnet(kind):
    """With stored maps of more bits, additions, pooling of both kinds, a map that is flattened."""
    torch.manual_seed(0)
    stem, fc = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Linear(6, 5)
    steps = [[[(4, 3, 1), (4, 3, 1)]], [[(6, 3, 2), (6, 3, 1)]]]
    network = ResNet(layers_of(kind), (3, 9, 8), stem, steps, fc, pool=True)
    return settled(network, np.random.default_rng(0).normal(size=(24, 3, 9, 8)))


def both(network, images, recipe):
    """By layer: codes of the simulated map, and codes of the integer network's."""
    made = quantize_whole(network, images, recipe, corrects=False)
    records = fast.run(made.model, reference.encode(made.model, images))
    with torch.no_grad():
        simulated = list(Simulation(network, made).eval().run(torch.tensor(images)))
    for (layer, _, map), record in zip(simulated, records, strict=True):
        format = made.formats[layer.name][1]
        codes = map / format.scale + format.zero_point
        yield codes.numpy().reshape(record.codes_out.shape), record.codes_out


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [lenet, resnet])
@pytest.mark.parametrize("changes", [{}, {"width": 2}, {"groups": 3}, {"requantize": "shift"}])
def test_the_simulated_network_is_the_integer_network(make, kind, changes):
    network, images = make(kind)
    *inner, (logits, last) = both(network, images, Recipe(**{"width": 4} | changes))
    for simulated, codes in inner:
        np.testing.assert_allclose(simulated, codes, atol=1e-6)
    np.testing.assert_allclose(logits, last, atol=1.001)
    assert np.array_equal(logits.argmax(1), last.argmax(1)) and last.std() > 500


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "kind", "width", "least"),
    [(lenet, "adder", 16, 0.999999), (lenet, "cnn", 16, 0.999999), (resnet, "adder", 16, 0.99)],
)
def test_with_many_bits_the_simulated_network_is_the_float_network(make, kind, width, least):
    network, images = make(kind)
    made = quantize_whole(network, images, Recipe(width=width))
    with torch.no_grad():
        got, wanted = Simulation(network, made)(torch.tensor(images)), network(torch.tensor(images))
    assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > least


def test_the_gradient_passes_where_codes_do_not_saturate():
    format = MapFormat(scale=0.5, zero_point=1, width=2)  # -0.5 … 1
    values = torch.tensor([-0.6, -0.4, 0.3, 0.9, 1.1], requires_grad=True)
    stored = simulation.stored(values, format)
    assert stored.tolist() == [-0.5, -0.5, 0.5, 1.0, 1.0]
    stored.sum().backward()
    assert values.grad.tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind):
    network, images = resnet(kind)
    made = quantize_whole(network, images, Recipe(width=2))
    Simulation(network, made).train()(torch.tensor(images)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and (parameter.grad.any() or "fc." in name), name


def few_digits(count=128):
    digits = data.load("digits")
    parts = {name: getattr(digits, name)[:count] for name in ("train_images", "train_labels")}
    return replace(digits, **parts)


def untrained(kind="adder"):
    config = TrainConfig.suited_to("digits", kind=kind, epochs=1)
    network = build_network(config)
    return TrainResult(config=config, network=network.eval(), history=(), test_accuracy=0.1)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_network_and_the_first_one_stays_as_it_is():
    before, steps = untrained(), []
    states = []
    for seed in (0, 0, 1):
        tuning = Tuning(epochs=2, seed=seed)
        tuned = finetune(before, few_digits(), Recipe(width=3), tuning, 16, steps.append)
        states.append(tuned.network.state_dict())
    first, second, other = ([value.tolist() for value in state.values()] for state in states)
    assert first == second != other
    assert [(step.epoch, step.number, step.steps) for step in steps[:3]] == [
        (1, 1, 2),
        (1, 2, 2),
        (2, 1, 2),
    ]
    fresh = untrained().network.state_dict()
    assert all(torch.equal(fresh[name], some) for name, some in before.network.state_dict().items())
    assert tuned.config == before.config and len(tuned.history) == 2


def test_no_epochs_leave_the_network_as_it_is():
    before = untrained()
    assert finetune(before, None, Recipe(), Tuning()) is before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"epochs": -1},
            "epochs of fine-tuning must be an integer of at least 0, .*, not -1",
        ),
        ({"rate": 0.0}, "the rate of fine-tuning must be a positive number, not 0.0"),
        ({"rate": float("nan")}, "the rate of fine-tuning must be a positive number, not nan"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Tuning(**settings)


@pytest.mark.slow
def test_a_rate_that_makes_the_loss_infinite_stops_and_says_so():
    tuning = Tuning(epochs=2, rate=1e38)
    with pytest.raises(ValueError, match=r"fine-tuning at rate 1e\+38: .* must (stay|be) finite"):
        finetune(untrained(), few_digits(), Recipe(width=3), tuning, 16)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_fine_tuning_raises_the_accuracy_of_two_bits(kind):
    digits = data.load("digits")
    trained = train(TrainConfig.suited_to("digits", kind=kind, epochs=4), dataset=digits)
    recipe = Recipe(width=2)
    tuned = finetune(trained, digits, recipe, Tuning(epochs=8), 256)
    before, after = (integer_accuracy(some.network, digits, recipe) for some in (trained, tuned))
    assert after > before


def integer_accuracy(network, dataset, recipe):
    model = quantize(network, dataset.train_images[:256], recipe=recipe)
    return np.mean(fast.classify(model, dataset.test_images) == dataset.test_labels)
