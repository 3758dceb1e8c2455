"""Small quantized networks of random integers that try an accelerator: odd sizes, strides,
padding, several groups of channels and tiles of filters, pooling, added maps, flattening."""

from collections.abc import Iterable

import numpy as np

from golden import reference
from golden.requantizer import two_powers
from golden.spec import IMAGE, LayerSpec, Pool, QuantizedLayer, QuantizedModel


def generated_model(
    kind: str,
    in_shape: tuple[int, int, int],
    layers: Iterable[dict],
    width: int = 8,
    requantize: str = "multiply",
    seed: int = 0,
    zero_point: int | None = None,
) -> QuantizedModel:
    """A model with layers of these fields of LayerSpec, named layer0 and on, of this kind where
    they name none; the others follow from the maps they take. `flatten` in place of in_shape takes
    its map flattened; `pool` is a Pool, or a window whose maximum is taken, `mean` one whose mean
    is. Codes and zero points are random, that of the image where it is not given, and each layer's
    sums are spread over all codes."""
    rng, layers, made = np.random.default_rng(seed), list(layers), []
    drawn = int(rng.integers(0, 2**width))
    zero = first_zero = drawn if zero_point is None else zero_point
    maps = {IMAGE: (rng.integers(0, 2**width, (2, *in_shape)), zero)}
    source = IMAGE
    for index, fields in enumerate(layers):
        fields = {"name": f"layer{index}", "source": source} | fields
        codes, zero = maps[fields["source"]]
        if fields.pop("flatten", False):
            codes = codes.reshape(2, -1, 1, 1)
        added, added_zero = maps.get(fields.get("residual"), (None, 0))
        last, own_kind = index == len(layers) - 1, fields.get("kind", kind)
        spec = LayerSpec(
            **{"kind": own_kind, "in_shape": codes.shape[1:], "pool": _pool(fields)}
            | {"width": 1 if own_kind == "xnor" else width}
            | {"in_width": width, "in_zero_point": zero}
            | {"out_width": 16 if last else width, "residual_zero_point": added_zero}
            | {"out_zero_point": 2**15 if last else int(rng.integers(0, 2**width))}
            | fields
        )
        layer = _layer(spec, codes, requantize, rng)
        made.append(layer)
        given = reference.requantize(layer, reference.accumulate(layer, codes), added)
        source = spec.name
        maps[source] = reference.pool(given, spec), spec.out_zero_point
    return QuantizedModel(
        name=f"generated {kind}",
        layers=tuple(made),
        input_scale=1.0,
        input_width=width,
        input_zero_point=first_zero,
        requantize=requantize,
    )


def _pool(fields: dict) -> Pool | None:
    for name, kind in (("pool", "max"), ("mean", "mean")):
        window = fields.pop(name, None)
        if isinstance(window, Pool):
            return window
        if window:
            return Pool(kind=kind, kernel=window, stride=window)
    return None


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
    residual_mult = zeros
    if spec.residual:
        residual_mult = rng.integers(2**14, 2**15, spec.out_channels) << np.maximum(shift - 14, 0)
    if requantize == "shift":
        mult, residual_mult = (
            two_powers(value).astype(np.int64) for value in (mult, residual_mult)
        )
    sign = 1 if spec.kind == "adder" else -1
    return QuantizedLayer(
        spec=spec,
        weight=weight,
        bias=np.rint(sign * sums.mean(1)).astype(np.int64),
        mult=mult,
        shift=shift,
        residual_mult=residual_mult,
    )
