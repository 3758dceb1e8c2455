"""How large the sums of a quantized network can get: proven from its weights. NumPy only."""

from dataclasses import dataclass

import numpy as np

from .spec import LayerSpec, QuantizedLayer, QuantizedModel


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """lowest, highest: of the layer's sums, over all activations that codes can express; both are
    reached if no window is padded. bits: of an accumulator that holds them at every moment of the
    sum, in any order of terms. signed: whether it is signed. product_bits: of the signed number
    that the requantizer shifts and rounds, for any residual. by_shape_bits: what the layer's shape
    alone would demand of the accumulator."""

    layer: str
    lowest: int
    highest: int
    bits: int
    signed: bool
    product_bits: int
    by_shape_bits: int

    def check(self, sums: np.ndarray) -> None:
        """OverflowError when a sum is outside what was proven."""
        if sums.size and not (self.lowest <= sums.min() and sums.max() <= self.highest):
            raise OverflowError(
                f"layer {self.layer!r}: sums must be from {self.lowest} to {self.highest}, not "
                f"from {sums.min()} to {sums.max()}"
            )


def certify(model: QuantizedModel) -> list[Certificate]:
    """A certificate for each layer, in order."""
    widths = {layer.spec.name: layer.spec.out_width for layer in model.layers}
    return [_certify(layer, widths.get(layer.spec.residual, 0)) for layer in model.layers]


def _certify(layer: QuantizedLayer, residual_width: int) -> Certificate:
    spec = layer.spec
    falling, rising = _extremes(layer)
    signed = spec.kind != "adder"
    return Certificate(
        layer=spec.name,
        lowest=int(falling.min()),
        highest=int(rising.max()),
        bits=_bits(int(falling.min()), int(rising.max()), signed),
        signed=signed,
        product_bits=_product_bits(layer, falling, rising, residual_width),
        by_shape_bits=spec.accumulator_limit.bit_length() + signed,
    )


def _extremes(layer: QuantizedLayer) -> tuple[np.ndarray, np.ndarray]:
    """Each filter's least and greatest sum, (out,): of the worst activation for every term. A sum
    of part of the terms is within 0 and these, or closer to 0."""
    spec, weight = layer.spec, layer.weight
    weigh = 2 ** np.array(spec.weigh)[:, None, None]
    top = 2**spec.width - 1
    if spec.kind == "xnor":
        limit = np.full(spec.out_channels, spec.reduction)
        return -limit, limit
    if spec.kind == "adder":
        terms = weigh * np.maximum(weight, top - weight)
        return np.zeros(spec.out_channels, np.int64), terms.sum((1, 2, 3))
    terms = weigh * top * weight
    return np.minimum(terms, 0).sum((1, 2, 3)), np.maximum(terms, 0).sum((1, 2, 3))


def _product_bits(
    layer: QuantizedLayer, falling: np.ndarray, rising: np.ndarray, residual_width: int
) -> int:
    """Bits of (bias + acc) · mult + (r - zero) · residual_mult + 2**(shift - 1), in Python's
    integers, which do not overflow."""
    spec: LayerSpec = layer.spec
    zero = spec.residual_zero_point
    residuals = (-zero, 2**residual_width - 1 - zero) if residual_width else (0, 0)
    worst = 0
    for filter in range(spec.out_channels):
        bias, mult, shift, residual_mult = (
            int(values[filter])
            for values in (layer.bias, layer.mult, layer.shift, layer.residual_mult)
        )
        ends = (int(falling[filter]), int(rising[filter]))
        sums = [-end if spec.kind == "adder" else end for end in ends]
        for total in ((bias + sum) * mult + r * residual_mult for sum in sums for r in residuals):
            worst = max(worst, abs(total) + 2 ** max(shift - 1, 0))
    return worst.bit_length() + 1


def _bits(lowest: int, highest: int, signed: bool) -> int:
    if not signed:
        return max(highest.bit_length(), 1)
    return max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0) + 1
