"""What adder, ℓ2 and binary layers share: arguments, weight and bias, as `nn.Conv2d` and
`nn.Linear` have them."""

import torch
from torch import Tensor, nn

from .arguments import (
    Size,
    at_least,
    check_features,
    check_images,
    check_type,
    divisor,
    padding_pair,
    pair,
)


class WindowLayer(nn.Module):
    """An interface: layers that compare filters with windows of an image. `respond` says how.

    Arguments are those of `nn.Conv2d` with zero padding; padding may be "valid" or "same" too.
    weight: (out_channels, in_channels / groups, kernel height, kernel width); bias:
    (out_channels,) or None. Input: (images, in_channels, height, width), or one image without
    the first axis, in any memory format.

    Under `torch.autocast` the layer computes in its weight's type: distances lose too much in half
    precision.

    Raises ValueError on arguments that are no sizes, on groups that do not divide the channels,
    and on an input of other channels or type, or smaller than the kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = at_least(1, "in_channels", in_channels)
        self.out_channels = at_least(1, "out_channels", out_channels)
        self.kernel_size = pair(1, "kernel_size", kernel_size)
        self.stride = pair(1, "stride", stride)
        self.dilation = pair(1, "dilation", dilation)
        self.padding = padding_pair(padding, self.kernel_size, self.stride, self.dilation)
        self.groups = divisor(groups, in_channels, out_channels)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        add_parameters(self, shape, out_channels, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Filters from N(0, 1), as in the authors' code: of the magnitude of normalized
        activations. A bias of 0."""
        reset(self)

    def forward(self, input: Tensor) -> Tensor:
        if autocasts(input):
            return in_own_type(self, input)
        if input.dim() == 3:
            return self.forward(input[None])[0]
        check_images(input, self.in_channels, self.kernel_size, self.padding, self.dilation)
        check_type(input, self.weight)
        output = self.respond(input)
        return output if self.bias is None else output + self.bias[:, None, None]

    def respond(self, input: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={self.bias is not None}"
        )


class FeatureLayer(nn.Module):
    """An interface: layers that compare filters with whole feature vectors. `respond` says how.

    Arguments are those of `nn.Linear`. weight: (out_features, in_features); bias: (out_features,)
    or None. Input: (..., in_features). Under `torch.autocast`: as `WindowLayer`.

    Raises ValueError on arguments that are no sizes, and on an input of other features or type.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = at_least(1, "in_features", in_features)
        self.out_features = at_least(1, "out_features", out_features)
        add_parameters(self, (out_features, in_features), out_features, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As in `WindowLayer`."""
        reset(self)

    def forward(self, input: Tensor) -> Tensor:
        if autocasts(input):
            return in_own_type(self, input)
        check_features(input, self.in_features)
        check_type(input, self.weight)
        output = self.respond(input.reshape(-1, self.in_features))
        output = output.reshape(*input.shape[:-1], self.out_features)
        return output if self.bias is None else output + self.bias

    def respond(self, input: Tensor) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def add_parameters(layer: nn.Module, shape, filters: int, bias: bool, device, dtype) -> None:
    options = {"device": device, "dtype": dtype}
    layer.weight = nn.Parameter(torch.empty(shape, **options))
    layer.register_parameter(
        "bias", nn.Parameter(torch.empty(filters, **options)) if bias else None
    )


def reset(layer: nn.Module) -> None:
    nn.init.normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def autocasts(input: Tensor) -> bool:
    device = input.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def in_own_type(layer: nn.Module, input: Tensor, *others: object) -> Tensor:
    """The layer's output in the type of its weight, whatever `torch.autocast` would make of it.
    By `forward`, since its hooks run already."""
    with torch.autocast(input.device.type, enabled=False):
        return layer.forward(input.to(layer.weight.dtype), *others)
