"""From a trained float network to the integers of `golden.spec`: post-training quantization.

All kinds take one path. With a the batch norm's slope and y the layer's real output before it,

    y = s · (acc + c),   code = (a · y + d) / s_out + z_out = (acc + B) · M + z_out
    M = a · s / s_out,   B = c + d / (a · s)

where s is the accumulator's unit, c corrects acc for clipped weights (adder) or for the input's
zero point (MAC), and d holds what batch norm adds, and the mean error of the layer's output on the
calibration images ("bias correction", Nagel et al. 2019). M becomes mult / 2**shift, B bias.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from . import fast, reference
from .calibrate import Formats, Run, calibrate, signed_step
from .certificate import certify
from .codes import Operands, operands_of, signed_codes
from .folding import as_map, slope_of, weight_of, window_of
from .graph import FloatLayer, Maps, trace
from .graph import run as run_float
from .recipe import Recipe, check_images
from .requantizer import requantizer
from .spec import IMAGE, LayerSpec, QuantizedLayer, QuantizedModel

MEAN_STEPS = 4  # of Newton's method for a filter's bias
LEAST_FREE = 0.1  # of a filter's outputs, that a step reckons to be within the codes' limits
KINDS = {"adder": "adder", "cnn": "mac", "bnn": "xnor"}


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """A quantized model and what its integers stand for: the formats of its maps, and the step of
    the weights of each ordinary layer. mult_width: as of the recipe."""

    model: QuantizedModel
    formats: Formats
    steps: dict[str, float]
    mult_width: int


def quantize(
    network: nn.Module,
    calibration_images: np.ndarray,
    width: int = 8,
    name: str = "lenet5-bn",
    metadata: dict | None = None,
    recipe: Recipe | None = None,
) -> QuantizedModel:
    """Quantize a trained network, an `nn.Module` with the attribute in_shape.

    calibration_images: float (N, *in_shape), some hundred training images. width: bits of
    activations and weights, 2 to 16; recipe: in its place, all that can be chosen. The last
    layer's codes have 16 bits.

    The bound of every bias is |bias| < 2**(out_width + 3) · `accumulator_limit` without residuals.

    Raises ValueError, before any work, on another width, on images of another shape, on NaN, and
    on a network that the integer format does not hold, naming the layer and the remedy.
    """
    recipe = recipe or Recipe(width=width)
    return quantize_whole(network, calibration_images, recipe, name, metadata).model


@torch.no_grad()
def quantize_whole(
    network: nn.Module,
    calibration_images: np.ndarray,
    recipe: Recipe,
    name: str = "lenet5-bn",
    metadata: dict | None = None,
    corrects: bool = True,
    run: Run | None = None,
) -> Quantization:
    """As `quantize`, with what the integers stand for.

    corrects: give each filter's mean the float network's. run: what formats of maps are chosen by,
    in place of the float network, see `golden.graph.run`.
    """
    check_images(calibration_images, network.in_shape)
    layers = traced(network.eval(), recipe)
    images = torch.from_numpy(np.asarray(calibration_images)).to(layers[0].layer.weight.dtype)
    formats, steps = calibrate(layers, images, recipe, run), {}
    image = formats[IMAGE][0]
    model = QuantizedModel(
        name=name,
        layers=tuple(_quantized_layers(layers, images, formats, steps, recipe, corrects)),
        input_scale=image.scale,
        input_width=image.width,
        input_zero_point=image.zero_point,
        requantize=recipe.requantize,
        metadata=metadata or {},
    )
    check_products(model)
    return Quantization(model=model, formats=formats, steps=steps, mult_width=recipe.mult_width)


def traced(network: nn.Module, recipe: Recipe) -> list[FloatLayer]:
    """The network's layers; ValueError when one has no integer form or the recipe does not fit."""
    layers = trace(network, network.in_shape)
    recipe.check(layers)
    return layers


def check_products(model: QuantizedModel) -> None:
    """ValueError when a requantizer's products do not fit int64, in which they are defined."""
    for proof in certify(model):
        if proof.product_bits > 64:
            raise ValueError(
                f"layer {proof.layer!r}: its requantizer's products must fit 64 bits, not "
                f"{proof.product_bits}; give it fewer bits"
            )


def _quantized_layers(
    layers: list[FloatLayer],
    images: Tensor,
    formats: Formats,
    steps: dict[str, float],
    recipe: Recipe,
    corrects: bool,
) -> list[QuantizedLayer]:
    """Layer after layer, each on what the integer layers before it give; adds its step."""
    codes = formats[IMAGE][0].store(images).numpy().astype(np.int64)
    maps, result = Maps(layers, codes), []
    in_shape, shapes = tuple(images.shape[1:]), {}
    shapes[IMAGE] = in_shape
    for layer, total, _ in run_float(layers, images):
        quantizer = _LayerQuantizer(layer, shapes[layer.source], formats, steps, recipe)
        made = quantizer.quantize(maps, total if corrects else None)
        residual = maps.get(layer.residual)
        out = reference.requantize(made, quantizer.sums, residual)
        maps[layer.name] = reference.pool(out, made.spec)
        shapes[layer.name] = made.spec.out_shape
        maps.forget(layer)
        result.append(made)
    return result


class _LayerQuantizer:
    """One layer's integers. sums: the accumulators on the calibration images."""

    def __init__(
        self,
        layer: FloatLayer,
        in_shape: tuple[int, int, int],
        formats: Formats,
        steps: dict[str, float],
        recipe: Recipe,
    ) -> None:
        self.layer, self.recipe, self.steps = layer, recipe, steps
        self.source = formats[layer.source][1]
        self.residual = formats[layer.residual][1] if layer.residual else None
        self.out = formats[layer.name][0]
        weight = weight_of(layer)
        self.in_shape = (weight.shape[1], 1, 1) if layer.is_linear else in_shape
        width = recipe.width_of(layer)
        self.operands = None
        if layer.kind != "bnn":
            self.operands = operands_of(self.source, width, weight.shape[1])
        self.spec = LayerSpec(
            name=layer.name,
            kind=KINDS[layer.kind],
            in_shape=self.in_shape,
            out_channels=len(weight),
            kernel=tuple(weight.shape[2:]),
            source=layer.source,
            width=width,
            in_width=self.source.width,
            in_zero_point=self.source.zero_point,
            drop=self.operands.drop if self.operands else (0,),
            residual=layer.residual,
            residual_zero_point=self.residual.zero_point if self.residual else 0,
            out_width=self.out.width,
            out_zero_point=self.out.zero_point,
            pool=layer.pool,
            **window_of(layer),
        )

    def quantize(self, maps: Maps, total: Tensor | None) -> QuantizedLayer:
        """maps: integer ones. total: the float layer's output before its limits, whose mean the
        integers shall have; None to leave theirs."""
        codes = maps[self.layer.source].reshape(-1, *self.in_shape)
        integers, unit, correction = self._weights(codes)
        blank = np.zeros(len(integers), np.int64)
        bare = QuantizedLayer(spec=self.spec, weight=integers, bias=blank, mult=blank, shift=blank)
        self.sums = fast.accumulate(bare, codes)
        slope, offset = (some.numpy() for some in slope_of(self.layer))
        offset = offset + slope * unit * correction
        if total is not None:
            offset = offset + self._mean_error(slope * unit, offset, maps, total)
        residual = self.residual
        return QuantizedLayer(
            spec=self.spec,
            weight=integers,
            **requantizer(
                slope * unit / self.out.scale,
                offset / self.out.scale,
                self.spec,
                residual.scale / self.out.scale if residual else 0.0,
                residual.width if residual else 0,
                self.recipe.requantize,
                self.recipe.mult_width,
            ),
        )

    def _mean_error(
        self, slope: np.ndarray, offset: np.ndarray, maps: Maps, total: Tensor
    ) -> np.ndarray:
        """By filter: what the integer layer's output lacks for its map, after rounding and
        clamping, to have the float map's mean; 0 where its signs are all that counts, for sums of
        signs have no error of their own.

        Errors of the sums that even out would not do so behind a ReLU, which cuts the negative ones
        off: every layer would add to the mean of the next one's activations.
        """
        column = (1, -1, 1, 1)
        shift = np.zeros(len(slope))
        if self.out.width == 1:
            return shift
        signed = -self.sums if self.spec.kind == "adder" else self.sums
        got = slope.reshape(column) * signed + offset.reshape(column)
        if self.residual:
            got = got + self.residual.real(maps[self.layer.residual])
        values, (low, high) = torch.from_numpy(got), self.out.limits
        wanted = total.double().reshape(values.shape).clamp(*self.layer.limits).mean((0, 2, 3))
        for _ in range(MEAN_STEPS):
            moved = values + torch.from_numpy(shift).reshape(column)
            lack = wanted - self.out.real(self.out.store(moved)).mean((0, 2, 3))
            free = ((moved > low) & (moved < high)).double().mean((0, 2, 3))
            shift = shift + (lack / free.clamp(min=LEAST_FREE)).numpy()
        return shift

    def _weights(self, codes: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """(integer weights, unit, correction): the real output is unit · (acc + correction)."""
        weight, operands = weight_of(self.layer).double(), self.operands
        if operands is None:
            return (weight >= 0).numpy().astype(np.int64), 1.0, np.zeros(len(weight))
        if self.spec.kind == "adder":
            clipped, lost = operands.clip_exactly(weight)
            integers = operands.code(clipped)
            return integers.numpy().astype(np.int64), operands.unit, -lost.numpy() / operands.unit
        return self._signed_weights(weight, operands, codes)

    def _signed_weights(
        self, weight: Tensor, operands: Operands, codes: np.ndarray
    ) -> tuple[np.ndarray, float, np.ndarray]:
        stored = torch.from_numpy(codes).to(weight_of(self.layer).dtype)
        step = signed_step(
            self.layer, as_map(self.layer, operands.real(operands.read(stored))), self.spec.width
        )
        self.steps[self.layer.name] = step
        integers = signed_codes(weight, self.spec.width, step)
        unit, zeros = operands.unit * step, operands.zeros_in(integers)
        return integers.numpy().astype(np.int64), unit, -zeros.numpy()
