"""The integer reference: what every layer of a quantized network computes, exactly.

This module is the definition. It is NumPy, int64, and meant to be read in one sitting; fast
paths, hardware and simulators are tested equal to it. Codes are unsigned integers; images are
(N, channels, rows, columns).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .spec import LayerSpec, QuantizedLayer, QuantizedModel

BATCH = 50  # images at a time in `classify`: bounds memory, and fits the cache


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """What one layer took and gave. codes_in: (N, *in_shape). accumulators: (N, filters, map
    rows, map columns), SAD or dot product. codes_out: (N, *out_shape)."""

    layer: QuantizedLayer
    codes_in: np.ndarray
    accumulators: np.ndarray
    codes_out: np.ndarray


def run(model: QuantizedModel, codes: np.ndarray) -> list[LayerRecord]:
    """Every layer's record, for input codes (N, *in_shape of the first layer).

    Raises ValueError when the codes are not integers of this shape and of the layer's width.
    """
    first = model.layers[0].spec
    _check_codes(codes, first)
    records = []
    for layer in model.layers:
        codes = np.asarray(codes, np.int64).reshape(-1, *layer.spec.in_shape)
        accumulators = accumulate(layer, codes)
        codes_out = max_pool(requantize(layer, accumulators), layer.spec.pool)
        records.append(
            LayerRecord(layer=layer, codes_in=codes, accumulators=accumulators, codes_out=codes_out)
        )
        codes = codes_out
    return records


def classify(model: QuantizedModel, images: np.ndarray) -> np.ndarray:
    """The class of each float image: the lowest index among the largest output codes."""
    classes = [
        run(model, encode(model, batch))[-1].codes_out.reshape(len(batch), -1).argmax(1)
        for batch in _batches(images)
    ]
    return np.concatenate(classes) if classes else np.empty(0, np.int64)


def encode(model: QuantizedModel, images: np.ndarray) -> np.ndarray:
    """clamp(round_half_up(value / input_scale) + in_zero_point, 0, 2**width - 1)."""
    if not np.isfinite(images).all():
        raise ValueError("images must be finite numbers, but some are NaN or infinite")
    first = model.layers[0].spec
    steps = np.floor(np.asarray(images, np.float64) / model.input_scale + 0.5)
    return np.clip(steps + first.in_zero_point, 0, 2**first.width - 1).astype(np.int64)


def unfold(codes: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """The matrix form (m, k): a row per image and output position, each a receptive field in
    (channel, kernel row, kernel column) order. Padding has the code of zero, in_zero_point."""
    (rows, cols), (stride_rows, stride_cols) = spec.padding, spec.stride
    padded = np.pad(
        codes, ((0, 0), (0, 0), (rows, rows), (cols, cols)), constant_values=spec.in_zero_point
    )
    windows = sliding_window_view(padded, spec.kernel, axis=(2, 3))
    windows = windows[:, :, ::stride_rows, ::stride_cols]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, spec.reduction)


def accumulate(layer: QuantizedLayer, codes: np.ndarray) -> np.ndarray:
    """(N, filters, map rows, map columns): SAD Σ|x - f| of an adder layer, Σ x · f of a MAC
    layer, for codes (N, *in_shape)."""
    spec = layer.spec
    columns = unfold(codes, spec)
    weights = layer.weight.reshape(spec.out_channels, spec.reduction)
    if spec.kind == "adder":
        sums = np.stack([np.abs(columns - filter).sum(1) for filter in weights])
    else:
        sums = weights @ columns.T
    return sums.reshape(spec.out_channels, len(codes), *spec.map_shape).swapaxes(0, 1)


def requantize(layer: QuantizedLayer, accumulators: np.ndarray) -> np.ndarray:
    """clamp(round_half_up((bias + acc) · mult / 2**shift) + out_zero_point, 0, 2**out_width - 1)
    per filter, where acc is -SAD in an adder layer: its minus sign is here and nowhere else."""
    signed = -accumulators if layer.spec.kind == "adder" else accumulators
    bias, mult, shift = (
        value.reshape(1, -1, 1, 1) for value in (layer.bias, layer.mult, layer.shift)
    )
    codes = round_half_up((bias + signed) * mult, shift) + layer.spec.out_zero_point
    return np.clip(codes, 0, 2**layer.spec.out_width - 1)


def round_half_up(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """value / 2**shift to the nearest integer, halves upward: (value + 2**(shift-1)) >> shift."""
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    return (value + half) >> shift


def max_pool(codes: np.ndarray, side: int) -> np.ndarray:
    """The maximum of each side × side window; incomplete windows at the edge are dropped."""
    count, channels, rows, cols = codes.shape
    rows, cols = rows // side, cols // side
    whole = codes[:, :, : rows * side, : cols * side]
    return whole.reshape(count, channels, rows, side, cols, side).max((3, 5))


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def _check_codes(codes: np.ndarray, spec: LayerSpec) -> None:
    if codes.shape[1:] != spec.in_shape or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"codes must be integers of shape (N, {', '.join(map(str, spec.in_shape))}), "
            f"not {codes.dtype} of shape {codes.shape}"
        )
    if codes.size and not (codes.min() >= 0 and codes.max() < 2**spec.width):
        raise ValueError(
            f"codes must be from 0 to {2**spec.width - 1}, not from {codes.min()} to {codes.max()}"
        )
