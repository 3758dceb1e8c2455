import pytest
import torch
from torch import nn
from torch.nn import functional

from golden.graph import run as run_graph
from golden.graph import trace
from golden.layers import AdderConv2d
from golden.networks import build
from golden.spec import Pool


def layers_of(network, shape=(2, 8, 8)):
    return {layer.name: layer for layer in trace(network.eval(), shape)}


@pytest.mark.parametrize("kind", ["adder", "cnn", "bnn"])
@pytest.mark.parametrize("model", ["lenet5-bn", "resnet20"])
def test_the_layers_of_a_network_compute_what_it_computes(model, kind):
    torch.manual_seed(0)
    network = build(model, kind).eval()
    images = torch.randn(2, *network.in_shape)
    with torch.no_grad():
        *_, (last, _, got) = run_graph(trace(network, network.in_shape), images)
        torch.testing.assert_close(got, network(images), rtol=1e-5, atol=1e-6)
    assert last.name in ("fc3", "fc")


def test_only_maps_that_are_still_needed_are_kept():
    from golden.graph import Maps

    network = build("resnet20")
    layers = trace(network.eval(), network.in_shape)
    maps, most = Maps(layers, 0), 0
    for layer in layers:
        maps[layer.name] = 0
        most = max(most, len(maps))
        maps.forget(layer)
    assert most == 3 and not maps


class Plain(nn.Module):
    """Everything that may follow a layer, as functions and methods."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout()
        self.last = nn.Linear(4, 3)

    def forward(self, x, unused=None):
        x = functional.relu(self.norm(self.first(x)))
        x = torch.add(self.second(self.drop(x)), x)
        x = functional.max_pool2d(functional.hardtanh(x, -2.0, 3.0), 3, 2, 1)
        x = functional.relu6(self.extra(x)) if unused else x
        return self.last(torch.flatten(self.head(x), 1))

    def head(self, x):
        return nn.functional.avg_pool2d(x, (4, 4))


class Headed(Plain):
    """With a layer before the mean, which thus may take a pooling of its own."""

    def __init__(self):
        super().__init__()
        self.extra = nn.Conv2d(4, 4, 1)

    def head(self, x):
        return functional.avg_pool2d(self.extra(x), (4, 4))


def test_functions_and_methods_are_known():
    layers = layers_of(Headed())
    assert list(layers) == ["first", "second", "extra", "last"]
    first, second = layers["first"], layers["second"]
    assert first.limits == (0, float("inf")) and first.norm is not None and first.pool is None
    assert (second.source, second.residual, second.limits) == ("first", "first", (-2, 3))
    assert second.pool == Pool(kind="max", kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    assert layers["extra"].pool == Pool(kind="mean", kernel=(4, 4), stride=(4, 4))
    assert layers["last"].is_linear


def test_two_poolings_after_one_layer_are_refused():
    with pytest.raises(ValueError, match=r"avg_pool2d.*: pool must directly follow a layer"):
        layers_of(Plain())


class Rest(nn.Module):
    """A convolution, then what `then` makes of its output and the layer."""

    def __init__(self, then):
        super().__init__()
        self.conv, self.then = AdderConv2d(2, 2, 3, padding=1), then

    def forward(self, x):
        return self.then(self.conv(x), self.conv)


class Through(nn.Module):
    """A module as what is made of the output."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, y, conv):
        return self.module(y)


@pytest.mark.parametrize(
    ("then", "message"),
    [
        (lambda y, conv: torch.sigmoid(y), "operation 'sigmoid': sigmoid has no integer form; use"),
        (lambda y, conv: conv(y), "layer 'conv': must run once"),
        (lambda y, conv: y + y, "an addition must be of two different maps"),
        (lambda y, conv: y + 1, "an addition must be of two different maps"),
        (lambda y, conv: y * y, "mul has no integer form"),
        (lambda y, conv: y if y.sum() > 0 else -y, "must not decide by its data"),
        (lambda y, conv: y.relu().relu(), "limits must directly follow a layer"),
        (lambda y, conv: functional.max_pool2d(y, 2, ceil_mode=True), "has no integer form"),
        (lambda y, conv: functional.adaptive_avg_pool2d(y, 2), "has no integer form"),
        (lambda y, conv: functional.avg_pool2d(y, 2, divisor_override=3), "has no integer form"),
        (Through(nn.AvgPool2d(2, divisor_override=3)), "AvgPool2d has no integer form"),
        (Through(nn.MaxPool2d(2, return_indices=True)), "MaxPool2d has no integer form"),
        (lambda y, conv: torch.add(y, y, alpha=-3), "alpha of an addition must be 1, not -3"),
        (lambda y, conv: torch.flatten(y), r"flatten has no integer form; .* and flatten\(1\)"),
        (lambda y, conv: y.flatten(2), "flatten has no integer form"),
        (lambda y, conv: y.flatten(1, 2), "flatten has no integer form"),
        (Through(nn.Flatten(2)), "Flatten has no integer form"),
        (lambda y, conv: y.view(-1, 7), "view has no integer form"),
        (lambda y, conv: y.view(y.size(1), -1), "view has no integer form"),
        (lambda y, conv: y.view(-1, y.size(1) * y.size(2)), "view has no integer form"),
        (lambda y, conv: nn.ReLU()(y), "must hold its modules .*; make them in __init__"),
        (lambda y, conv: y * y.size(0), "mul has no integer form"),
    ],
)
def test_what_has_no_integer_form_is_refused_by_name(then, message):
    with pytest.raises(ValueError, match=message):
        layers_of(Rest(then))


class Ends(nn.Module):
    """A convolution and a linear layer, and between them what makes rows of maps."""

    def __init__(self, rows):
        super().__init__()
        self.conv, self.rows, self.last = nn.Conv2d(2, 3, 3), rows, nn.Linear(108, 4)

    def forward(self, x):
        return self.last(self.rows(self.conv(x)))


@pytest.mark.parametrize(
    "rows",
    [
        lambda y: torch.flatten(y, 1),
        lambda y: y.flatten(start_dim=1),
        lambda y: y.flatten(1, 3),
        nn.Flatten(),
        lambda y: y.view(y.size(0), -1),
        lambda y: y.view(y.shape[0], -1),
        lambda y: y.reshape((y.size()[0], 108)),
        lambda y: y.reshape(y.size(dim=0), -1),
        lambda y: torch.reshape(y, (-1, 108)),
        lambda y: y.view(y.size(0), y.size(1) * y.size(2) * y.size(3)),
        lambda y: y.view(-1, y.shape[1] * y.shape[-2] * y.size()[3]),
        lambda y: y.view(-1, 3 * y.size(2) * y.size(3)),
    ],
)
def test_every_way_to_flatten_is_known(rows):
    torch.manual_seed(0)
    network, images = Ends(rows), torch.randn(2, 2, 8, 8)
    *_, (_, _, logits) = run_graph(trace(network, (2, 8, 8)), images)
    torch.testing.assert_close(logits.flatten(1), network(images))


def test_a_size_taken_before_an_activation_takes_no_map():
    torch.manual_seed(0)
    network, images = Ends(lambda y: _after(y, y.size(0))), torch.randn(2, 2, 8, 8)
    *_, (_, _, logits) = run_graph(trace(network, (2, 8, 8)), images)
    torch.testing.assert_close(logits.flatten(1), network(images))


def _after(y, count):
    return y.relu().view(count, -1)


class Fork(nn.Module):
    """The convolution's output goes two ways before its activation."""

    def __init__(self):
        super().__init__()
        self.conv, self.other = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x):
        y = self.conv(x)
        return self.other(y.relu()) + y


def test_an_activation_of_an_output_that_others_take_is_refused():
    with pytest.raises(ValueError, match="and alone take its output, here of 'conv'"):
        layers_of(Fork())


def test_a_network_that_ends_in_an_earlier_layer_is_refused():
    class Useless(Fork):
        def forward(self, x):
            y = self.conv(x)
            self.other(y)
            return y

    with pytest.raises(ValueError, match="output must be that of its last layer"):
        layers_of(Useless())
