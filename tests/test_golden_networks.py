import pytest
import torch
from torch import nn

from golden.kinds import KINDS, kind_of, layers_of
from golden.networks import NETWORKS, build
from golden.optimizer import AdderSGD, parameter_groups
from golden.residual import Residual, resnet50

CHAINS = ("lenet5-bn", "lenet-plus-plus", "vgg-small")


def shell(model, kind="cnn", **options):
    """A network without numbers, for its structure."""
    with torch.device("meta"):
        return build(model, kind, **options)


def kinds_of(network):
    """The kinds of the layers that have one, in the order of use."""
    return [kind_of(module) for module in network.modules() if kind_of(module)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["vgg-small", "resnet20", "resnet32", "resnet18", "resnet50"])
def test_first_and_last_layers_stay_ordinary(model, kind):
    first, *inner, last = kinds_of(shell(model, kind))
    assert first == last == "cnn" and set(inner) == {kind}


@pytest.mark.parametrize("model", ["lenet5-bn", "lenet-plus-plus"])
def test_on_mnist_every_layer_is_of_the_kind_but_the_ends_of_binary_networks(model):
    for kind in ("adder", "cnn", "l2"):
        assert set(kinds_of(shell(model, kind))) == {kind}
    first, *inner, last = kinds_of(shell(model, "bnn"))
    assert first == last == "cnn" and set(inner) == {"bnn"}


@pytest.mark.parametrize(
    ("model", "layers", "parameters"),
    [  # weighted layers, shortcuts included; weights without batch norm
        ("lenet5-bn", 5, 61_470),
        ("lenet-plus-plus", 8, 798_516),
        ("vgg-small", 7, 4_656_512),
        ("resnet20", 22, 270_896),
        ("resnet32", 34, 464_432),
        ("resnet18", 21, 11_679_912),
        ("resnet50", 54, 25_503_912),
    ],
)
def test_the_layers_are_the_published_ones(model, layers, parameters):
    weighted = [module for module in shell(model).modules() if kind_of(module)]
    assert len(weighted) == layers
    assert sum(p.numel() for layer in weighted for p in layer.parameters()) == parameters


@pytest.mark.parametrize("model", NETWORKS)
def test_all_kinds_have_the_same_shapes_of_weights(model):
    shapes = [{n: p.shape for n, p in shell(model, kind).named_parameters()} for kind in KINDS]
    assert all(other == shapes[0] for other in shapes)


@pytest.mark.parametrize("model", NETWORKS)
def test_a_network_gives_one_normalized_logit_for_each_class(model):
    network = shell(model, classes=7)
    assert network(torch.zeros(2, *network.in_shape, device="meta")).shape == (2, 7)
    *_, last = (module for module in network.modules() if "BatchNorm" in type(module).__name__)
    assert last.num_features == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["lenet5-bn", "resnet20"])
def test_a_step_moves_every_parameter(model, kind):
    torch.manual_seed(0)
    network = build(model, kind)
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = AdderSGD(parameter_groups(network), lr=0.1)
    side = 8 if model == "resnet20" else 32
    images = torch.randn(4, network.in_shape[0], side, side)
    nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
    optimizer.step()
    for name, value in network.named_parameters():
        assert value.isfinite().all() and not torch.equal(value, before[name]), name


def test_a_binary_network_feeds_both_signs_to_its_binary_layers():
    torch.manual_seed(0)
    network, shares = build("resnet20", "bnn"), []
    for module in network.modules():
        if kind_of(module) == "bnn":
            module.register_forward_pre_hook(
                lambda _, inputs: shares.append((inputs[0] < 0).float().mean().item())
            )
    network(torch.randn(2, 3, 32, 32))
    assert len(shares) == 20 and all(0.1 < share < 0.9 for share in shares)


def test_the_embedding_of_lenet_plus_plus_has_two_dimensions():
    network = build("lenet-plus-plus", "cnn").eval()
    images = torch.randn(3, *network.in_shape)
    features = network(images, last="fc1")
    assert features.shape == (3, 2)
    assert torch.equal(network.blocks["fc2"](features), network(images))
    with pytest.raises(ValueError, match="last must be one of"):
        network(images, last="fc9")


def test_lenet_plus_plus_keeps_a_learned_share_of_what_is_negative():
    network = build("lenet-plus-plus", "adder").eval()
    block = network.blocks["conv3"]
    block.activation.weight.data = torch.arange(64) / 64
    block.pool = 1
    input = torch.randn(1, 32, 6, 6)
    plain = block.norm(block.layer(input))
    slopes = (torch.arange(64) / 64)[:, None, None]
    torch.testing.assert_close(block(input), torch.where(plain > 0, plain, slopes * plain))
    assert isinstance(network.blocks["fc1"].activation, nn.Identity)


def test_a_shortcut_is_the_input_or_a_normalized_layer():
    torch.manual_seed(0)
    same = Residual(layers_of("cnn"), 4, [(4, 3, 1), (4, 3, 1)]).eval()
    same.bn2.weight.data.zero_()
    input = torch.randn(1, 4, 6, 6)
    assert torch.equal(same(input), input.relu())
    other = Residual(layers_of("adder"), 4, [(8, 3, 2), (8, 3, 1)]).eval()
    other.bn2.weight.data.zero_()
    torch.testing.assert_close(other(input), other.downsample(input).relu())
    assert kind_of(other.downsample[0]) == "adder" and other(input).shape == (1, 8, 3, 3)


def test_the_bottleneck_strides_where_it_is_told_to():
    with torch.device("meta"):
        networks = [resnet50("cnn", stride_in=kernel) for kernel in (1, 3)]
    blocks = [network.layer2[0] for network in networks]
    assert [(block.conv1.stride, block.conv2.stride) for block in blocks] == [
        ((2, 2), (1, 1)),
        ((1, 1), (2, 2)),
    ]
    with pytest.raises(ValueError, match="stride_in must be 1 or 3, not 2"):
        resnet50(stride_in=2)


def test_the_gradient_reaches_the_adder_layers():
    layers = [m for m in build("resnet20", gradient="sign").modules() if kind_of(m) == "adder"]
    assert {layer.gradient for layer in layers} == {"sign"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet",), "model must be one of"),
        (("resnet20", "mac"), "kind must be one of"),
        (("resnet20", "adder", "half"), "gradient must be one of"),
    ],
)
def test_an_unknown_word_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(*arguments)
