"""From a trained float network to the integers of `golden.spec`: post-training quantization.

Both kinds take one path. With a the batch norm's slope and y the layer's real output before it,

    y = s · (acc + c),   code = a · (y + d) / s_out + z_out = (acc + B) · M + z_out
    M = a · s / s_out,   B = c + d / s

where s is the accumulator's unit, c corrects acc for clipped weights (adder) or for the input's
zero point (MAC), and d holds what batch norm adds. M becomes mult / 2**shift, B becomes bias.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from .layers import AdderConv2d, AdderLinear
from .networks import CONVOLUTIONS, LINEARS, Block, Chain
from .spec import MAX_WIDTH, MIN_WIDTH, LayerSpec, QuantizedLayer, QuantizedModel

LOGIT_WIDTH = 16  # bits of the last layer's codes, so that near classes do not tie
LOGIT_HEADROOM = 2.0  # logits may exceed the calibrated ones so many times
MULT_LIMIT = 2**15 - 1  # mult is signed and has 16 bits
SHIFT_LIMIT = 44  # keeps (bias + acc) · mult below 2**62


@dataclass(frozen=True)
class CodeRange:
    """Unsigned codes 0 … 2**width - 1 of reals: real = (code - zero_point) · scale."""

    scale: float
    zero_point: int
    width: int

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest real."""
        highest = 2**self.width - 1 - self.zero_point
        return -self.zero_point * self.scale, highest * self.scale


def quantize(
    network: Chain,
    calibration_images: np.ndarray,
    width: int = 8,
    name: str = "lenet5-bn",
    metadata: dict | None = None,
) -> QuantizedModel:
    """Quantize a trained chain of blocks to `width` bits (2 to 16), activations and weights.

    calibration_images: float (N, *in_shape), some hundred training images; the least and greatest
    activation of each layer on them set its codes' range. The last layer's codes have 16 bits.

    The bound of every bias is |bias| < 2**(out_width + 3) · `accumulator_limit`.

    Raises ValueError, before any work, on another width, on images of another shape, on NaN, and
    on a layer that the integer format does not hold.
    """
    _check(network, calibration_images, width)
    ranges = _calibrate(network, torch.from_numpy(np.asarray(calibration_images)), width)
    layers, in_shape = [], network.in_shape
    for index, (block_name, block) in enumerate(network.blocks.items()):
        spec = _spec(block_name, block, in_shape, ranges[index], ranges[index + 1])
        layers.append(_quantize_layer(block, spec, ranges[index], ranges[index + 1]))
        in_shape = spec.out_shape
    return QuantizedModel(
        name=name, layers=tuple(layers), input_scale=ranges[0].scale, metadata=metadata or {}
    )


def code_range(lowest: float, highest: float, width: int) -> CodeRange:
    """Codes for reals from `lowest` to `highest`, of which 0 is one exactly; to 1 if all are 0."""
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    scale = ((highest - lowest) or 1.0) / (2**width - 1)
    return CodeRange(scale, math.floor(-lowest / scale + 0.5), width)


def fold_batch_norm(block: Block) -> tuple[np.ndarray, np.ndarray]:
    """(slope, offset) per filter, float64: norm(layer(x)) = slope · y + offset, where y is the
    layer's output without its own bias."""
    layer, norm = block.layer, block.norm
    gamma, beta, mean, variance = (
        value.detach().double().numpy()
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    bias = 0.0 if layer.bias is None else layer.bias.detach().double().numpy()
    slope = gamma / np.sqrt(variance + norm.eps)
    return slope, slope * (bias - mean) + beta


def clip_exactly(weight: np.ndarray, limits: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Weights (filters, …) clipped to the activations' limits, and the distance each filter lost:
    for x within limits, Σ|x - f| = Σ|x - clipped f| + lost."""
    clipped = np.clip(weight, *limits)
    return clipped, np.abs(weight - clipped).reshape(len(weight), -1).sum(1)


def signed_codes(weight: np.ndarray, width: int) -> tuple[np.ndarray, float]:
    """Signed codes of `width` bits and their scale: of 60 scales up to the one that just holds
    the largest weight, that of the least squared error."""
    highest = 2 ** (width - 1) - 1
    largest = float(np.abs(weight).max()) or 1.0
    candidates = []
    for scale in largest / highest * np.linspace(1, 0.1, 60):
        integers = np.rint(weight / scale).clip(-highest, highest)
        candidates.append((np.square(integers * scale - weight).sum(), scale, integers))
    _, scale, integers = min(candidates, key=lambda candidate: candidate[0])
    return integers.astype(np.int64), float(scale)


def requantizer(
    slope: np.ndarray, offset: np.ndarray, spec: LayerSpec
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(bias, mult, shift), int64, for which (bias + acc) · mult / 2**shift approximates
    slope · acc + offset, in output codes.

    A filter whose whole accumulator moves its code by less than a quarter (γ ≈ 0) gets a slope of
    about that much, so that bias stays bounded. A bias beyond what saturates the code is cut.
    """
    limit = spec.accumulator_limit
    least = 2.0 ** -math.ceil(math.log2(4 * limit))
    slope = np.where(np.abs(slope) < least, np.copysign(least, slope), slope)
    shift = np.floor(np.log2(MULT_LIMIT / np.abs(slope))).clip(0, SHIFT_LIMIT)
    mult = np.rint(slope * 2.0**shift).clip(-MULT_LIMIT, MULT_LIMIT)
    saturating = limit + 2.0**spec.out_width / np.abs(slope)
    bias = np.rint((offset / slope).clip(-saturating, saturating))
    return bias.astype(np.int64), mult.astype(np.int64), shift.astype(np.int64)


def _quantize_layer(
    block: Block, spec: LayerSpec, codes_in: CodeRange, codes_out: CodeRange
) -> QuantizedLayer:
    weight = block.layer.weight.detach().double().numpy().reshape(spec.weight_shape)
    integers, unit, correction = _integer_weights(weight, spec, codes_in)
    slope, offset = fold_batch_norm(block)
    bias, mult, shift = requantizer(
        slope * unit / codes_out.scale,
        (slope * unit * correction + offset) / codes_out.scale,
        spec,
    )
    return QuantizedLayer(spec=spec, weight=integers, bias=bias, mult=mult, shift=shift)


def _integer_weights(
    weight: np.ndarray, spec: LayerSpec, codes_in: CodeRange
) -> tuple[np.ndarray, float, np.ndarray]:
    """(integer weights, unit, correction): the real output is unit · (acc + correction)."""
    if spec.kind == "adder":
        clipped, lost = clip_exactly(weight, codes_in.limits)
        integers = np.rint(clipped / codes_in.scale).astype(np.int64) + codes_in.zero_point
        return integers, codes_in.scale, -lost / codes_in.scale
    integers, scale = signed_codes(weight, spec.width)
    zero = codes_in.zero_point * integers.reshape(len(integers), -1).sum(1)
    return integers, codes_in.scale * scale, -zero


def _spec(
    name: str,
    block: Block,
    in_shape: tuple[int, int, int],
    codes_in: CodeRange,
    codes_out: CodeRange,
) -> LayerSpec:
    layer, window = block.layer, {}
    if isinstance(layer, CONVOLUTIONS):
        window = {"kernel": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
    else:
        in_shape = (math.prod(in_shape), 1, 1)
    return LayerSpec(
        name=name,
        kind="adder" if isinstance(layer, AdderConv2d | AdderLinear) else "mac",
        in_shape=in_shape,
        out_channels=len(layer.weight),
        width=codes_in.width,
        in_zero_point=codes_in.zero_point,
        out_width=codes_out.width,
        out_zero_point=codes_out.zero_point,
        pool=block.pool,
        **window,
    )


@torch.no_grad()
def _calibrate(network: Chain, images: torch.Tensor, width: int) -> list[CodeRange]:
    """The codes of the input and of every block's output."""
    network.eval()
    ranges = [code_range(float(images.min()), float(images.max()), width)]
    for block in network.blocks.values():
        images = block(images)
        ranges.append(code_range(float(images.min()), float(images.max()), width))
    largest = LOGIT_HEADROOM * float(images.abs().max()) or 1.0
    scale = largest / 2 ** (LOGIT_WIDTH - 1)
    return [*ranges[:-1], CodeRange(scale, 2 ** (LOGIT_WIDTH - 1), LOGIT_WIDTH)]


def _check(network: Chain, images: np.ndarray, width: int) -> None:
    if not isinstance(width, int) or not MIN_WIDTH <= width <= MAX_WIDTH:
        raise ValueError(f"width must be {MIN_WIDTH} to {MAX_WIDTH} bits, not {width}")
    if len(images) == 0 or images.shape[1:] != network.in_shape:
        raise ValueError(
            f"calibration images must be (N, {', '.join(map(str, network.in_shape))}) with N of at "
            f"least 1, not {images.shape}"
        )
    if not np.isfinite(images).all():
        raise ValueError(
            "calibration images must be finite numbers, but some are NaN or infinite; "
            "check the data set"
        )
    for name, block in network.blocks.items():
        _check_block(name, block)


def _check_block(name: str, block: Block) -> None:
    layer, norm = block.layer, block.norm
    if not isinstance(layer, CONVOLUTIONS + LINEARS):
        raise ValueError(
            f"layer {name!r}: must be a convolution or linear layer, ordinary or adder, "
            f"not {type(layer).__name__}"
        )
    padding_mode = getattr(layer, "padding_mode", "zeros")
    if isinstance(layer, CONVOLUTIONS) and (
        (layer.groups, layer.dilation, padding_mode) != (1, (1, 1), "zeros")
        or isinstance(layer.padding, str)
    ):
        raise ValueError(
            f"layer {name!r}: must have no groups, no dilation, and padding by a number of zeros"
        )
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) or norm.weight is None:
        raise ValueError(
            f"layer {name!r}: must be followed by a batch norm with weight and bias, "
            f"not {type(norm).__name__}"
        )
    if not isinstance(block.activation, nn.ReLU | nn.Identity):
        raise ValueError(
            f"layer {name!r}: its activation must be ReLU or none, "
            f"not {type(block.activation).__name__}"
        )
    values = [*layer.state_dict().values(), *norm.state_dict().values()]
    if not all(value.isfinite().all() for value in values):
        raise ValueError(f"layer {name!r}: weights and batch norm must be finite; train it again")
