"""A layer's integers as words of the accelerator's memories."""

from dataclasses import dataclass

import numpy as np

from golden.spec import IMAGE, QuantizedLayer, QuantizedModel

from .accelerator_config import AcceleratorConfig
from .array_sums import ArraySums, array_sums
from .descriptor import LayerDescriptor


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The requantizer's, (tiles, cols) each: code = clamp((offset + sum · mult + r · residual_mult)
    >> shift), where sum is the array's, a SAD or a dot product, and r the code of an added map.

    factors: mult, with the SAD's minus sign, and residual_mult if a layer adds a map. offset holds
    the bias, what rounds and the zero points: bias times the model's mult, 2**(shift - 1), zero ·
    2**shift, -residual zero · residual_mult. total_width: bits of the signed numbers that are
    shifted, for all sums that any activations can give.
    """

    offset: np.ndarray
    shift: np.ndarray
    factors: dict[str, np.ndarray]
    total_width: int


def weight_words(layer: QuantizedLayer, descriptor: LayerDescriptor) -> np.ndarray:
    """(words, cols, lanes): for each tile of filters, for each fold (plane, kernel row, kernel
    column, group of channels) `rows` words, the bottom row's first."""
    config, source = descriptor.config, descriptor.source
    sums, array = array_sums(layer, config), config.array
    weight = np.stack([_kernel_weights(plane, descriptor) for plane in sums.weight])
    filters, channels = weight.shape[1:3]
    shape = (-filters % array.cols + filters, source.groups * config.channels, *descriptor.kernel)
    filled = np.empty((len(weight), *shape), np.int64)
    filled[:] = sums.fill[:, None, None, None, None]
    filled[:, :filters, :channels] = weight
    lanes = array.lanes // config.lanes_per_channel
    tiles = filled.reshape(
        -1, descriptor.tiles, array.cols, source.groups, array.rows, lanes, *descriptor.kernel
    )
    words = tiles[:, :, :, :, ::-1].transpose(1, 0, 6, 7, 3, 4, 2, 5)
    return in_lanes(words, config).reshape(-1, array.cols, array.lanes)


def in_lanes(numbers: np.ndarray, config: AcceleratorConfig) -> np.ndarray:
    """Operands as an array's lanes take them: the last axis twice as long for `xnor`."""
    if config.array.pe != "xnor":
        return numbers
    return (
        np.stack([numbers > 0, numbers > 1], -1).astype(np.int64).reshape(*numbers.shape[:-1], -1)
    )


def _kernel_weights(weight: np.ndarray, descriptor: LayerDescriptor) -> np.ndarray:
    """A plane's (filters, channels of the map as stored, kernel rows, kernel columns). In an image
    that was unfolded along its rows, a word's channels are those of all columns of the kernel."""
    if descriptor.kernel[1] == 1 < weight.shape[3]:
        weight = weight.transpose(0, 3, 1, 2)
    return weight.reshape(len(weight), descriptor.source.shape[0], *descriptor.kernel)


def constant_words(model: QuantizedModel, layers: tuple[LayerDescriptor, ...]) -> Constants:
    """Of all layers. A filter that only fills up a tile gives the zero point, and 0 in the last
    layer, where no such code is ever the largest alone."""
    words = {"offset": [], "mult": [], "shift": [], "residual_mult": []}
    config, widest = layers[0].config, 0
    widths = {IMAGE: model.input_width}
    for layer, descriptor in zip(model.layers, layers, strict=True):
        missing = -layer.spec.out_channels % config.array.cols
        fill = {"offset": descriptor.out_zero if descriptor.target else 0}
        sums = array_sums(layer, config)
        numbers = requantizer_numbers(layer, sums)
        widest = max(widest, total_width(numbers, sums, widths.get(layer.spec.residual, 0)))
        widths[layer.spec.name] = layer.spec.out_width
        for name, value in numbers.items():
            filled = np.pad(value, (0, missing), constant_values=fill.get(name, 0))
            words[name].append(filled.reshape(descriptor.tiles, -1))
    offset, mult, shift, residual_mult = (np.concatenate(value) for value in words.values())
    added = {"residual_mult": residual_mult} if any(d.residual for d in layers) else {}
    return Constants(
        offset=offset,
        shift=shift,
        factors={"mult": mult} | added,
        total_width=widest,
    )


def requantizer_numbers(layer: QuantizedLayer, sums: ArraySums) -> dict[str, np.ndarray]:
    """offset, mult, shift and residual_mult of each filter, as in `Constants`; all but mult are
    those of codes times `sums.scale`, which the shift takes out again."""
    spec, shift, scale = layer.spec, layer.shift, sums.scale
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    rounded = half + (spec.out_zero_point << shift) - spec.residual_zero_point * layer.residual_mult
    return {
        "offset": sums.offset * layer.mult + scale * rounded,
        "mult": sums.sign * layer.mult,
        "shift": shift + scale.bit_length() - 1,
        "residual_mult": scale * layer.residual_mult,
    }


def total_width(numbers: dict[str, np.ndarray], sums: ArraySums, residual_width: int = 0) -> int:
    """Bits of offset, and of what is shifted for every sum that activations can give, and every
    code of the added map."""
    added = (0, (2**residual_width - 1) * numbers["residual_mult"])
    totals = [
        numbers["offset"] + end * numbers["mult"] + more
        for end in (sums.lowest, sums.highest, 0)
        for more in added
    ]
    return signed_width(int(np.min(totals)), int(np.max(totals)))


def signed_width(low: int, high: int) -> int:
    """Bits of a signed number from `low` to `high`."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
