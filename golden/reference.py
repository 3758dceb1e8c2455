"""The integer reference: what every layer of a quantized network computes, exactly.

This module is the definition. It is NumPy, int64, and meant to be read in one sitting; fast
paths, hardware and simulators are tested equal to it. Codes are unsigned integers; maps are
(N, channels, rows, columns).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .certificate import Certificate
from .spec import IMAGE, LayerSpec, QuantizedLayer, QuantizedModel

BATCH = 50  # images at a time in `classify`: bounds memory, and fits the cache


@dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """What one layer took and gave. codes_in: (N, *in_shape). accumulators: (N, filters, map
    rows, map columns), SAD, dot product or difference of matches. codes_out: (N, *out_shape)."""

    layer: QuantizedLayer
    codes_in: np.ndarray
    accumulators: np.ndarray
    codes_out: np.ndarray


Accumulate = Callable[[QuantizedLayer, np.ndarray], np.ndarray]


def run(
    model: QuantizedModel,
    codes: np.ndarray,
    certificates: list[Certificate] | None = None,
    sums_of: Accumulate | None = None,
) -> list[LayerRecord]:
    """Every layer's record, for input codes (N, *in_shape of the model).

    certificates: of every layer, see `golden.certificate`; a sum outside is an OverflowError.
    sums_of: in place of `accumulate`, the same sums by other means.

    Raises ValueError when the codes are not integers of this shape and of the input's width.
    """
    _check_codes(codes, model)
    maps, records = {IMAGE: np.asarray(codes, np.int64)}, []
    for index, layer in enumerate(model.layers):
        spec = layer.spec
        codes_in = maps[spec.source].reshape(-1, *spec.in_shape)
        sums = (sums_of or accumulate)(layer, codes_in)
        if certificates is not None:
            certificates[index].check(sums)
        residual = maps[spec.residual] if spec.residual else None
        maps[spec.name] = pool(requantize(layer, sums, residual), spec)
        records.append(
            LayerRecord(
                layer=layer, codes_in=codes_in, accumulators=sums, codes_out=maps[spec.name]
            )
        )
    return records


def classify(
    model: QuantizedModel, images: np.ndarray, sums_of: Accumulate | None = None
) -> np.ndarray:
    """The class of each float image: the lowest index among the largest output codes."""
    classes = [
        run(model, encode(model, batch), sums_of=sums_of)[-1]
        .codes_out.reshape(len(batch), -1)
        .argmax(1)
        for batch in _batches(images)
    ]
    return np.concatenate(classes) if classes else np.empty(0, np.int64)


def encode(model: QuantizedModel, images: np.ndarray) -> np.ndarray:
    """clamp(round_half_up(value / input_scale) + input_zero_point, 0, 2**input_width - 1)."""
    if not np.isfinite(images).all():
        raise ValueError("images must be finite numbers, but some are NaN or infinite")
    steps = np.floor(np.asarray(images, np.float64) / model.input_scale + 0.5)
    highest = 2**model.input_width - 1
    return np.clip(steps + model.input_zero_point, 0, highest).astype(np.int64)


def read(codes: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """The operands: codes without their dropped bits; in "xnor", -1 and 1."""
    if spec.kind == "xnor":
        return np.where(codes >= spec.in_zero_point, 1, -1)
    drop = np.reshape(spec.drop, (-1, 1, 1))
    return np.minimum(round_half_up(codes, drop), 2**spec.width - 1)


def unfold(codes: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """The operands' matrix form (m, k): a row per image and output position, each a receptive
    field in (channel, kernel row, kernel column) order. Padding is the operand of zero."""
    windows = sliding_window_view(padded(codes, spec), spec.kernel, axis=(2, 3))
    windows = windows[:, :, :: spec.stride[0], :: spec.stride[1]]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, spec.reduction)


def padded(codes: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """The operands with their padding around them, the operand of zero; 0 in "xnor"."""
    (rows, cols), (_, height, width) = spec.padding, spec.in_shape
    zero = np.full((spec.in_shape[0], 1, 1), spec.in_zero_point)
    shape = (len(codes), spec.in_shape[0], height + 2 * rows, width + 2 * cols)
    operands = np.empty(shape, np.int64)
    operands[:] = 0 if spec.kind == "xnor" else read(zero, spec)
    operands[:, :, rows : rows + height, cols : cols + width] = read(codes, spec)
    return operands


def accumulate(layer: QuantizedLayer, codes: np.ndarray) -> np.ndarray:
    """(N, filters, map rows, map columns): Σ|x - f| of an adder layer, Σ x · f of a MAC layer,
    matches - mismatches of an XNOR layer, for codes (N, *in_shape); terms of an input channel
    count 2**weigh times."""
    spec = layer.spec
    columns, weights = unfold(codes, spec), layer.weight.reshape(spec.out_channels, -1)
    weigh = np.repeat(2 ** np.array(spec.weigh), spec.reduction // spec.in_shape[0])
    if spec.kind == "adder":
        sums = np.stack([np.abs(columns - filter) @ weigh for filter in weights])
    else:
        sums = (weights if spec.kind == "mac" else 2 * weights - 1) * weigh @ columns.T
    return sums.reshape(spec.out_channels, len(codes), *spec.map_shape).swapaxes(0, 1)


def requantize(
    layer: QuantizedLayer, accumulators: np.ndarray, residual: np.ndarray | None = None
) -> np.ndarray:
    """clamp(round_half_up(((bias + acc) · mult + (r - zero) · residual_mult) / 2**shift) +
    out_zero_point, 0, 2**out_width - 1) per filter, where acc is -SAD in an adder layer: its minus
    sign is here and nowhere else. residual: the codes r, if the layer adds a map."""
    spec = layer.spec
    bias, mult, shift, residual_mult = (
        value.reshape(1, -1, 1, 1)
        for value in (layer.bias, layer.mult, layer.shift, layer.residual_mult)
    )
    total = (bias + (-accumulators if spec.kind == "adder" else accumulators)) * mult
    if residual is not None:
        total = total + (residual - spec.residual_zero_point) * residual_mult
    return np.clip(round_half_up(total, shift) + spec.out_zero_point, 0, 2**spec.out_width - 1)


def round_half_up(value: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """value / 2**shift to the nearest integer, halves upward: (value + 2**(shift-1)) >> shift."""
    half = np.where(shift > 0, 1 << np.maximum(shift - 1, 0), 0)
    return (value + half) >> shift


def pool(codes: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """The maximum of each window, or its mean as `golden.spec.Pool` defines it."""
    pool, zero = spec.pool, spec.out_zero_point
    if pool is None:
        return codes
    sides = ((0, 0), (0, 0), *((pad, pad) for pad in pool.padding))
    windows = sliding_window_view(np.pad(codes, sides), pool.kernel, axis=(2, 3))
    windows = windows[:, :, :: pool.stride[0], :: pool.stride[1]]
    if pool.kind == "max":
        return windows.max((4, 5))
    return round_half_up((windows - zero).sum((4, 5)), np.array(pool.shift)) + zero


def _batches(images: np.ndarray) -> Iterator[np.ndarray]:
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def _check_codes(codes: np.ndarray, model: QuantizedModel) -> None:
    if codes.shape[1:] != model.in_shape or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(
            f"codes must be integers of shape (N, {', '.join(map(str, model.in_shape))}), "
            f"not {codes.dtype} of shape {codes.shape}"
        )
    highest = 2**model.input_width - 1
    if codes.size and not (codes.min() >= 0 and codes.max() <= highest):
        raise ValueError(
            f"codes must be from 0 to {highest}, not from {codes.min()} to {codes.max()}"
        )
