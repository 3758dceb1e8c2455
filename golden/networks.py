"""Networks as chains of blocks, each adder network with its convolutional twin."""

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from .layers import AdderConv2d, AdderLinear

KINDS = ("adder", "cnn")
CONVOLUTIONS = (AdderConv2d, nn.Conv2d)
LINEARS = (AdderLinear, nn.Linear)


class Block(nn.Module):
    """layer, batch norm, optional ReLU, optional max pooling over pool × pool windows, in this
    order. A linear layer flattens its input in (channel, row, column) order."""

    def __init__(self, layer: nn.Module, norm: nn.Module, relu: bool = True, pool: int = 1):
        super().__init__()
        self.layer, self.norm, self.relu, self.pool = layer, norm, relu, pool

    def forward(self, input: Tensor) -> Tensor:
        output = self.layer(input.flatten(1) if isinstance(self.layer, LINEARS) else input)
        output = self.norm(output)
        output = relu(output) if self.relu else output
        return max_pool2d(output, self.pool) if self.pool > 1 else output


class Chain(nn.Module):
    """Named blocks, one after the other. in_shape: (channels, height, width) of an image."""

    def __init__(self, in_shape: tuple[int, int, int], blocks: dict[str, Block]) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, input: Tensor) -> Tensor:
        for block in self.blocks.values():
            input = block(input)
        return input


def lenet5_bn(kind: str = "adder", gradient: str = "full") -> Chain:
    """LeNet-5 for (1, 32, 32) images and 10 classes (section 4.1): 416,520 distances or products.

    Batch norm follows every layer, the logits too: the outputs of adder layers are large and
    negative. So no layer has a bias of its own. kind: "adder", every layer an adder layer, or
    "cnn". gradient: of adder filters, "full" or "sign".
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")
    conv, linear = partial(nn.Conv2d, bias=False), partial(nn.Linear, bias=False)
    if kind == "adder":
        conv = partial(AdderConv2d, gradient=gradient)
        linear = partial(AdderLinear, gradient=gradient)
    blocks = {
        "conv1": Block(conv(1, 6, 5), nn.BatchNorm2d(6), pool=2),
        "conv2": Block(conv(6, 16, 5), nn.BatchNorm2d(16), pool=2),
        "fc1": Block(linear(400, 120), nn.BatchNorm1d(120)),
        "fc2": Block(linear(120, 84), nn.BatchNorm1d(84)),
        "fc3": Block(linear(84, 10), nn.BatchNorm1d(10), relu=False),
    }
    return Chain((1, 32, 32), blocks)


NETWORKS = {"lenet5-bn": lenet5_bn}
