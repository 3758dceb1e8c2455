"""The integer network, faster: `golden.reference` with the sums made in floating point, which is
exact while whole numbers stay below 2**24 (float32) or 2**53 (float64)."""

import numpy as np
import torch
from torch.nn.functional import conv2d

from . import reference
from .adder_function import adder_conv2d
from .spec import QuantizedLayer, QuantizedModel

FLOAT32 = 2**24
FLOAT64 = 2**53


def classify(model: QuantizedModel, images: np.ndarray) -> np.ndarray:
    """As `golden.reference.classify`."""
    return reference.classify(model, images, accumulate)


def run(model: QuantizedModel, codes: np.ndarray) -> list[reference.LayerRecord]:
    """As `golden.reference.run`."""
    return reference.run(model, codes, sums_of=accumulate)


def accumulate(layer: QuantizedLayer, codes: np.ndarray) -> np.ndarray:
    """As `golden.reference.accumulate`, bit for bit.

    float32 kernels make -Σ|x - f| of Σx + Σf - 2 Σ max(x, f), of which no part exceeds twice the
    largest sum. Products are summed in float64.
    """
    spec = layer.spec
    largest = 2 * spec.accumulator_limit
    if largest >= FLOAT64 or len(codes) == 0:
        return reference.accumulate(layer, codes)
    adder = spec.kind == "adder"
    kind = torch.float32 if adder and largest < FLOAT32 else torch.float64
    weigh = 2.0 ** torch.tensor(spec.weigh, dtype=kind)[:, None, None]
    operands = torch.from_numpy(reference.padded(codes, spec)).to(kind)
    weight = torch.tensor(layer.weight, dtype=kind)
    weight = (2 * weight - 1 if spec.kind == "xnor" else weight) * weigh
    if adder:
        sums = -adder_conv2d(operands * weigh, weight, stride=spec.stride)
    else:
        sums = conv2d(operands, weight, stride=spec.stride)
    return sums.to(torch.int64).numpy()
