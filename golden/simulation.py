"""The integer network that quantization makes, in floating point and trainable: forward what the
integers do, backward straight through their rounding (Bengio et al. 2013)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .codes import MapFormat, Operands, operands_of, signed_codes
from .folding import adder_weight, as_map, slope_of, weight_of
from .graph import FloatLayer, Maps, pooled, trace
from .quantize import Quantization
from .requantizer import requantizer
from .spec import IMAGE, Pool

HAIR = 2.0**-20  # of a code: error in floating point must not round a half down
MOST_GAIN = 100.0  # beyond it the slope is about 0 and the sum hardly counts, see `requantizer`


class Simulation(nn.Module):
    """`network` as it is with the formats of maps and the steps of weights of `made`, whatever its
    weights have become since.

    Images: (N, *in_shape); result: the logits. Maps are reals on the grid of their codes. Batch
    norm is the network's own: in training mode its statistics are those of the integers' sums,
    and bias and mult are rounded as the running statistics want them.

    A map's gradient passes where its code does not saturate; a weight's everywhere, for clipping
    an adder's weight loses nothing.
    """

    def __init__(self, network: nn.Module, made: Quantization) -> None:
        super().__init__()
        self.network, self.formats, self.steps = network, made.formats, made.steps
        self.mode, self.mult_width = made.model.requantize, made.mult_width
        self.specs = {layer.spec.name: layer.spec for layer in made.model.layers}
        self.layers = trace(network, network.in_shape)

    def forward(self, images: Tensor) -> Tensor:
        *_, (_, _, logits) = self.run(images)
        return logits.flatten(1)

    def run(self, images: Tensor) -> Iterator[tuple[FloatLayer, Tensor, Tensor]]:
        """(layer, total before it is stored, map) of each layer; as `golden.graph.run`."""
        maps = Maps(self.layers, stored(images, self.formats[IMAGE][0]))
        for layer in self.layers:
            format = self.formats[layer.name][0]
            residual = maps[layer.residual] if layer.residual else None
            total = self._total(layer, maps[layer.source], residual)
            maps[layer.name] = _pooled(stored(total, format), format, layer.pool)
            yield layer, total, maps[layer.name]
            maps.forget(layer)

    def _total(self, layer: FloatLayer, source: Tensor, residual: Tensor | None) -> Tensor:
        """What is rounded to the map's codes."""
        sums = self._sums(layer, source)
        rounding = self._rounding(layer, sums)
        total = layer.total(sums.response, None)
        shape = (-1,) if layer.is_linear else (-1, 1, 1)
        gain, offset, residual_gain = (some.to(total).reshape(shape) for some in rounding)
        total = (total + offset) * gain
        return total if residual is None else total + residual * residual_gain

    def _sums(self, layer: FloatLayer, source: Tensor) -> "_Sums":
        weight = weight_of(layer)
        if layer.kind == "bnn":  # takes signs, of stored maps too
            zeros = weight.new_zeros(len(weight))
            return _Sums(response=layer.respond(source), unit=1.0, correction=zeros)
        format, width = self.formats[layer.source][1], self.specs[layer.name].width
        operands = operands_of(format, width, weight.shape[1])
        values = _read(as_map(layer, source), format, operands)
        if layer.kind == "adder":
            weight, lost = adder_weight(operands, weight)
            unit, correction = operands.unit, -lost / operands.unit
        else:
            step = self.steps[layer.name]
            codes = signed_codes(weight, width, step)
            weight, lost = codes * step, torch.zeros(1)
            unit, correction = operands.unit * step, -operands.zeros_in(codes)
        own = layer.layer.weight
        changed = {"weight": Straight.apply(own, weight.view_as(own))}
        response = functional_call(
            layer.layer, changed, values.flatten(1) if layer.is_linear else values
        )
        lost = lost.to(response) if layer.is_linear else lost.to(response)[:, None, None]
        return _Sums(response=response - lost, unit=unit, correction=correction)

    @torch.no_grad()
    def _rounding(self, layer: FloatLayer, sums: "_Sums") -> tuple[Tensor, Tensor, Tensor]:
        """What rounding bias, mult and residual_mult makes of a total: (total + offset) · gain +
        residual · residual_gain, as (gain, offset, residual_gain)."""
        format, spec = self.formats[layer.name][0], self.specs[layer.name]
        one, zero = torch.ones(1), torch.zeros(1)
        if format.width == 1:  # signs are exact
            return one, zero, one
        slope, offset = slope_of(layer)
        slope = slope * sums.unit
        offset = offset + slope * sums.correction.double()
        residual = self.formats[layer.residual][1] if layer.residual else None
        added = residual.scale / format.scale if residual else 0.0
        slope, offset = slope / format.scale, offset / format.scale
        width = residual.width if residual else 0
        integers = requantizer(
            slope.numpy(), offset.numpy(), spec, added, width, self.mode, self.mult_width
        )
        bias, mult, shift, residual_mult = (torch.from_numpy(some) for some in integers.values())
        gain = mult / 2.0**shift / slope
        constant = ~(gain < MOST_GAIN)  # not a number too
        gain = gain.masked_fill(constant, 1.0)
        change = ((slope * bias - offset + HAIR) * format.scale).masked_fill(constant, 0.0)
        return gain, change, residual_mult / 2.0**shift / added if residual else one


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """response: unit · (sums + correction), with the layer's own bias."""

    response: Tensor
    unit: float
    correction: Tensor


class Straight(torch.autograd.Function):
    """`quantized`; the gradient goes to `values`, where `passes`, everywhere if that is None."""

    @staticmethod
    def forward(ctx, values: Tensor, quantized: Tensor, passes: Tensor | None = None) -> Tensor:
        ctx.passes = passes
        return quantized.view_as(quantized)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None, None]:
        return upstream if ctx.passes is None else upstream * ctx.passes, None, None


def stored(values: Tensor, format: MapFormat) -> Tensor:
    """What the values' codes stand for."""
    low, high = format.limits if format.width > 1 else (-1.0, 1.0)  # as `golden.binary.sign`
    quantized = format.real(format.store(values.detach()))
    return Straight.apply(values, quantized, (values >= low) & (values <= high))


def _read(values: Tensor, format: MapFormat, operands: Operands) -> Tensor:
    """What the operands stand for that a layer reads from a stored map."""
    if not any(operands.drop):
        return values
    quantized = operands.real(operands.read(format.store(values.detach())))
    low, high = operands.limits
    return Straight.apply(values, quantized, (values >= low) & (values <= high))


def _pooled(values: Tensor, format: MapFormat, pool: Pool | None) -> Tensor:
    """A stored map pooled; the mean of codes is rounded."""
    means = pooled(values, pool)
    if pool is None or pool.kind == "max":
        return means
    codes = format.pooled(format.store(values.detach()), pool)
    return Straight.apply(means, format.after(pool).real(codes))
