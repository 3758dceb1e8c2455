"""A layer's integers as words of the accelerator's memories."""

from dataclasses import dataclass

import numpy as np

from golden.spec import IMAGE, QuantizedLayer, QuantizedModel

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
    words = {"offset": [], "mult": [], "shift": [], "residual_mult": []}
    for layer, descriptor in zip(model.layers, layers, strict=True):
        missing = -layer.spec.out_channels % descriptor.config.array.cols
        fill = {"offset": descriptor.out_zero if descriptor.target else 0}
        for name, value in requantizer_numbers(layer).items():
            filled = np.pad(value, (0, missing), constant_values=fill.get(name, 0))
            words[name].append(filled.reshape(descriptor.tiles, -1))
    offset, mult, shift, residual_mult = (np.concatenate(value) for value in words.values())
    added = {"residual_mult": residual_mult} if any(d.residual for d in layers) else {}
    widths = {IMAGE: model.input_width}
    widths |= {layer.spec.name: layer.spec.out_width for layer in model.layers}
    return Constants(
        offset=offset,
        shift=shift,
        factors={"mult": mult} | added,
        total_width=max(
            total_width(layer, widths.get(layer.spec.residual, 0)) for layer in model.layers
        ),
    )


def requantizer_numbers(layer: QuantizedLayer) -> dict[str, np.ndarray]:
    """offset, mult, shift and residual_mult of each filter, as in `Constants`."""
    spec, shift, residual_mult = layer.spec, layer.shift, layer.residual_mult
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    offset = layer.bias * layer.mult + half + (spec.out_zero_point << shift)
    return {
        "offset": offset - spec.residual_zero_point * residual_mult,
        "mult": (-1 if spec.kind == "adder" else 1) * layer.mult,
        "shift": shift,
        "residual_mult": residual_mult,
    }


def total_width(layer: QuantizedLayer, residual_width: int = 0) -> int:
    """Bits of offset, and of what is shifted for every sum that activations can give, and every
    code of the added map."""
    numbers = requantizer_numbers(layer)
    weight, top = layer.weight.reshape(layer.spec.out_channels, -1), 2**layer.spec.width - 1
    if layer.spec.kind == "adder":
        low, high = 0 * weight, np.maximum(weight, top - weight)
    else:
        low, high = np.minimum(weight, 0) * top, np.maximum(weight, 0) * top
    added = (0, (2**residual_width - 1) * numbers["residual_mult"])
    totals = [
        numbers["offset"] + end * numbers["mult"] + more
        for end in (low.sum(1), high.sum(1), 0)
        for more in added
    ]
    return signed_width(int(np.min(totals)), int(np.max(totals)))


def signed_width(low: int, high: int) -> int:
    """Bits of a signed number from `low` to `high`."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
