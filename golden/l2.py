"""Layers of the ℓ2-AdderNet, supplement B."""

from torch import Tensor
from torch.nn.functional import conv2d, linear

from .windowed import FeatureLayer, WindowLayer


class L2Conv2d(WindowLayer):
    """Y = -Σ(X - F)² + bias (Eq. 27), by way of 2 Σ X·F - Σ X² - Σ F² (Eq. 28).

    The paper states no gradients of its own for this layer, so they are its derivatives: 2(X - F)
    of the filters, 2(F - X) of the input, not clipped. Filters take the adaptive learning rate
    (Eq. 13), which cancels the factor. Rounding is relative to Σ X² + Σ F².
    Arguments, shapes and errors: see `WindowLayer`.
    """

    def respond(self, input: Tensor) -> Tensor:
        window = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        products = conv2d(input, self.weight, groups=self.groups, **window)
        powers = input.square().unflatten(1, (self.groups, -1)).sum(2)
        ones = self.weight.new_ones(self.groups, 1, *self.kernel_size)
        powers = conv2d(powers, ones, groups=self.groups, **window)
        powers = powers.repeat_interleave(self.out_channels // self.groups, 1)
        return 2 * products - powers - self.weight.square().sum((1, 2, 3))[:, None, None]


class L2Linear(FeatureLayer):
    """Y = -Σ(X - F)² + bias (Eq. 27 with d = 1); as `L2Conv2d`, with `FeatureLayer`'s shapes."""

    def respond(self, input: Tensor) -> Tensor:
        powers = input.square().sum(1, keepdim=True) + self.weight.square().sum(1)
        return 2 * linear(input, self.weight) - powers
