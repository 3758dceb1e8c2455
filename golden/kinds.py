"""The kinds of network, and the layers that each is made of."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from .adder_function import GRADIENTS
from .arguments import one_of
from .binary import BinaryConv2d, BinaryLinear
from .l2 import L2Conv2d, L2Linear
from .layers import AdderConv2d, AdderConvTranspose2d, AdderLinear

KINDS = ("adder", "cnn", "bnn", "l2")
_TYPES = {
    AdderConv2d: "adder",
    AdderLinear: "adder",
    AdderConvTranspose2d: "adder",
    nn.Conv2d: "cnn",
    nn.Linear: "cnn",
    nn.ConvTranspose2d: "cnn",
    BinaryConv2d: "bnn",
    BinaryLinear: "bnn",
    L2Conv2d: "l2",
    L2Linear: "l2",
}


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Constructors with the arguments of `nn.Conv2d`, `nn.Linear` and `nn.ConvTranspose2d` (None
    where there is no such layer), bias=False by default; and of the activation between layers."""

    conv2d: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    transposed: Callable[..., nn.Module] | None
    activation: type[nn.Module] = nn.ReLU


def layers_of(kind: str, gradient: str = "full") -> Layers:
    """kind: "adder" (Eq. 2), "cnn", "bnn" (Hubara et al. 2016) or "l2" (Eq. 27). gradient: of adder
    layers, see `AdderConv2d`; without effect on other kinds. Raises ValueError on other words."""
    one_of("gradient", gradient, GRADIENTS)
    match one_of("kind", kind, KINDS):
        case "adder":
            types = (AdderConv2d, AdderLinear, AdderConvTranspose2d)
            conv2d, linear, transposed = (partial(layer, gradient=gradient) for layer in types)
            return Layers(conv2d=conv2d, linear=linear, transposed=transposed)
        case "cnn":
            types = (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)
            conv2d, linear, transposed = (partial(layer, bias=False) for layer in types)
            return Layers(conv2d=conv2d, linear=linear, transposed=transposed)
        case "bnn":
            return Layers(
                conv2d=BinaryConv2d, linear=BinaryLinear, transposed=None, activation=nn.Hardtanh
            )
        case _:
            return Layers(conv2d=L2Conv2d, linear=L2Linear, transposed=None)


def computes(layer: nn.Module, kinds: tuple[str, ...]) -> bool:
    """Whether the layer is of one of these kinds, or of a class derived from them."""
    return isinstance(layer, tuple(some for some, kind in _TYPES.items() if kind in kinds))


def kind_of(layer: nn.Module) -> str | None:
    """The kind that a layer belongs to, None when to none; a subclass belongs to none."""
    return _TYPES.get(type(layer))
