"""The paper's larger networks as quantized models that try an accelerator: reduced, made by the
quantizer of networks whose weights are random, and of full size, with random integers."""

import numpy as np
import torch
from torch import nn

from golden.calibrate import LOGIT_WIDTH
from golden.folding import weight_of, window_of
from golden.graph import FloatLayer, trace
from golden.networks import build
from golden.quantize import quantize
from golden.spec import IMAGE, LayerSpec, QuantizedLayer, QuantizedModel

IMAGES = 2  # that statistics and formats are taken of
MULT, SHIFT, ADDED_MULT = 2**15 - 1, 20, 2**20  # as wide as the quantizer's


@torch.no_grad()
def reduced_model(name: str, width: int, side: int, classes: int = 10) -> QuantizedModel:
    """An adder network of `golden.networks` with fewer channels and smaller images. Weights are
    random; batch norms have the statistics of random images, which it is quantized on."""
    torch.manual_seed(0)
    network = build(name, classes=classes, width=width, side=side)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None  # the mean of what comes
    images = torch.rand(IMAGES, 3, side, side)
    network.train()(images)
    return quantize(network, images.numpy(), name=f"{name}, {width} channels")


def full_model(name: str) -> QuantizedModel:
    """The shapes of an adder network of `golden.networks`, its first and last layer ordinary, with
    random weights; its sums are not scaled to codes."""
    network = build(name, "cnn")  # traced in less time
    layers, rng = trace(network, network.in_shape), np.random.default_rng(0)
    shapes, made = {IMAGE: network.in_shape}, []
    for layer in layers:
        kind = "mac" if layer in (layers[0], layers[-1]) else "adder"
        width = LOGIT_WIDTH if layer is layers[-1] else 8
        made.append(_random_layer(layer, kind, width, shapes, rng))
        shapes[layer.name] = made[-1].spec.out_shape
    return QuantizedModel(name=name, layers=tuple(made), input_scale=1.0)


def _random_layer(
    layer: FloatLayer,
    kind: str,
    out_width: int,
    shapes: dict[str, tuple[int, int, int]],
    rng: np.random.Generator,
) -> QuantizedLayer:
    weight = weight_of(layer)
    spec = LayerSpec(
        name=layer.name,
        kind=kind,
        source=layer.source,
        residual=layer.residual,
        in_shape=(weight.shape[1], 1, 1) if layer.is_linear else shapes[layer.source],
        out_channels=len(weight),
        kernel=tuple(weight.shape[2:]),
        pool=layer.pool,
        out_width=out_width,
        **window_of(layer),
    )
    lowest, highest = spec.weight_limits
    ones = np.ones(spec.out_channels, np.int64)
    return QuantizedLayer(
        spec=spec,
        weight=rng.integers(lowest, highest + 1, spec.weight_shape, np.int16),
        bias=0 * ones,
        mult=MULT * ones,
        shift=SHIFT * ones,
        residual_mult=ADDED_MULT * ones if spec.residual else None,
    )
