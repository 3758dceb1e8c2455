import pytest
import torch

from golden.binary import BinaryLinear
from golden.l2 import L2Conv2d
from golden.layers import AdderConv2d, AdderLinear
from golden.networks import lenet5_bn
from golden.optimizer import AdderSGD, parameter_groups


def parameter(*values, gradient):
    result = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))
    result.grad = torch.tensor(gradient, dtype=torch.float64)
    return result


def stepped(filters, steps=1, adaptive=True, **options):
    optimizer = AdderSGD([{"params": [filters], "adaptive": adaptive}], **options)
    for _ in range(steps):
        optimizer.step()
    return pytest.approx(filters.tolist(), rel=1e-12)


def test_the_first_step_is_equation_13_then_decay_then_nesterov():
    filters = parameter(10.0, 0.0, 0.0, 0.0, gradient=[3.0, 4.0, 0.0, 0.0])
    # α = 0.1 · √4 / 5 = 0.04; g = 0.12 + 0.01 · 10 and 0.16; p -= 0.5 (g + 0.9 g)
    wanted = [10 - 0.5 * 1.9 * 0.22, -0.5 * 1.9 * 0.16, 0, 0]
    assert wanted == stepped(filters, lr=0.5, momentum=0.9, weight_decay=0.01, eta=0.1)


def test_decay_first_is_scaled_with_the_gradient():
    filters = parameter(10.0, 0.0, gradient=[2.0, 4.0])
    # g = 2 + 0.1 · 10 and 4, ‖g‖ = 5; α = 1 · √2 / 5
    rate = 2**0.5 / 5
    wanted = [10 - 0.5 * rate * 3, -0.5 * rate * 4]
    options = {"lr": 0.5, "momentum": 0.0, "weight_decay": 0.1, "eta": 1.0}
    assert wanted == stepped(filters, decay_first=True, **options)


def test_a_state_from_before_the_order_was_a_choice_loads():
    optimizer = AdderSGD([parameter(1.0, gradient=[1.0])], lr=0.1)
    saved = optimizer.state_dict()
    del saved["param_groups"][0]["decay_first"]
    optimizer.load_state_dict(saved)
    optimizer.step()


def test_the_second_step_adds_the_velocity():
    filters = parameter(0.0, gradient=[-8.0])
    # α g = -0.2 at each step; v = -0.2, then -0.2 (1 + 0.5); p -= g + 0.5 v
    wanted = [0.2 * 1.5 + 0.2 + 0.5 * 0.3]
    assert wanted == stepped(filters, steps=2, lr=1.0, momentum=0.5, weight_decay=0.0, eta=0.2)


def test_a_zero_gradient_moves_filters_by_decay_alone():
    filters = parameter(1.0, gradient=[0.0])
    assert [0.9] == stepped(filters, lr=0.1, momentum=0.0, weight_decay=1.0)


def test_a_tiny_gradient_makes_a_full_step_until_epsilon():
    for gradient, step in ((1e-9, 0.1), (1e-13, 0.01)):
        filters = parameter(0.0, gradient=[gradient])
        wanted = [-step]
        assert wanted == stepped(filters, lr=1.0, momentum=0.0, weight_decay=0.0, epsilon=1e-12)


def test_other_parameters_follow_torchs_nesterov():
    ours = parameter(1.0, -2.0, gradient=[3.0, 4.0])
    theirs = parameter(1.0, -2.0, gradient=[3.0, 4.0])
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
    reference = torch.optim.SGD([theirs], nesterov=True, **options)
    for _ in range(3):
        reference.step()
    assert theirs.tolist() == stepped(ours, steps=3, adaptive=False, **options)


def test_accumulated_gradients_give_the_step_of_the_whole_batch():
    torch.manual_seed(0)
    input = torch.randn(6, 5, dtype=torch.float64)
    weights = []
    for parts in (1, 3):
        torch.manual_seed(1)
        layer = AdderLinear(5, 2).double()
        for part in input.chunk(parts):
            layer(part).square().sum().backward()
        AdderSGD(parameter_groups(layer), lr=0.1).step()
        weights.append(layer.weight.detach())
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rate": "ALR"}, "rate must be one of"),
        ({"eta": -1.0}, r"eta must be a number of at least 0, not -1\.0"),
        ({"epsilon": 0.0}, "epsilon must be positive, not 0"),
    ],
)
def test_a_setting_of_one_group_is_checked_too(setting, message):
    group = {"params": [parameter(1.0, gradient=[1.0])], "adaptive": True} | setting
    with pytest.raises(ValueError, match=message):
        AdderSGD([group], lr=0.1)


def test_only_adder_filters_are_adaptive():
    adder, others = parameter_groups(lenet5_bn("adder"))
    assert [len(adder["params"]), len(others["params"])] == [5, 10]
    assert adder["adaptive"] and not others["adaptive"]
    (others,) = parameter_groups(lenet5_bn("cnn"))
    assert len(others["params"]) == 15 and not others["adaptive"]


@pytest.mark.parametrize("name", ["lr", "momentum", "weight_decay", "eta", "epsilon", "increase"])
def test_a_negative_setting_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be a number of at least 0, not -1"):
        AdderSGD([parameter(0.0, gradient=[0.0])], **{"lr": 0.1} | {name: -1})


def test_epsilon_0_is_refused():
    with pytest.raises(ValueError, match="epsilon must be positive"):
        AdderSGD([parameter(0.0, gradient=[0.0])], lr=0.1, epsilon=0)


def test_clipping_by_norm_leaves_the_adaptive_step_and_shortens_the_others():
    torch.manual_seed(0)
    steps = {}
    for clipped in (False, True):
        torch.manual_seed(1)
        network = AdderLinear(5, 2, bias=True).double()
        before = [value.clone() for value in (network.weight, network.bias)]
        network(torch.randn(6, 5, dtype=torch.float64)).square().sum().backward()
        if clipped:
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.01)
        AdderSGD(parameter_groups(network), lr=0.1, weight_decay=0).step()
        after = (network.weight, network.bias)
        steps[clipped] = [now - then for now, then in zip(after, before, strict=True)]
    torch.testing.assert_close(steps[False][0], steps[True][0])
    assert steps[True][1].norm() < 0.01 < steps[False][1].norm()


def test_accumulated_and_clipped_gradients_have_the_norm_of_equation_13():
    torch.manual_seed(0)
    layer = AdderConv2d(2, 3, 3)
    before = layer.weight.detach().clone()
    for _ in range(4):
        layer(torch.randn(2, 2, 6, 6)).sum().backward()
    torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
    options = {"momentum": 0.0, "weight_decay": 0.0, "eta": 0.3}
    AdderSGD(parameter_groups(layer), lr=0.5, **options).step()
    moved = (layer.weight - before).norm().item()
    assert moved == pytest.approx(0.5 * 0.3 * layer.weight.numel() ** 0.5, rel=1e-4)


@pytest.mark.parametrize(("rate", "step"), [("plain", 0.3), ("ilr", 30.0), ("alr", 0.01)])
def test_each_rate_scales_the_filters_alone(rate, step):
    for adaptive, wanted in ((True, [-step]), (False, [-0.3])):
        filters = parameter(0.0, gradient=[3.0])
        options = {"momentum": 0.0, "weight_decay": 0.0, "rate": rate}
        assert wanted == stepped(filters, adaptive=adaptive, lr=0.1, **options)


def test_without_nesterov_it_is_torchs_momentum():
    ours = parameter(1.0, -2.0, gradient=[3.0, 4.0])
    theirs = parameter(1.0, -2.0, gradient=[3.0, 4.0])
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
    reference = torch.optim.SGD([theirs], **options)
    for _ in range(3):
        reference.step()
    options |= {"nesterov": False, "rate": "plain"}
    assert theirs.tolist() == stepped(ours, steps=3, **options)


def test_binary_filters_stay_within_1():
    torch.manual_seed(0)
    layer = BinaryLinear(4, 3)
    (group,) = parameter_groups(layer)
    layer(torch.randn(5, 4)).sum().backward()
    AdderSGD([group], lr=1000.0).step()
    assert layer.weight.abs().max() == 1.0 and not group["adaptive"]


def test_l2_filters_are_adaptive():
    (group,) = parameter_groups(L2Conv2d(2, 3, 3))
    assert group["adaptive"]


def test_filters_of_derived_layers_are_adaptive_and_computed_ones_refused():
    class Derived(AdderLinear):
        pass

    (group,) = parameter_groups(torch.nn.Sequential(Derived(2, 3), AdderLinear(3, 2)))
    assert group["adaptive"] and len(group["params"]) == 2
    computed = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(AdderLinear(2, 3)))
    with pytest.raises(ValueError, match=r"kind adder or l2 must be parameters, .* that of 0 is"):
        parameter_groups(computed)


def test_shared_filters_are_one_parameter():
    layer = AdderLinear(3, 3)
    twin = AdderLinear(3, 3)
    twin.weight = layer.weight
    (group,) = parameter_groups(torch.nn.Sequential(layer, twin))
    assert len(group["params"]) == 1


def test_the_optimizers_state_comes_back():
    weights = []
    for stopped in (False, True):
        torch.manual_seed(0)
        layer = AdderLinear(5, 2)
        optimizer = AdderSGD(parameter_groups(layer), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            layer(torch.randn(3, 5)).sum().backward()
            optimizer.step()
            if stopped and step == 1:
                state = optimizer.state_dict()
                optimizer = AdderSGD(parameter_groups(layer), lr=0.1)
                optimizer.load_state_dict(state)
        weights.append(layer.weight.detach())
    assert torch.equal(*weights)


def test_an_unknown_rate_is_refused():
    with pytest.raises(ValueError, match="rate must be one of"):
        AdderSGD([parameter(0.0, gradient=[0.0])], lr=0.1, rate="adam")


def test_adder_filters_have_a_weight_decay_of_their_own():
    network = torch.nn.Sequential(AdderLinear(2, 3), torch.nn.BatchNorm1d(3))
    for weights in network.parameters():
        torch.nn.init.constant_(weights, 1.0)
        weights.grad = torch.zeros_like(weights)
    options = {"lr": 0.5, "momentum": 0.0, "weight_decay": 0.1}
    for decay, left in ((0.0, 1.0), (0.4, 0.8), (None, 0.76)):
        AdderSGD(parameter_groups(network, decay), **options).step()
        assert network[0].weight.flatten().tolist() == pytest.approx([left] * 6)
    assert network[1].weight.tolist() == pytest.approx([0.95**3] * 3)


def test_slopes_of_prelus_do_not_decay():
    network = torch.nn.Sequential(torch.nn.PReLU(), torch.nn.BatchNorm1d(3))
    for weights in network.parameters():
        weights.grad = torch.zeros_like(weights)
    AdderSGD(parameter_groups(network), lr=0.5, momentum=0.0, weight_decay=0.1).step()
    assert network[0].weight.tolist() == [0.25]
    assert network[1].weight.tolist() == pytest.approx([0.95] * 3)
