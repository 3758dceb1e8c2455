"""What an array's sums are of a layer: distances and products give layers of every kind.

An array of adders computes Σ|x − f| and nothing else, which is enough without a multiplier:

- binary layers: x and f are 0, 1, 2 for −1, 0, 1. |x − f| is 0 for a match, 2 for a mismatch and 1
  for padding, so that matches − mismatches = k − Σ|x − f|.
- ordinary layers: |x − 0| = x and |x − most| = most − x, so f gives x a sign. A weight w of n bits
  is half of Σ ±2**b over the bits b of w + 2**(n−1), + for a 1, and one −1 more. So n + 1 planes of
  signs, each as heavy as its bit, add up to 2 · Σ x · w + a constant.

An `xnor` array has the numbers 0, 1, 2 in two lanes each, 00, 01 and 11: their distance is the
number of bits that differ. Ordinary layers there have planes of the bits of x, too.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from golden.spec import LayerSpec, QuantizedLayer

from .accelerator_config import AcceleratorConfig


class Plane(NamedTuple):
    """Its sums count 2**weight times. weight_bit: whose sign it has; −1 where all are negative.
    operand_bit: of x, in an `xnor` array."""

    weight: int
    weight_bit: int
    operand_bit: int


@dataclass(frozen=True, kw_only=True)
class ArraySums:
    """bias + acc of the layer = (offset + sign · sum) / scale, for the sums of the array's weights.

    weight: (planes, filters, channels, kernel rows, kernel columns). fill: (planes,) weights where
    a channel only fills up a word; with the operand there they add nothing. lowest, highest: sums
    that any operands can give. offset, lowest, highest: (filters,).
    """

    weight: np.ndarray
    fill: np.ndarray
    offset: np.ndarray
    sign: int
    scale: int
    lowest: np.ndarray
    highest: np.ndarray


def ordinary_planes(config: AcceleratorConfig) -> tuple[Plane, ...]:
    """Of ordinary layers on arrays of distances, the heaviest first: each weighs as much as the one
    before, or half."""
    width = config.map_width if config.array.pe == "xnor" else config.array.width
    operand_bits = range(width) if config.array.pe == "xnor" else (0,)
    planes = [
        Plane(max(weight_bit, 0) + operand_bit, weight_bit, operand_bit)
        for weight_bit in range(-1, width)
        for operand_bit in operand_bits
    ]
    return tuple(sorted(planes, reverse=True))


def in_planes(kind: str, config: AcceleratorConfig) -> bool:
    """Whether layers of this kind take several planes."""
    return kind == "mac" and config.array.pe != "mac"


def array_sums(layer: QuantizedLayer, config: AcceleratorConfig) -> ArraySums:
    """Of a layer of one of the kinds that the array computes."""
    if in_planes(layer.spec.kind, config):
        return _planes(layer, config)
    if config.array.pe == "mac":
        return _products(layer)
    return _distances(layer)


def _distances(layer: QuantizedLayer) -> ArraySums:
    """|x − f|, where acc = −sum, or k − sum of a binary layer."""
    spec, binary = layer.spec, layer.spec.kind == "xnor"
    weight, most = (2 * layer.weight, 2) if binary else (layer.weight, 2**spec.width - 1)
    farthest = np.maximum(weight, most - weight)
    return ArraySums(
        weight=weight[None],
        fill=np.array([1 if binary else _zero_operand(spec)]),
        offset=layer.bias + (spec.reduction if binary else 0),
        sign=-1,
        scale=1,
        lowest=np.zeros_like(layer.bias),
        highest=_by_filter(farthest),
    )


def _products(layer: QuantizedLayer) -> ArraySums:
    """x · f, where acc = sum; of a binary layer (x − 1) · f is a term of acc."""
    spec, binary = layer.spec, layer.spec.kind == "xnor"
    weight, most = (2 * layer.weight - 1, 2) if binary else (layer.weight, 2**spec.width - 1)
    return ArraySums(
        weight=weight[None],
        fill=np.array([0]),
        offset=layer.bias - (_by_filter(weight) if binary else 0),
        sign=1,
        scale=1,
        lowest=_by_filter(np.minimum(weight, 0) * most),
        highest=_by_filter(np.maximum(weight, 0) * most),
    )


def _planes(layer: QuantizedLayer, config: AcceleratorConfig) -> ArraySums:
    """Signs of x: sum = 2 · Σ x · w + most · Σ what negative signs weigh, `most` being the largest
    x, and `top` the largest operand of a plane."""
    planes, zero = ordinary_planes(config), _zero_operand(layer.spec)
    bits = 1 + max(plane.weight_bit for plane in planes)
    digits = layer.weight + 2 ** (bits - 1)
    top = most = 2**bits - 1
    fill = [zero] * len(planes)
    if config.array.pe == "xnor":
        top, fill = 1, [zero >> plane.operand_bit & 1 for plane in planes]
    positive = [
        (digits >> plane.weight_bit & 1) if plane.weight_bit >= 0 else np.zeros_like(digits)
        for plane in planes
    ]
    negative = 2**bits - digits  # what the planes of negative signs weigh
    heavier = np.maximum(negative, digits)
    return ArraySums(
        weight=np.stack([top * (1 - signs) for signs in positive]),
        fill=np.array(fill),
        offset=2 * layer.bias - most * _by_filter(negative),
        sign=1,
        scale=2,
        lowest=np.zeros_like(layer.bias),
        highest=most * _by_filter(heavier),
    )


def _zero_operand(spec: LayerSpec) -> int:
    """What the array takes where a code is the zero point."""
    return min(spec.in_zero_point >> max(spec.drop), 2**spec.width - 1)


def _by_filter(weight: np.ndarray) -> np.ndarray:
    return weight.reshape(len(weight), -1).sum(1)
