"""A layer's integers as words of the accelerator's memories."""

from dataclasses import dataclass

import numpy as np

from golden.spec import QuantizedLayer, QuantizedModel

from .descriptor import LayerDescriptor


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The requantizer's, (tiles, cols) each: code = clamp((offset + sum · mult) >> shift), where
    sum is the array's, a SAD or a dot product.

    mult has the SAD's minus sign; offset holds bias, rounding and zero point:
    bias · mult + 2**(shift - 1) + zero · 2**shift, the first term with mult's sign as the model
    has it. total_width: bits of the signed numbers that are shifted, for all sums that any
    activations can give.
    """

    offset: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    total_width: int

    @property
    def mult_width(self) -> int:
        return signed_width(int(self.mult.min()), int(self.mult.max()))

    @property
    def shift_width(self) -> int:
        return int(self.shift.max()).bit_length()


def weight_words(layer: QuantizedLayer, descriptor: LayerDescriptor) -> np.ndarray:
    """(words, cols, lanes): for each tile of filters, for each fold (kernel row, kernel column,
    group of channels) `rows` words, the bottom row's first.

    Channels that fill up a word have the map's zero point there. As weights of an adder layer they
    have it too, and 0 in a mac layer, so that they add nothing.
    """
    array, source = descriptor.config.array, descriptor.source
    weight = _kernel_weights(layer, descriptor)
    missing = source.groups * descriptor.config.channels - source.shape[0]
    fill = descriptor.in_zero if layer.spec.kind == "adder" else 0
    weight = np.pad(weight, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=fill)
    weight = np.pad(weight, ((0, -len(weight) % array.cols), (0, 0), (0, 0), (0, 0)))
    tiles = weight.reshape(
        descriptor.tiles, array.cols, source.groups, array.rows, array.lanes, *descriptor.kernel
    )
    words = tiles[:, :, :, ::-1].transpose(0, 5, 6, 2, 3, 1, 4)
    return words.reshape(-1, array.cols, array.lanes)


def _kernel_weights(layer: QuantizedLayer, descriptor: LayerDescriptor) -> np.ndarray:
    """(filters, channels of the map as stored, kernel rows, kernel columns). In an image that was
    unfolded along its rows, a word's channels are those of all columns of the kernel."""
    weight, channels = layer.weight, descriptor.source.shape[0]
    if descriptor.kernel[1] == 1 < layer.spec.kernel[1]:
        weight = weight.transpose(0, 3, 1, 2)
    return weight.reshape(len(weight), channels, *descriptor.kernel)


def constant_words(model: QuantizedModel, layers: tuple[LayerDescriptor, ...]) -> Constants:
    """Of all layers. A filter that only fills up a tile gives the zero point, and 0 in the last
    layer, where no such code is ever the largest alone."""
    words = {"offset": [], "mult": [], "shift": []}
    for layer, descriptor in zip(model.layers, layers, strict=True):
        numbers = requantizer_numbers(layer)
        missing = -layer.spec.out_channels % descriptor.config.array.cols
        fill = {"offset": descriptor.out_zero if descriptor.target else 0, "mult": 0, "shift": 0}
        for name, value in numbers.items():
            filled = np.pad(value, (0, missing), constant_values=fill[name])
            words[name].append(filled.reshape(descriptor.tiles, -1))
    arrays = {name: np.concatenate(value) for name, value in words.items()}
    widest = max(total_width(layer) for layer in model.layers)
    return Constants(total_width=widest, **arrays)


def requantizer_numbers(layer: QuantizedLayer) -> dict[str, np.ndarray]:
    """offset, mult and shift of each filter."""
    bias, mult, shift = layer.bias, layer.mult, layer.shift
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    sign = -1 if layer.spec.kind == "adder" else 1
    zero = layer.spec.out_zero_point << shift
    return {"offset": bias * mult + half + zero, "mult": sign * mult, "shift": shift}


def total_width(layer: QuantizedLayer) -> int:
    """Bits of offset, and of offset + sum · mult for each sum that activations can give."""
    numbers = requantizer_numbers(layer)
    weight, top = layer.weight.reshape(layer.spec.out_channels, -1), 2**layer.spec.width - 1
    if layer.spec.kind == "adder":
        low, high = 0 * weight, np.maximum(weight, top - weight)
    else:
        low, high = np.minimum(weight, 0) * top, np.maximum(weight, 0) * top
    ends = [low.sum(1), high.sum(1), 0]
    totals = [numbers["offset"] + end * numbers["mult"] for end in ends]
    return signed_width(int(np.min(totals)), int(np.max(totals)))


def signed_width(low: int, high: int) -> int:
    """Bits of a signed number from `low` to `high`."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
