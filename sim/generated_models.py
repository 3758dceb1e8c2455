"""Small quantized networks of random integers that try an accelerator: odd sizes, strides,
padding, several groups of channels and tiles of filters, pooling, flattening."""

from collections.abc import Iterable

import numpy as np

from golden import reference
from golden.spec import IMAGE, LayerSpec, Pool, QuantizedLayer, QuantizedModel


def generated_model(
    kind: str,
    in_shape: tuple[int, int, int],
    layers: Iterable[dict],
    width: int = 8,
    requantize: str = "multiply",
    seed: int = 0,
) -> QuantizedModel:
    """A model with layers of these fields of LayerSpec; the others follow from the layer before,
    and `flatten` in place of in_shape takes its map flattened. `pool` is the side of windows, or
    two sides. Codes and zero points are random, and requantization spreads each layer's sums over
    all codes, for activations of this very model."""
    rng = np.random.default_rng(seed)
    zero = int(rng.integers(0, 2**width))
    first_zero, source, made = zero, IMAGE, []
    codes = rng.integers(0, 2**width, (2, *in_shape))
    shapes, layers = {IMAGE: in_shape}, list(layers)
    maps = {IMAGE: (codes, zero)}
    for index, fields in enumerate(layers):
        fields = dict(fields)
        source = fields.pop("source", source)
        codes, zero = maps[source]
        flatten, sides = fields.pop("flatten", False), fields.pop("pool", None)
        shape = shapes[source]
        if flatten:
            shape = (int(np.prod(shape)), 1, 1)
        pool = Pool(kind="max", kernel=sides, stride=sides) if sides else None
        last = index == len(layers) - 1
        spec = LayerSpec(
            **{"name": f"layer{index}", "kind": kind, "in_shape": shape, "source": source}
            | {"width": width, "in_width": width, "in_zero_point": zero, "pool": pool}
            | {"out_width": 16 if last else width}
            | {"out_zero_point": 2**15 if last else int(rng.integers(0, 2**width))}
            | fields
        )
        layer = _layer(spec, codes.reshape(-1, *shape), requantize, rng)
        made.append(layer)
        sums = reference.accumulate(layer, codes.reshape(-1, *shape))
        maps[spec.name] = (
            reference.pool(reference.requantize(layer, sums), spec),
            spec.out_zero_point,
        )
        shapes[spec.name], source = spec.out_shape, spec.name
    return QuantizedModel(
        name=f"generated {kind}",
        layers=tuple(made),
        input_scale=1.0,
        input_width=width,
        input_zero_point=first_zero,
        requantize=requantize,
    )


def generated_codes(model: QuantizedModel, count: int, seed: int = 1) -> np.ndarray:
    """Images of random codes (count, *in_shape)."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**model.input_width, (count, *model.in_shape))


def _layer(
    spec: LayerSpec, codes: np.ndarray, requantize: str, rng: np.random.Generator
) -> QuantizedLayer:
    """Random weights, and constants for which most codes are within their range."""
    lowest, highest = spec.weight_limits
    weight = rng.integers(lowest, highest + 1, spec.weight_shape)
    zeros = np.zeros(spec.out_channels, np.int64)
    plain = QuantizedLayer(spec=spec, weight=weight, bias=zeros, mult=zeros, shift=zeros)
    sums = reference.accumulate(plain, codes).swapaxes(0, 1).reshape(spec.out_channels, -1)
    shift = rng.integers(8, 20, spec.out_channels)
    spread = np.maximum(sums.std(axis=1), 1)
    mult = 2.0 ** (spec.out_width - 2 + shift) / spread * rng.uniform(0.5, 1, spec.out_channels)
    mult = mult.astype(np.int64).clip(1, 2**15 - 1) * rng.choice([-1, 1], spec.out_channels)
    if requantize == "shift":
        powers = rng.integers(0, 15, (2, spec.out_channels))
        mult = np.sign(mult) * (2 ** powers[0] + rng.choice([-1, 0, 1]) * 2 ** powers[1])
    sign = 1 if spec.kind == "adder" else -1
    return QuantizedLayer(
        spec=spec,
        weight=weight,
        bias=np.rint(sign * sums.mean(1)).astype(np.int64),
        mult=mult,
        shift=shift,
    )
