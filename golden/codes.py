"""Number formats: which real each code stands for, and how reals become codes. Arrays are torch
tensors of any float type; results are whole numbers in the same type."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .graph import pooled
from .spec import Pool


@dataclass(frozen=True, kw_only=True)
class MapFormat:
    """Codes 0 … 2**width - 1 of a map: real = (code - zero_point) · scale.

    spread: for each channel of the map, by how many bits more than the finest channels a layer
    that reads the map coarsens it; (0,) for all alike.
    """

    scale: float
    zero_point: int
    width: int
    spread: tuple[int, ...] = (0,)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest real."""
        highest = 2**self.width - 1 - self.zero_point
        return -self.zero_point * self.scale, highest * self.scale

    def store(self, values: Tensor) -> Tensor:
        """The codes nearest to real values; of one bit, their signs: 1 from 0 on."""
        if self.width == 1:
            return (values >= 0).to(values)
        codes = torch.floor(values / self.scale + 0.5) + self.zero_point
        return codes.clamp(0, 2**self.width - 1)

    def real(self, codes: Tensor) -> Tensor:
        return (codes - self.zero_point) * self.scale

    def after(self, pool: Pool | None) -> "MapFormat":
        """Of the map when its codes have been pooled, see `golden.spec.Pool`."""
        return self if pool is None else replace(self, scale=self.scale / pool.gain)

    def pooled(self, codes: Tensor, pool: Pool | None) -> Tensor:
        """Codes pooled, as `golden.reference.pool`."""
        if pool is None or pool.kind == "max":
            return pooled(codes, pool)
        means = pooled(codes - self.zero_point, pool)
        sums = torch.round(means * math.prod(pool.kernel))
        return torch.floor(sums / 2**pool.shift + 0.5) + self.zero_point

    def drop(self, width: int) -> tuple[int, ...]:
        """Low bits that a layer with operands of `width` bits rounds off, by channel."""
        finest = self.width - width - max(self.spread)
        if finest < 0:
            raise ValueError(
                f"a map of {self.width} bits must have {max(self.spread)} more than the layer "
                f"that takes it, which has {width}"
            )
        return tuple(finest + bits for bits in self.spread)


@dataclass(frozen=True, kw_only=True)
class Operands:
    """What a layer makes of a map's codes: operand x of channel c stands for the real
    (x - zero[c]) · step[c]. step, zero: (channels, 1, 1); unit: the least step."""

    width: int
    drop: tuple[int, ...]
    step: Tensor
    zero: Tensor

    @property
    def unit(self) -> float:
        return float(self.step.min())

    @property
    def limits(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest real of each channel, (channels, 1, 1)."""
        return -self.zero * self.step, (2**self.width - 1 - self.zero) * self.step

    def read(self, codes: Tensor) -> Tensor:
        """Operands of stored codes (…, channels, rows, columns): low bits rounded off, as
        `golden.reference.read`."""
        half = 2.0 ** torch.tensor(self.drop, dtype=codes.dtype).reshape(-1, 1, 1)
        return torch.floor(codes / half + 0.5).clamp(max=2**self.width - 1)

    def real(self, operands: Tensor) -> Tensor:
        return (operands - self.zero.to(operands)) * self.step.to(operands)

    def zeros_in(self, weight: Tensor) -> Tensor:
        """What real zeros add to each filter's sum, in units: (filters,), for any weights."""
        return (weight * (self.zero * self.step / self.unit).to(weight)).sum((1, 2, 3))

    def clip_exactly(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (filters, channels, rows, columns) clipped to the activations' limits, and the
        distance each filter lost: for x within limits, Σ|x - f| = Σ|x - clipped f| + lost."""
        low, high = (limit.to(weight) for limit in self.limits)
        clipped = torch.minimum(torch.maximum(weight, low), high)
        return clipped, (weight - clipped).abs().sum((1, 2, 3))

    def code(self, weight: Tensor) -> Tensor:
        """Unsigned codes of an adder layer's clipped weights."""
        codes = torch.floor(weight / self.step.to(weight) + 0.5) + self.zero.to(weight)
        return codes.clamp(0, 2**self.width - 1)


def operands_of(format: MapFormat, width: int, channels: int) -> Operands:
    """What a layer with operands of `width` bits reads from a map with so many channels, or from
    one that was flattened into so many."""
    drop = format.drop(width)
    wide = torch.tensor(drop).repeat_interleave(channels // len(drop)).reshape(-1, 1, 1)
    return Operands(
        width=width,
        drop=drop if len(drop) == 1 else tuple(wide.flatten().tolist()),
        step=format.scale * 2.0 ** wide.double(),
        zero=torch.floor(format.zero_point / 2.0 ** wide.double()),
    )


def format_of(
    lowest: float, highest: float, width: int, coarsest: int = 0, spread: tuple[int, ...] = (0,)
) -> MapFormat:
    """Codes for reals from `lowest` to `highest`, of which 0 is one exactly; to 1 if all are 0.

    coarsest: bits that a layer may drop; the zero point is a multiple of 2**coarsest.
    """
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    coarse = 2**coarsest
    steps = 2**width - 1
    scale = ((highest - lowest) or 1.0) / steps
    zero = math.floor(-lowest / scale / coarse + 0.5) * coarse
    zero = min(zero, (steps // coarse) * coarse)
    if zero and highest > 0:  # rounding the zero point must not cut the range
        scale = max(highest / (steps - zero), -lowest / zero) if zero < steps else scale
    return MapFormat(scale=scale, zero_point=zero, width=width, spread=spread)


def signed_codes(weight: Tensor, width: int, step: float) -> Tensor:
    """Signed codes of `width` bits, symmetric."""
    highest = 2 ** (width - 1) - 1
    return torch.round(weight / step).clamp(-highest, highest)


def weight_steps(weight: Tensor, width: int, count: int) -> list[float]:
    """Candidates for the step of signed codes: from the one that just holds the largest weight
    down to a tenth of it."""
    largest = float(weight.abs().max()) or 1.0
    highest = 2 ** (width - 1) - 1
    return [largest / highest * share for share in torch.linspace(1, 0.1, count).tolist()]
