"""The number format of every map of a float network, chosen by what it does to the layers that
take the map: for each, the mean squared error of their outputs on calibration images."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .codes import (
    MapFormat,
    format_of,
    operands_of,
    signed_codes,
    weight_steps,
)
from .folding import adder_weight, as_map, response, slope_of, weight_of
from .graph import FloatLayer, pooled
from .graph import run as run_float
from .recipe import Recipe
from .spec import IMAGE, signed_digits

LOGIT_WIDTH = 16  # bits of the last layer's codes, so that near classes do not tie
LOGIT_HEADROOM = 2.0  # logits may exceed the calibrated ones so many times
SEARCH_IMAGES = 64  # on which candidates are compared
SHARES = tuple(0.93**step for step in range(20))  # of the widest range, 1 … 0.25
WEIGHT_STEPS = 30
USUAL = 0.999  # the share of a channel's values that its range may be chosen by
QUANTILE_VALUES = 2**17  # of a channel, at most: torch.quantile takes 2**24 in all

Formats = dict[str, tuple[MapFormat, MapFormat]]
Run = Callable[[Tensor], Iterator[tuple[FloatLayer, Tensor, Tensor]]]


@torch.no_grad()
def calibrate(
    layers: list[FloatLayer], images: Tensor, recipe: Recipe, run: Run | None = None
) -> Formats:
    """The formats of every map by name: as its layer gives it, and as later layers take it, which
    differ where a mean is pooled. run: in place of the float network's, see `golden.graph.run`."""
    formats: Formats = {}
    image = _choose(IMAGE, images, None, layers, recipe, formats)
    formats[IMAGE] = image, image
    runs = run(images) if run else run_float(layers, images)
    for layer, total, _ in runs:
        if not total.isfinite().all():
            raise ValueError(
                f"layer {layer.name!r}: its outputs on the calibration images must be finite, but "
                "some are NaN or infinite; train it again"
            )
        values = total.clamp(*layer.limits)
        chosen = _choose(layer.name, values, layer, layers, recipe, formats)
        formats[layer.name] = chosen, chosen.after(layer.pool)
    return formats


def _choose(
    name: str,
    values: Tensor,
    layer: FloatLayer | None,
    layers: list[FloatLayer],
    recipe: Recipe,
    formats: Formats,
) -> MapFormat:
    """values: of the map before pooling. layer: the one that gives it, None for the image."""
    readers = [some for some in layers if some.source == name]
    plain = [some for some in readers if some.kind != "bnn"]
    added = any(some.residual == name for some in layers)
    if name == layers[-1].name:
        return _logits(values)
    if not plain and not added and layer and not layer.residual:
        return MapFormat(scale=1.0, zero_point=1, width=1)
    operands = max((recipe.width_of(some) for some in plain), default=recipe.storage)
    low, high = float(values.min()), float(values.max())
    groups = recipe.groups if low >= 0 and plain and name != IMAGE else 1
    width = operands + groups - 1
    if added or groups > 1 or len(plain) < len(readers):
        width = max(width, recipe.storage)
    coarsest = width - min((recipe.width_of(some) for some in plain), default=width)
    residual = formats[layer.residual][1].scale if layer and layer.residual else None
    snap = _snap(residual) if recipe.requantize == "shift" and residual else lambda format: format
    candidates = [
        snap(
            format_of(
                *(low * share, high * share, width, coarsest),
                spread=_spread(high * share, reach, groups),
            )
        )
        for share in SHARES
        for reach in _reaches(values, groups)
    ]
    few = values[:SEARCH_IMAGES]
    pool = layer.pool if layer else None
    tests = [_Test(some, pooled(few, pool), recipe.width_of(some)) for some in plain]

    def error(format: MapFormat) -> float:
        codes = format.pooled(format.store(few), pool)
        after = format.after(pool)
        own = [_own_error(few, format)] if added or not plain else []
        return sum([test.error(after, codes) for test in tests] + own)

    return min(candidates, key=error)


def _logits(values: Tensor) -> MapFormat:
    largest = LOGIT_HEADROOM * float(values.abs().max()) or 1.0
    half = 2 ** (LOGIT_WIDTH - 1)
    return MapFormat(scale=largest / half, zero_point=half, width=LOGIT_WIDTH)


def _reaches(values: Tensor, groups: int) -> list[Tensor]:
    """How far each channel reaches: its largest value, and without a few; none for one group."""
    if groups == 1:
        return [torch.zeros(1)]
    channels = values.transpose(0, 1).flatten(1)
    step = max(1, channels.shape[1] // QUANTILE_VALUES)
    usual = channels[:, ::step].float().quantile(USUAL, dim=1)
    return [channels.amax(1).float(), usual]


def _spread(top: float, reach: Tensor, groups: int) -> tuple[int, ...]:
    """By channel: groups - 1 where the channel needs the range up to `top`, one less for each
    time that half of the range would do."""
    if groups == 1:
        return (0,)
    halvings = torch.log2(top / reach.clamp(min=1e-30)).floor()
    return tuple(int(groups - 1 - some) for some in halvings.clamp(0, groups - 1))


def _snap(residual_scale: float) -> Callable[[MapFormat], MapFormat]:
    """Formats whose scale makes the added map's multiplier a sum of two signed powers of two."""

    def snapped(format: MapFormat) -> MapFormat:
        ratio = residual_scale / format.scale
        digits = 2.0 ** (math.floor(math.log2(ratio)) - 8)
        near = round(ratio / digits)
        while signed_digits(near) > 2:
            near -= 1
        return MapFormat(**vars(format) | {"scale": residual_scale / (near * digits)})

    return snapped


def _own_error(values: Tensor, format: MapFormat) -> float:
    error = format.real(format.store(values)) - values
    return float(error.square().mean() / values.var().clamp(min=1e-30))


class _Test:
    """A layer's outputs on real activations, to compare with those on codes of them."""

    def __init__(self, layer: FloatLayer, activations: Tensor, width: int) -> None:
        self.layer, self.width = layer, width
        self.activations = as_map(layer, activations)
        self.weight = weight_of(layer)
        self.slope = slope_of(layer)[0].to(self.weight)[:, None, None]
        self.wanted = response(layer, self.activations, self.weight)
        self.spread = _variance(self.wanted * self.slope)
        if layer.kind == "cnn":
            self.weight = signed_weight(layer, self.activations, width)

    def error(self, format: MapFormat, codes: Tensor) -> float:
        """The error's variance over positions, after batch norm, relative to the output's: a
        constant error goes into the bias."""
        operands = operands_of(format, self.width, self.activations.shape[1])
        activations = operands.real(operands.read(as_map(self.layer, codes)))
        if self.layer.kind == "adder":
            weight, lost = adder_weight(operands, self.weight)
            got = response(self.layer, activations, weight) - lost[:, None, None]
        else:
            got = response(self.layer, activations, self.weight)
        return float(_variance((got - self.wanted) * self.slope) / self.spread)


def signed_weight(layer: FloatLayer, activations: Tensor, width: int) -> Tensor:
    """The reals that an ordinary layer's codes stand for."""
    weight = weight_of(layer)
    step = signed_step(layer, activations, width)
    return signed_codes(weight, width, step) * step


def signed_step(layer: FloatLayer, activations: Tensor, width: int) -> float:
    """The step of an ordinary layer's weights: the least error of its outputs after batch norm."""
    weight, slope = weight_of(layer), slope_of(layer)[0]
    slope = slope.to(weight)[:, None, None]

    def error(step: float) -> float:
        change = signed_codes(weight, width, step) * step - weight
        return float(_variance(response(layer, activations, change) * slope))

    return min(weight_steps(weight, width, WEIGHT_STEPS), key=error)


def _variance(values: Tensor) -> Tensor:
    """Mean square about each filter's mean."""
    return (values - values.mean((0, 2, 3), keepdim=True)).square().mean().clamp(min=1e-30)
