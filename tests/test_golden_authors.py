"""The authors' naming of checkpoints, and their normalization inside the backward pass."""

import math

import pytest
import torch

from golden.authors import load_authors, normalize_in_backward
from golden.kinds import kind_of
from golden.layers import AdderConv2d, AdderLinear
from golden.networks import build
from golden.optimizer import AdderSGD, parameter_groups


def in_their_naming(network, prefix=""):
    """The network's tensors as the authors' code saves them."""
    adders = {name for name, module in network.named_modules() if kind_of(module) == "adder"}
    state = {}
    for name, value in network.state_dict().items():
        path, _, ending = name.rpartition(".")
        if path in adders:
            name = f"{path}.{'adder' if ending == 'weight' else 'b'}"
        state[prefix + name] = value[:, :, None, None] if name == "fc.weight" else value
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("model", ["resnet20", "resnet18"])
def test_a_checkpoint_in_their_naming_loads_whole(model, prefix):
    torch.manual_seed(0)
    theirs, ours = build(model, classes=3).eval(), build(model, classes=3).eval()
    state = in_their_naming(theirs, prefix)
    assert f"{prefix}layer2.0.downsample.0.adder" in state
    assert load_authors(state, ours).complete
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_what_does_not_match_is_listed_and_kept():
    network = build("resnet20")
    state = in_their_naming(build("resnet20", classes=100))
    kept = network.fc.weight.clone()
    del state["layer1.0.conv1.adder"]
    state["fc.bias"] = torch.zeros(10)
    report = load_authors(state, network)
    assert not report.complete and "layer1.0.conv2.weight" in report.loaded
    assert report.missing == ("layer1.0.conv1.weight",) and report.unexpected == ("fc.bias",)
    assert report.mismatched["fc.weight"] == "(100, 64, 1, 1), not (10, 64)"
    assert set(report.mismatched) == {
        "fc.weight", "bn2.weight", "bn2.bias", "bn2.running_mean", "bn2.running_var"
    }  # fmt: skip
    assert torch.equal(network.fc.weight, kept)


def test_a_bias_in_their_naming_loads():
    theirs, ours = AdderConv2d(2, 3, 3, bias=True), AdderConv2d(2, 3, 3, bias=True)
    report = load_authors({"adder": theirs.weight.data, "b": torch.ones(3)}, ours)
    assert report.complete and ours.bias.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (torch.nn.Linear(1, 1), "state_dict must map names to tensors, not be a Linear"),
        ({"epoch": 3}, "but 'epoch' is a int"),
        ({3: torch.zeros(1)}, "but 3 is a Tensor"),
        ({"a": torch.zeros(1).to_sparse()}, "dense tensors of real numbers, but 'a' is .*sparse"),
        ({"a": torch.zeros(1, device="meta")}, "but 'a' is torch.float32 on meta"),
        ({"a": torch.zeros(1, dtype=torch.complex64)}, "but 'a' is torch.complex64"),
    ],
)
def test_something_else_than_tensors_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        load_authors(state, AdderLinear(1, 1))


@pytest.mark.slow
def test_the_steps_are_those_of_the_authors_code():
    torch.manual_seed(0)
    layer = AdderLinear(5, 3).double()
    weight, velocity = layer.weight.detach().clone(), 0
    normalize_in_backward(layer)
    options = {"momentum": 0.9, "weight_decay": 5e-4, "rate": "plain", "nesterov": False}
    optimizer = AdderSGD(parameter_groups(layer), lr=0.1, **options)
    for _ in range(3):
        input, upstream = torch.randn(6, 5).double(), torch.randn(6, 3).double()
        gradient = ((input[:, None] - weight) * upstream[:, :, None]).sum(0)
        gradient = gradient / gradient.norm().clamp(min=1e-12) * math.sqrt(15) / 5
        velocity = 0.9 * velocity + gradient + 5e-4 * weight
        weight = weight - 0.1 * velocity
        optimizer.zero_grad()
        layer(input).backward(upstream)
        optimizer.step()
        torch.testing.assert_close(layer.weight.detach(), weight, rtol=1e-12, atol=1e-12)


def test_two_parts_of_a_batch_do_not_add_up_in_backward_and_the_handles_end_it():
    torch.manual_seed(0)
    layer = AdderLinear(5, 3)
    handles = normalize_in_backward(layer, eta=1.0)
    for _ in range(2):
        layer(torch.ones(1, 5)).sum().backward()
    assert layer.weight.grad.norm().item() == pytest.approx(2 * math.sqrt(15), rel=1e-5)
    for handle in handles:
        handle.remove()
    layer.weight.grad = None
    layer(torch.ones(1, 5)).sum().backward()
    torch.testing.assert_close(layer.weight.grad, 1 - layer.weight.detach())


def test_a_zero_gradient_stays_zero_in_backward():
    layer = AdderLinear(2, 1)
    normalize_in_backward(layer)
    (0 * layer(torch.ones(1, 2))).sum().backward()
    assert layer.weight.grad.tolist() == [[0, 0]]
