"""Networks of the paper that are chains of blocks, each in four kinds; and the list of all."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from .kinds import KINDS, Layers, layers_of
from .layers import AdderConv2d, AdderLinear
from .residual import resnet18, resnet20, resnet32, resnet50

__all__ = ["KINDS", "NETWORKS", "Block", "Chain", "build"]

CONVOLUTIONS = (AdderConv2d, nn.Conv2d)  # what `golden.quantize` takes
LINEARS = (AdderLinear, nn.Linear)


class Block(nn.Module):
    """layer, batch norm, activation, optional max pooling over pool × pool windows, in this order.
    A linear layer flattens its input in (channel, row, column) order. activation: what makes the
    module; `nn.Identity` for none."""

    def __init__(
        self,
        layer: nn.Module,
        norm: nn.Module,
        activation: Callable[[], nn.Module] = nn.ReLU,
        pool: int = 1,
    ) -> None:
        super().__init__()
        self.layer, self.norm = layer, norm
        self.activation, self.pool = activation(), pool

    def forward(self, input: Tensor) -> Tensor:
        output = self.layer(input.flatten(1) if self.layer.weight.dim() == 2 else input)
        output = self.activation(self.norm(output))
        return max_pool2d(output, self.pool) if self.pool > 1 else output


class Chain(nn.Module):
    """Named blocks, one after the other. in_shape: (channels, height, width) of an image."""

    def __init__(self, in_shape: tuple[int, int, int], blocks: dict[str, Block]) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, input: Tensor, last: str | None = None) -> Tensor:
        """The logits, or the output of the block named `last`."""
        for name, block in self.blocks.items():
            input = block(input)
            if name == last:
                return input
        if last is not None:
            raise ValueError(f"last must be one of {tuple(self.blocks)}, not {last!r}")
        return input


def lenet5_bn(kind: str = "adder", gradient: str = "full", classes: int = 10) -> Chain:
    """LeNet-5 for (1, 32, 32) images (section 4.1): 416,520 distances or products.

    Batch norm follows every layer, the logits too: the outputs of adder layers are large and
    negative. So no layer has a bias of its own. Every layer is of the kind; in "bnn" the first
    and the last stay ordinary, "the general setting in binary networks" (section 4.2).
    """
    inner, ends = _on_mnist(kind, gradient)
    active = inner.activation
    blocks = {
        "conv1": _conv(ends, 1, 6, 5, active, pool=2),
        "conv2": _conv(inner, 6, 16, 5, active, pool=2),
        "fc1": _linear(inner, 400, 120, active),
        "fc2": _linear(inner, 120, 84, active),
        "fc3": _linear(ends, 84, classes),
    }
    return Chain((1, 32, 32), blocks)


def lenet_plus_plus(kind: str = "adder", gradient: str = "full", classes: int = 10) -> Chain:
    """LeNet++ of Wen et al. 2016 for (1, 32, 32) images (section 4.4, Fig. 1): six convolutions,
    and "fc1" with two outputs, so that its features can be drawn: `network(images, last="fc1")`.

    As in `lenet5_bn`, batch norm follows every layer, every layer is of the kind, and "bnn" keeps
    the first and the last ordinary. Activations are PReLU in every kind, as in Wen et al., with a
    slope for each channel; none follows the features.
    """
    inner, ends = _on_mnist(kind, gradient)
    blocks, before = {}, 1
    for index, channels in enumerate((32, 32, 64, 64, 128, 128), 1):
        made_of = ends if index == 1 else inner
        pool = 1 if index % 2 else 2
        active = partial(nn.PReLU, channels)
        blocks[f"conv{index}"] = _conv(made_of, before, channels, 5, active, pool, padding=2)
        before = channels
    blocks["fc1"] = _linear(inner, 2048, 2)
    blocks["fc2"] = _linear(ends, 2, classes)
    return Chain((1, 32, 32), blocks)


def vgg_small(
    kind: str = "adder",
    gradient: str = "full",
    classes: int = 10,
    width: int = 128,
    side: int = 32,
) -> Chain:
    """VGG-small of Cai et al. 2017 for (3, 32, 32) images (section 4.2): six convolutions of 3 × 3
    and one linear layer. First and last are ordinary in every kind; batch norm follows every
    layer, the logits too. width: channels of the first layer; side: of an image."""
    inner, ends = layers_of(kind, gradient), layers_of("cnn")
    blocks, before = {}, 3
    for index in range(1, 7):
        channels = width * 2 ** ((index - 1) // 2)
        made_of = ends if index == 1 else inner
        pool = 1 if index % 2 else 2
        active = inner.activation
        blocks[f"conv{index}"] = _conv(made_of, before, channels, 3, active, pool, padding=1)
        before = channels
    blocks["fc"] = _linear(ends, before * (side // 8) ** 2, classes)
    return Chain((3, side, side), blocks)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "lenet5-bn": lenet5_bn,
    "lenet-plus-plus": lenet_plus_plus,
    "vgg-small": vgg_small,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet18": resnet18,
    "resnet50": resnet50,
}


def build(model: str, kind: str = "adder", gradient: str = "full", **options: int) -> nn.Module:
    """A network by its name. kind: one of KINDS. gradient: of adder layers, see
    `AdderConv2d`. options: classes. Raises ValueError on other words."""
    if model not in NETWORKS:
        raise ValueError(f"model must be one of {tuple(NETWORKS)}, not {model!r}")
    return NETWORKS[model](kind=kind, gradient=gradient, **options)


def _on_mnist(kind: str, gradient: str) -> tuple[Layers, Layers]:
    """The layers inside, and those at both ends."""
    inner = layers_of(kind, gradient)
    return inner, layers_of("cnn") if kind == "bnn" else inner


def _conv(layers: Layers, before, channels, kernel, activation, pool=1, padding=0) -> Block:
    layer = layers.conv2d(before, channels, kernel, padding=padding)
    return Block(layer, nn.BatchNorm2d(channels), activation, pool)


def _linear(layers: Layers, before: int, features: int, activation=nn.Identity) -> Block:
    return Block(layers.linear(before, features), nn.BatchNorm1d(features), activation)
