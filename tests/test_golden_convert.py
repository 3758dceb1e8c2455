import pytest
import torch
from torch import nn

import golden
from golden.binary import BinaryConv2d
from golden.kinds import KINDS, kind_of
from golden.layers import AdderConv2d, AdderConvTranspose2d, AdderLinear
from golden.networks import build


def small():
    return nn.Sequential(
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), groups=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, groups=2, bias=False),
        nn.Sequential(nn.Flatten(), nn.LazyLinear(5)),
        nn.Conv1d(1, 1, 1),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_every_kind(kind):
    with torch.device("meta"):
        start = build("resnet20", kind)
    for other in KINDS:
        converted, report = golden.convert(start, other, keep=("conv1", "fc"))
        kinds = [kind_of(module) for module in converted.modules() if kind_of(module)]
        assert kinds == ["cnn"] + [other] * 20 + ["cnn"]
        assert len(report.swapped) == (0 if other == kind else 20)
        shapes = [{name: p.shape for name, p in n.named_parameters()} for n in (start, converted)]
        assert shapes[0] == shapes[1]


def test_sizes_stay_and_the_original_too():
    network = small()
    converted, report = golden.convert(network)
    assert report.swapped == ("0", "3") and type(network[0]) is nn.Conv2d
    conv, transposed = converted[0], converted[3]
    assert type(conv) is AdderConv2d and type(transposed) is AdderConvTranspose2d
    assert conv.bias is not None and transposed.bias is None
    images = torch.randn(2, 4, 9, 8)
    assert converted[:4](images).shape == network[:4](images).shape


def test_the_report_says_what_was_left_alone_and_why():
    _, report = golden.convert(small())
    assert report.left == {
        "4.1": "LazyLinear has no counterpart",
        "5": "Conv1d has no counterpart",
    }
    assert str(report).splitlines() == [
        "2 layers swapped, 2 left alone",
        "4.1: LazyLinear has no counterpart",
        "5: Conv1d has no counterpart",
    ]


class Custom(nn.Conv2d):
    pass


def hooked(kind):
    layer = nn.Linear(2, 2)
    getattr(layer, f"register_{kind}_hook")(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("layer", "kind", "reason"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "adder", "pads by 'reflect'"),
        (nn.Conv2d(1, 1, 2, padding="same"), "adder", "pads by 'same', more on one side"),
        (nn.ConvTranspose2d(1, 1, 3), "l2", "no transposed layer of kind 'l2'"),
        (AdderLinear(1, 1), "adder", "is a layer of kind 'adder' already"),
        (Custom(1, 1, 1), "adder", "Custom has no counterpart"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "adder", "no counterpart"),
        (nn.Embedding(3, 2), "adder", "Embedding has no counterpart"),
        (nn.LSTM(2, 2), "adder", "LSTM has no counterpart"),
        *[(hooked(kind), "adder", "has hooks") for kind in ("forward", "full_backward_pre")],
    ],
)
def test_a_layer_that_would_change_its_meaning_is_left_alone(layer, kind, reason):
    converted, report = golden.convert(nn.Sequential(layer), kind)
    assert type(converted[0]) is type(layer) and not report.swapped
    assert reason in report.left["0"]


def test_weights_that_their_parents_read_stay():
    """PyTorch's fast path for inference multiplies by weights of the layers inside, unasked."""
    encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    converted, report = golden.convert(nn.Sequential(encoder, nn.Linear(8, 8)))
    assert report.swapped == ("1",)
    assert report.left["0.linear1"] == report.left["0.linear2"] == "its parent reads its weight"
    input, encoder = torch.randn(3, 2, 8), converted[0].eval()
    with torch.no_grad():
        fast = encoder(input)
    torch.testing.assert_close(fast, encoder(input))


def test_tied_weights_stay_and_a_layer_used_twice_stays_one():
    first, second, twice = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    converted, report = golden.convert(nn.Sequential(first, second, twice, twice))
    assert converted[0].weight is converted[1].weight and converted[2] is converted[3]
    assert report.left == dict.fromkeys("01", "shares its weight with another layer")


def test_a_single_layer_converts_with_its_type_mode_and_freezing():
    layer = nn.Linear(3, 2, dtype=torch.float64).eval()
    layer.weight.requires_grad_(False)
    converted, _ = golden.convert(layer, gradient="sign")
    assert type(converted) is AdderLinear and converted.gradient == "sign"
    assert converted.weight.dtype == torch.float64 and not converted.training
    assert not converted.weight.requires_grad and converted.bias.requires_grad


def test_kept_modules_stay_whole():
    network = nn.Sequential(small(), nn.Linear(5, 5))
    converted, report = golden.convert(network, "bnn", keep=["0"])
    assert report.swapped == ("1",) and type(converted[0][2]) is nn.ReLU
    assert {report.left[name] for name in ("0.0", "0.3", "0.5")} == {"kept"}


def test_a_module_is_kept_by_any_of_its_names():
    network = nn.ModuleDict({"first": nn.Linear(2, 2)})
    network["again"] = network["first"]
    _, report = golden.convert(network, keep=["again"])
    assert not report.swapped and report.left == {"first": "kept"}


def test_a_binary_network_clips_in_place_of_relu():
    converted, _ = golden.convert(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1)), "bnn")
    assert type(converted[0]) is nn.Hardtanh and type(converted[1]) is BinaryConv2d


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mac"}, "kind must be one of"),
        ({"gradient": "half"}, "gradient must be one of"),
        ({"keep": ["conv9"]}, "keep must name modules of the network, not 'conv9'"),
    ],
)
def test_an_unknown_word_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        golden.convert(small(), **arguments)
