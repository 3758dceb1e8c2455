import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from adderforge.cli import main
from golden.binary import BinaryLinear
from golden.count import Operations, count, count_layers, model_layers, operations, published
from golden.l2 import L2Conv2d
from golden.layers import AdderConv2d, AdderConvTranspose2d, AdderLinear


def significant(value, digits):
    return float(f"{value:.{digits}g}")


@pytest.mark.parametrize(
    ("model", "digits", "multiplications", "additions"),
    [  # as the paper prints them
        ("lenet5-bn", 3, 435e3, 871e3),  # the paper's 870 K is twice the rounded 435 K
        ("resnet32", 4, 69.12e6, 138.2e6),  # and 138.24 M twice 69.12 M
        ("resnet18", 2, 1.8e9, 3.6e9),
        ("resnet50", 2, 3.9e9, 7.7e9),
    ],
)
def test_the_papers_rule_gives_the_papers_totals(model, digits, multiplications, additions):
    cnn, adder, binary = (count(model, kind) for kind in ("cnn", "adder", "bnn"))
    assert significant(cnn.mul, digits) == multiplications and cnn.add == cnn.mul
    assert (adder.mul, adder.add) == (0, 2 * cnn.mul)
    assert significant(adder.add, digits) == additions
    assert binary == Operations(mul=0, add=cnn.mul, xnor=cnn.mul)


@pytest.mark.parametrize(
    ("model", "pairs", "off"),
    [("resnet20", 40_813_184, -0.0087), ("vgg-small", 607_600_640, -0.0652)],
)
def test_two_totals_miss_the_papers_by_as_much_as_documented(model, pairs, off):
    ours, theirs = count(model, "cnn").mul, published(model, "cnn").operations.mul
    assert ours == pairs and ours / theirs - 1 == pytest.approx(off, abs=1e-4)


def test_no_rule_gives_the_papers_resnet20_and_resnet32():
    more = count("resnet32", "cnn").mul - count("resnet20", "cnn").mul
    assert more == 12 * 16 * 16 * 9 * 32 * 32  # every layer more has the same pairs
    assert more > 69.125e6 - 41.165e6


@pytest.mark.parametrize(("kind", "wanted"), [("adder", 1.7e6), ("cnn", 2.6e6)])
def test_the_latency_is_the_papers(kind, wanted):
    assert significant(count("lenet5-bn", kind).latency_cycles, 2) == wanted
    assert published("lenet5-bn", kind).latency_cycles == wanted


def test_l2_multiplies_once_and_adds_twice():
    ours, theirs = count("resnet18", "l2"), published("resnet18", "l2").operations
    assert (significant(ours.mul, 2), significant(ours.add, 2)) == (theirs.mul, theirs.add)


def test_xnors_have_no_latency_in_the_papers_model():
    assert count("resnet20", "bnn").latency_cycles is None


def test_as_built_the_ordinary_ends_multiply():
    layers = model_layers("resnet20", "adder")
    built = operations(layers)
    ends = 3 * 16 * 9 * 1024 + 640
    assert built.mul == ends and built.add == 2 * (40_813_184 - ends) + ends
    assert [layers[0].name, layers[-1].name] == ["conv1", "fc"] and len(layers) == 22


@pytest.mark.parametrize(
    ("layer", "in_shape", "pairs"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 7, 9), 6 * 3 * 4 * 2 * 9),
        (AdderConv2d(4, 6, 3, 2, groups=2), (4, 7, 9), 6 * 3 * 4 * 2 * 9),
        (L2Conv2d(1, 2, (1, 3), dilation=2), (1, 5, 5), 2 * 5 * 1 * 3),
        (AdderLinear(5, 3), (7, 5), 7 * 3 * 5),
        (BinaryLinear(5, 3), (5,), 15),
        (nn.ConvTranspose2d(2, 4, 3, stride=2, groups=2), (2, 5, 5), 2 * 25 * 2 * 9),
        (AdderConvTranspose2d(2, 4, 3, stride=2, groups=2), (2, 5, 5), 4 * 11 * 11 * 1 * 9),
    ],
)
def test_a_layers_pairs_are_outputs_times_terms(layer, in_shape, pairs):
    (counted,) = count_layers(nn.Sequential(layer), in_shape)
    assert counted.pairs == pairs and counted.name == "0"


def test_a_layer_used_twice_counts_twice_and_the_network_stays():
    layer = nn.Linear(3, 3)
    network = nn.Sequential(layer, nn.ReLU(), layer).train()
    assert len(count_layers(network, (3,))) == 2
    assert network.training and layer.weight.device.type == "cpu" and not layer._forward_hooks


def test_a_layer_that_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="layer '0' cannot be counted: Conv1d has no counterpart"):
        count_layers(nn.Sequential(nn.Conv1d(1, 1, 1)), (1, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("lenet",), "model must be one of"), (("resnet20", "mac"), "kind must be one of")],
)
def test_an_unknown_word_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        count(*arguments)


def test_the_command_prints_a_table():
    result = CliRunner().invoke(main, ["count", "lenet5-bn"])
    assert result.output.splitlines() == [
        "lenet5-bn adder               #mul      #add     #xnor    cycles",
        "as built                         0  833.04 K         0    1.67 M",
        "paper's rule                     0  870.86 K         0    1.74 M",
        "paper, section 4.1               0  870.00 K         0    1.70 M",
    ]


def test_the_command_prints_json():
    result = CliRunner().invoke(main, ["count", "resnet20", "--kind", "bnn", "--json"])
    figures = json.loads(result.output)
    assert figures["paper_rule"]["xnor"] == 40_813_184
    assert figures["published"] == {
        "mul": 0, "add": 41_170_000, "xnor": 41_170_000, "latency_cycles": None
    }  # fmt: skip
    assert sum(layer["pairs"] for layer in figures["layers"]) == 40_813_184


def test_the_command_refuses_an_unknown_model_in_one_line():
    result = CliRunner().invoke(main, ["count", "alexnet"])
    assert result.exit_code == 1 and result.output.count("\n") == 1
    assert "model must be one of ('lenet5-bn'" in result.output


def test_counting_computes_nothing():
    network = nn.Sequential(AdderConv2d(3, 8, 3, device="meta"))
    assert count_layers(network, (3, 9, 9))[0].outputs == 8 * 49
    assert torch.is_grad_enabled()
