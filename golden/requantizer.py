"""The integers that turn a layer's sums into codes: bias, mult, shift."""

import math

import numpy as np

from .spec import LayerSpec

MULT_WIDTH = 16  # bits of mult, which is signed, unless fewer are wanted
RESIDUAL_LIMIT = 2.0**44  # residual_mult: 16 significant bits and zeros behind them, so that an
RESIDUAL_DIGITS = 16  # added map may weigh much more than a sum's unit
SHIFT_LIMIT = 44  # keeps (bias + acc) · mult below 2**62
Integers = dict[str, np.ndarray]


def requantizer(
    slope: np.ndarray,
    offset: np.ndarray,
    spec: LayerSpec,
    residual_slope: float = 0.0,
    residual_width: int = 0,
    mode: str = "multiply",
    mult_width: int = MULT_WIDTH,
) -> Integers:
    """bias, mult, shift, residual_mult, int64, for which ((bias + acc) · mult + r · residual_mult)
    / 2**shift approximates slope · acc + offset + residual_slope · r, in output codes.

    slope, offset: (out,). residual_width: bits of the added map. mode: "multiply", or "shift" for
    multipliers that are sums of two signed powers of two. mult_width: bits of a multiplier,
    but for slopes that need more, up to 16.

    A filter whose whole accumulator moves its code by less than a quarter (γ ≈ 0) gets a slope of
    about that much, so that bias stays bounded. A bias beyond what saturates the code is cut.
    One-bit codes are signs: exact, but for equality at the threshold. ValueError where slope or
    offset is not finite.
    """
    if not (np.isfinite(slope).all() and np.isfinite(offset).all()):
        raise ValueError(
            f"{spec.name}: each filter's scale and offset must be finite, and one is not; train "
            "the network at a lower rate"
        )
    if spec.out_width == 1:
        return _signs(slope, offset, spec)
    limit = spec.accumulator_limit
    least = 2.0 ** -math.ceil(math.log2(4 * limit))
    slope = np.where(np.abs(slope) < least, np.copysign(least, slope), slope)
    steepest = min(float(np.abs(slope).max()), 2.0 ** (MULT_WIDTH - 1) - 1)
    most = max(2 ** (mult_width - 1) - 1, math.ceil(steepest))
    if mode == "shift":  # so that the limit itself is a sum of two powers
        most = 2 ** math.ceil(math.log2(most + 1)) - 1
    shift = np.floor(np.log2(most / np.abs(slope)))
    if residual_slope:
        shift = np.minimum(shift, math.floor(math.log2(RESIDUAL_LIMIT / residual_slope)))
    shift = shift.clip(0, SHIFT_LIMIT)
    rounded = np.rint if mode == "multiply" else two_powers
    mult = rounded(slope * 2.0**shift).clip(-most - 1, most + 1)
    mult = np.where(mult == 0, np.copysign(1, slope), mult)
    if mode == "multiply":
        mult = mult.clip(-most, most)
    reach = 2.0**spec.out_width + residual_slope * 2.0**residual_width
    saturating = limit + reach / np.abs(slope)
    bias = np.rint((offset / slope).clip(-saturating, saturating))
    residual_mult = rounded(residual_slope * 2.0**shift)
    if mode == "multiply":
        residual_mult = _significant(residual_mult)
    integers = {"bias": bias, "mult": mult, "shift": shift, "residual_mult": residual_mult}
    return {name: value.astype(np.int64) for name, value in integers.items()}


def _significant(values: np.ndarray) -> np.ndarray:
    """Whole numbers rounded to RESIDUAL_DIGITS binary digits."""
    digits = np.ceil(np.log2(np.maximum(np.abs(values), 1)))
    unit = 2.0 ** np.maximum(digits - RESIDUAL_DIGITS, 0)
    return np.rint(values / unit) * unit


def two_powers(values: np.ndarray) -> np.ndarray:
    """The nearest ±2**a or ±2**a ± 2**b, a > b ≥ 0, to each value; 0 for less than a half."""
    magnitude = np.abs(values)
    best = np.where(magnitude < 0.5, 0.0, 1.0)
    top = int(np.ceil(np.log2(max(float(magnitude.max(initial=1.0)), 1.0)))) + 1
    for a in range(top + 1):
        for low in (0.0, *(sign * 2.0**b for b in range(a) for sign in (1, -1))):
            closer = np.abs(2.0**a + low - magnitude) < np.abs(best - magnitude)
            best = np.where(closer & (magnitude >= 0.5), 2.0**a + low, best)
    return np.copysign(best, values)


def _signs(slope: np.ndarray, offset: np.ndarray, spec: LayerSpec) -> Integers:
    """1 where slope · acc + offset ≥ 0: (bias + acc) · ±1 + zero point 1, clamped. A slope of 0
    gives the offset's sign, whatever the sum."""
    limit = spec.accumulator_limit + 1.0
    safe = np.where(slope == 0, 1.0, slope)
    threshold = (offset / safe).clip(-limit, limit)
    bias = np.where(slope > 0, np.floor(threshold), np.ceil(threshold))
    bias = np.where(slope == 0, np.where(offset >= 0, limit, -limit), bias)
    mult = np.where(slope < 0, -1, 1)
    zeros = np.zeros(len(slope))
    integers = {"bias": bias, "mult": mult, "shift": zeros, "residual_mult": zeros}
    return {name: value.astype(np.int64) for name, value in integers.items()}
