"""What quantization does to each layer's map: how much of its codes it uses, what is cut off, and
how far it is from the float network's."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import fast, reference
from .archive import write_whole
from .certificate import certify
from .codes import MapFormat, operands_of
from .folding import weight_of
from .graph import FloatLayer, run, trace
from .quantize import Quantization
from .spec import QuantizedLayer

BATCH = 50  # images at a time
HEADINGS = ("layer", "kind", "bits", "SNR dB", "range used", "clipped", "weights clipped")
PROVEN = ("sums, proven", "accumulator", "by shape")

LEGEND = (
    "bits: of operands → of the map. SNR: of the map against the float network's. clipped: "
    "activations beyond the codes' limits. Clipping an adder layer's weights is exact."
)


@dataclass(frozen=True, kw_only=True)
class LayerQuality:
    """kind: "adder", "mac" or "xnor". bits: of the operands. out_bits: of the map's codes.

    range_used: the codes from the least to the greatest that occurs, as a share of all codes.
    clipped: the share of the float map, before pooling and after the activation function, that is
    beyond the limits of the codes by more than rounding. weights_clipped: the share of weights
    beyond their codes' limits; in an adder layer that loses nothing, see `golden.folding`. snr_db:
    Σ float² over Σ (integer - float)² of the map, in dB, of signs where codes have one bit; None
    without any error.
    """

    layer: str
    kind: str
    bits: int
    out_bits: int
    range_used: float
    clipped: float
    weights_clipped: float
    snr_db: float | None


@torch.no_grad()
def measure(network: nn.Module, made: Quantization, images: np.ndarray) -> list[LayerQuality]:
    """The quality of each layer of `made`, which was quantized from `network`, on float images
    (N, *in_shape). Raises ValueError without images."""
    if len(images) == 0:
        raise ValueError("images to measure quality on must be at least 1, not 0")
    layers = trace(network.eval(), network.in_shape)
    tallies = [_Tally(*made.formats[layer.name]) for layer in layers]
    for start in range(0, len(images), BATCH):
        batch = np.asarray(images[start : start + BATCH])
        records = fast.run(made.model, reference.encode(made.model, batch))
        reals = torch.from_numpy(batch).to(layers[0].layer.weight.dtype)
        floats = run(layers, reals)
        for tally, record, (layer, total, map) in zip(tallies, records, floats, strict=True):
            tally.add(torch.from_numpy(record.codes_out), total.clamp(*layer.limits), map)
    parts = zip(layers, made.model.layers, tallies, strict=True)
    return [_quality(layer, integers, tally, made) for layer, integers, tally in parts]


def table(qualities: list[LayerQuality], made: Quantization) -> str:
    """A Markdown table, aligned, with what is proven of the layers' sums."""
    rows = [(*HEADINGS, *PROVEN)]
    for quality, proof in zip(qualities, certify(made.model), strict=True):
        snr = "exact" if quality.snr_db is None else f"{quality.snr_db:.1f}"
        shares = (quality.range_used, quality.clipped, quality.weights_clipped)
        sums = f"{proof.lowest:,} … {proof.highest:,}"
        proven = (sums, f"{proof.bits} bits", f"{proof.by_shape_bits} bits")
        bits = f"{quality.bits} → {quality.out_bits}"
        rows.append(
            (quality.layer, quality.kind, bits, snr, *(f"{some:.2%}" for some in shares), *proven)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = [f"{'-' * (width - 1)}:" for width in widths]
    rows.insert(1, (f":{'-' * (widths[0] - 1)}", *rule[1:]))
    return "\n".join(f"| {' | '.join(_aligned(row, widths))} |" for row in rows)


def save(qualities: list[LayerQuality], made: Quantization, images: int, folder: Path) -> None:
    """Write `<model>.quality.json` and `<model>.quality.md`. images: measured on."""
    name = made.model.name
    content = {"model": name, "images": images, "layers": [asdict(some) for some in qualities]}
    text = f"{table(qualities, made)}\n\n{LEGEND} Measured on {images} images.\n"
    write_whole(folder / f"{name}.quality.json", (json.dumps(content, indent=1) + "\n").encode())
    write_whole(folder / f"{name}.quality.md", f"# {name}\n\n{text}".encode())


class _Tally:
    """Sums over batches, of one map. given, taken: its formats before and after pooling."""

    def __init__(self, given: MapFormat, taken: MapFormat) -> None:
        self.given, self.taken = given, taken
        self.signal = self.noise = 0.0
        self.count = self.clipped = 0
        self.least, self.greatest = math.inf, -math.inf

    def add(self, codes: Tensor, values: Tensor, map: Tensor) -> None:
        """codes: the integer map. values, map: the float one before and after pooling."""
        self.least = min(self.least, int(codes.min()))
        self.greatest = max(self.greatest, int(codes.max()))
        got, wanted = self.taken.real(codes.double()), map.double()
        if self.given.width == 1:
            got, wanted = _signs(got), _signs(wanted)
        else:
            half = self.given.scale / 2
            low, high = self.given.limits
            self.clipped += int(((values < low - half) | (values > high + half)).sum())
        self.count += values.numel()
        self.signal += float(wanted.square().sum())
        self.noise += float((got.reshape(wanted.shape) - wanted).square().sum())

    @property
    def snr_db(self) -> float | None:
        if self.noise == 0:
            return None
        return 10 * math.log10(max(self.signal, 1e-300) / self.noise)


def _quality(
    layer: FloatLayer, integers: QuantizedLayer, tally: _Tally, made: Quantization
) -> LayerQuality:
    spec = integers.spec
    return LayerQuality(
        layer=layer.name,
        kind=spec.kind,
        bits=spec.width,
        out_bits=spec.out_width,
        range_used=(tally.greatest - tally.least + 1) / 2**spec.out_width,
        clipped=tally.clipped / tally.count,
        weights_clipped=_weights_clipped(layer, spec.width, made),
        snr_db=tally.snr_db,
    )


def _weights_clipped(layer: FloatLayer, width: int, made: Quantization) -> float:
    weight = weight_of(layer)
    if layer.kind == "bnn":
        return 0.0
    if layer.kind == "adder":
        operands = operands_of(made.formats[layer.source][1], width, weight.shape[1])
        low, high, step = *operands.limits, operands.step
    else:
        step = torch.tensor(made.steps[layer.name])
        high = (2 ** (width - 1) - 1) * step
        low = -high
    beyond = (weight < (low - step / 2)) | (weight > (high + step / 2))
    return float(beyond.double().mean())


def _signs(values: Tensor) -> Tensor:
    return torch.where(values < 0, -1.0, 1.0)


def _aligned(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    yield row[0].ljust(widths[0])
    yield from (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
