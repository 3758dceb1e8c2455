"""How many multiplications, additions and XNORs a network takes, and the paper's counting rule.

An output of a convolution or linear layer is a sum over pairs (x, f). Each pair is one
multiplication and one addition in a CNN, two additions in an adder network, one XNOR and one
addition in a binary one, one multiplication and two additions with ℓ2 (Tables 2, 3, 5).

The paper's rule, reconstructed from its totals: all convolutions and linear layers, shortcuts and
both ends included, each pair counted as the network's kind does it, even in layers that stay
ordinary; nothing for batch norm, biases, activations, pooling and sums of shortcuts. Section 4.2
says that it omits the first and the last layer, but only with them do the totals come out: 69.12 M
(without: 68.68), 1.8 G (1.7) and 3.9 G (3.7), whose doubles are rounded to 3.6 G and 7.7 G. Section
4.1's 435 K, of LeNet-5-BN, takes three more for each output of a convolution: bias, scale, shift.

Two totals do not follow. ResNet-20 has 40.81 M, the paper 41.17 M: no rule gives the paper's both,
for ResNet-32 has twelve layers of 2.36 M more, 28.31 M, and the paper's totals are 27.95 M apart.
VGG-small as Cai et al. 2017 describe it has 0.61 G, the paper 0.65 G: three linear layers in place
of one make 0.62 G, a seventh convolution, of 512 on 4 × 4, would make 0.65 G. Applied to
all networks alike, no rule that adds up to six operations for each output of a convolution or a
shortcut, with or without the first layer, the last, the shortcuts and their sums, gives more than
three of the six totals, as this one does.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .arguments import one_of
from .conversion import convert
from .kinds import KINDS, kind_of
from .layers import AdderConvTranspose2d
from .networks import build

MUL_CYCLES, ADD_CYCLES = 4, 2  # float, VIA Nano 2000 (section 4.1)
_PER_PAIR = {"adder": (0, 2, 0), "cnn": (1, 1, 0), "bnn": (0, 1, 1), "l2": (1, 2, 0)}
_TABLES = {  # where, pairs, the adder network's additions, kinds that it has
    "lenet5-bn": ("section 4.1", 435_000, 870_000, ("adder", "cnn")),
    "vgg-small": ("Table 2", 650_000_000, 1_300_000_000, ("adder", "cnn", "bnn")),
    "resnet20": ("Table 2", 41_170_000, 82_340_000, ("adder", "cnn", "bnn")),
    "resnet32": ("Table 2", 69_120_000, 138_240_000, ("adder", "cnn", "bnn")),
    "resnet18": ("Tables 3, 5", 1_800_000_000, 3_600_000_000, KINDS),
    "resnet50": ("Table 3", 3_900_000_000, 7_700_000_000, ("adder", "cnn", "bnn")),
}
_CYCLES = {("lenet5-bn", "adder"): 1_700_000, ("lenet5-bn", "cnn"): 2_600_000}


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """One use of a layer on one image. kind: of the layer. pairs: (x, f) in all its sums. outputs:
    its sums. convolution: not a linear layer."""

    name: str
    kind: str
    pairs: int
    outputs: int
    convolution: bool


@dataclass(frozen=True, kw_only=True)
class Operations:
    mul: int
    add: int
    xnor: int

    @property
    def latency_cycles(self) -> int | None:
        """4 for a multiplication and 2 for an addition, one after the other; None with XNORs, for
        which the paper's model has no figure."""
        return None if self.xnor else MUL_CYCLES * self.mul + ADD_CYCLES * self.add


@dataclass(frozen=True, kw_only=True)
class Published:
    """The paper's figures, rounded as there, and where they stand. latency_cycles: None where the
    paper gives none."""

    place: str
    operations: Operations
    latency_cycles: int | None


def count_layers(
    network: nn.Module, in_shape: tuple[int, ...] | None = None
) -> tuple[LayerCount, ...]:
    """The layers with pairs, in the order of use, for one image of `in_shape` (the network's own
    by default). No number is computed, and the network stays as it is.

    Raises ValueError on a layer that holds a matrix and cannot be counted.
    """
    shell, report = convert(network, "cnn")  # its layers tell shapes without computing
    for name, reason in report.left.items():
        if kind_of(network.get_submodule(name)) is None:
            raise ValueError(f"layer {name!r} cannot be counted: {reason}")
    counts: list[LayerCount] = []
    for name, layer in shell.named_modules():
        if kind_of(layer) is not None:
            layer.register_forward_hook(_recorder(name, network.get_submodule(name), counts))
    with torch.no_grad():
        image = torch.zeros(1, *(in_shape or network.in_shape), device="meta")
        shell.to("meta").eval()(image)
    return tuple(counts)


def operations(layers: tuple[LayerCount, ...]) -> Operations:
    """Of convolutions and linear layers, each as its own kind; nothing else is counted."""
    return _sum([(layer.kind, layer.pairs) for layer in layers])


def count(model: str, kind: str = "adder") -> Operations:
    """Of a network of the paper, by the paper's rule; see above."""
    layers, pairs = model_layers(model, kind), 0
    for layer in layers:
        extra = 3 * layer.outputs if model == "lenet5-bn" and layer.convolution else 0
        pairs += layer.pairs + extra
    return _sum([(kind, pairs)])


def model_layers(model: str, kind: str = "adder") -> tuple[LayerCount, ...]:
    """`count_layers` of a network of the paper. Raises ValueError on another name or kind."""
    one_of("kind", kind, KINDS)
    with torch.device("meta"):
        return count_layers(build(model, kind))


def published(model: str, kind: str) -> Published | None:
    """What the paper says of a network; None where it says nothing."""
    place, pairs, additions, kinds = _TABLES.get(model, ("", 0, 0, ()))
    if kind not in kinds:
        return None
    mul, add, xnor = (factor * pairs for factor in _PER_PAIR[kind])
    add = additions if kind in ("adder", "l2") else add
    return Published(
        place=place,
        operations=Operations(mul=mul, add=add, xnor=xnor),
        latency_cycles=_CYCLES.get((model, kind)),
    )


def _sum(pairs_of: list[tuple[str, int]]) -> Operations:
    totals = [
        sum(_PER_PAIR[kind][column] * pairs for kind, pairs in pairs_of) for column in range(3)
    ]
    return Operations(mul=totals[0], add=totals[1], xnor=totals[2])


def _recorder(name: str, layer: nn.Module, counts: list[LayerCount]):
    """A hook that adds the twin's use to `counts`, as a use of `layer`."""

    def record(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        weight = layer.weight
        if isinstance(layer, nn.ConvTranspose2d):
            pairs = inputs[0].numel() * weight[0].numel()
        elif isinstance(layer, AdderConvTranspose2d):
            terms = layer.in_channels // layer.groups * weight[0, 0].numel()
            pairs = output.numel() * terms
        else:
            pairs = output.numel() * weight[0].numel()
        use = {"pairs": pairs, "outputs": output.numel(), "convolution": weight.dim() == 4}
        counts.append(LayerCount(name=name, kind=kind_of(layer), **use))

    return record
