"""Data types of a quantized network, and their file format. NumPy only: hardware imports this.

A layer computes, for every output position and output channel t, in integers:

    acc = -SAD = -Σ|x - f|      kind "adder": activations and weights unsigned, `width` bits
    acc = Σ x · f               kind "mac": activations unsigned, weights signed, `width` bits
    y = clamp(round_half_up((bias[t] + acc) · mult[t] / 2**shift[t]) + out_zero_point,
              0, 2**out_width - 1)

and then takes the maximum over `pool` × `pool` windows. `golden.reference` is the definition.
"""

import io
import json
import math
import os
import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

FORMAT = "adderforge-quantized-model"
FORMAT_VERSION = 1
KINDS = ("adder", "mac")
MIN_WIDTH, MAX_WIDTH = 2, 16


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """The shape and number format of one layer; a fully connected layer is a 1 × 1 kernel on a
    1 × 1 map whose channels are the flattened activations (channel, row, column order).

    in_shape: (channels, height, width) of the activations. in_zero_point: the code of real 0,
    which is also the code of padding. pool: side of the max-pooling window after requantization,
    1 for none.
    """

    name: str
    kind: str
    in_shape: tuple[int, int, int]
    out_channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    width: int = 8
    in_zero_point: int = 0
    out_width: int = 8
    out_zero_point: int = 0
    pool: int = 1

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}:"
        _require(self.kind in KINDS, f"{where} kind must be one of {KINDS}, not {self.kind!r}")
        for name in ("in_shape", "kernel", "stride", "padding"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, length in (("in_shape", 3), ("kernel", 2), ("stride", 2), ("padding", 2)):
            value, least = getattr(self, name), 0 if name == "padding" else 1
            _require(
                len(value) == length and all(isinstance(v, int) and v >= least for v in value),
                f"{where} {name} must be {length} integers of at least {least}, not {value}",
            )
        _require(self.out_channels >= 1, f"{where} out_channels must be at least 1")
        _require(
            MIN_WIDTH <= self.width <= MAX_WIDTH,
            f"{where} width must be {MIN_WIDTH} to {MAX_WIDTH} bits, not {self.width}",
        )
        _require(
            MIN_WIDTH <= self.out_width <= MAX_WIDTH,
            f"{where} out_width must be {MIN_WIDTH} to {MAX_WIDTH} bits, not {self.out_width}",
        )
        _require(
            0 <= self.in_zero_point < 2**self.width,
            f"{where} in_zero_point must be a {self.width}-bit code, not {self.in_zero_point}",
        )
        _require(
            0 <= self.out_zero_point < 2**self.out_width,
            f"{where} out_zero_point must be a {self.out_width}-bit code, "
            f"not {self.out_zero_point}",
        )
        _require(self.pool >= 1, f"{where} pool must be at least 1, not {self.pool}")
        _require(
            all(size >= self.pool for size in self.map_shape),
            f"{where} a {self.kernel} kernel with pool {self.pool} does not fit {self.in_shape}",
        )

    @property
    def map_shape(self) -> tuple[int, int]:
        """(height, width) of the accumulator map, before pooling."""
        _, height, width = self.in_shape
        sizes = zip((height, width), self.kernel, self.stride, self.padding, strict=True)
        rows, cols = (
            (size + 2 * pad - kernel) // stride + 1 for size, kernel, stride, pad in sizes
        )
        return rows, cols

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the output activations, after pooling."""
        rows, cols = self.map_shape
        return self.out_channels, rows // self.pool, cols // self.pool

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.out_channels, self.in_shape[0], *self.kernel

    @property
    def reduction(self) -> int:
        """k: terms in each sum."""
        return math.prod(self.weight_shape[1:])

    @property
    def accumulator_limit(self) -> int:
        """The largest |acc| that codes can give; an adder's SAD needs width + ceil(log2 k) bits."""
        highest = 2**self.width - 1
        weight = 1 if self.kind == "adder" else 2 ** (self.width - 1)
        return self.reduction * highest * weight

    def matrix_shape(self, images: int = 1) -> tuple[int, int, int]:
        """(m, k, n): the layer as an m × k by k × n matrix form over `images` images."""
        return images * math.prod(self.map_shape), self.reduction, self.out_channels


@dataclass(frozen=True, kw_only=True)
class QuantizedLayer:
    """A LayerSpec with its integers: weight (out, in, kernel height, kernel width); bias, mult
    and shift (out,). All int64, read-only. Adder: the activations' and weights' shared code."""

    spec: LayerSpec
    weight: np.ndarray
    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray

    def __post_init__(self) -> None:
        spec, where = self.spec, f"layer {self.spec.name!r}:"
        shapes = {"weight": spec.weight_shape} | dict.fromkeys(ARRAYS[1:], (spec.out_channels,))
        for name, shape in shapes.items():
            value = np.array(getattr(self, name))
            _require(
                value.shape == shape and np.issubdtype(value.dtype, np.integer),
                f"{where} {name} must be integers of shape {shape}, "
                f"not {value.dtype} of shape {value.shape}",
            )
            value = value.astype(np.int64)
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        lowest = 0 if spec.kind == "adder" else -(2 ** (spec.width - 1))
        highest = lowest + 2**spec.width - 1
        _require(
            self.weight.min() >= lowest and self.weight.max() <= highest,
            f"{where} weights must be from {lowest} to {highest}, "
            f"not from {self.weight.min()} to {self.weight.max()}",
        )
        _require(
            self.shift.min() >= 0 and self.shift.max() <= 62,
            f"{where} shift must be 0 to 62, not {self.shift.min()} to {self.shift.max()}",
        )


@dataclass(frozen=True, kw_only=True)
class QuantizedModel:
    """A chain of quantized layers. A pixel's code is clamp(round_half_up(value / input_scale) +
    first layer's in_zero_point). metadata: JSON values for people (data set, seeds, accuracies)."""

    name: str
    layers: tuple[QuantizedLayer, ...]
    input_scale: float
    metadata: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        _require(len(self.layers) > 0, f"model {self.name!r} has no layers")
        _require(
            math.isfinite(self.input_scale) and self.input_scale > 0,
            f"model {self.name!r}: input_scale must be positive, not {self.input_scale}",
        )
        specs = [layer.spec for layer in self.layers]
        for before, after in pairwise(specs):
            where = f"model {self.name!r}: layer {after.name!r}"
            _require(
                after.in_shape in (before.out_shape, (math.prod(before.out_shape), 1, 1)),
                f"{where} takes {after.in_shape}, but {before.name!r} gives {before.out_shape}",
            )
            _require(
                (after.width, after.in_zero_point) == (before.out_width, before.out_zero_point),
                f"{where} takes {after.width}-bit codes with zero point {after.in_zero_point}, but "
                f"{before.name!r} gives {before.out_width} and {before.out_zero_point}",
            )


ARRAYS = ("weight", "bias", "mult", "shift")
DAMAGES = (  # what reading a damaged archive raises
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    EOFError,
    OSError,
    AttributeError,
    KeyError,
    NotImplementedError,
    RuntimeError,
)
DAMAGE = (zipfile.BadZipFile, zlib.error)


def save(model: QuantizedModel, path: str | Path) -> None:
    """Write `model` as one .npz, byte-identical for equal models; the name appears when whole."""
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "name": model.name,
        "input_scale": model.input_scale,
        "metadata": model.metadata,
        "layers": [asdict(layer.spec) for layer in model.layers],
    }
    members = {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)}
    for index, layer in enumerate(model.layers):
        for name in ARRAYS:
            value = getattr(layer, name)
            members[f"{index:03}.{name}"] = value.astype(_smallest_type(value))
    save_arrays(members, path)


def save_arrays(members: dict[str, np.ndarray], path: str | Path) -> None:
    """Write arrays as a compressed .npz with fixed times; equal arrays, equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, value, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())
    write_whole(path, content.getvalue())


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file that appears under its name whole or not at all; OSError names the file."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path) -> QuantizedModel:
    """Read a model written by `save`; ValueError when it is truncated, of another version, or
    inconsistent, FileNotFoundError when there is none."""
    members = load_arrays(path)
    header = _header(members.pop("header", None), path)
    try:
        layers = []
        for index, entry in enumerate(header["layers"]):
            arrays = {name: members.pop(f"{index:03}.{name}") for name in ARRAYS}
            layers.append(QuantizedLayer(spec=LayerSpec(**entry), **arrays))
        _require(not members, f"unexpected arrays {sorted(members)}")
        return QuantizedModel(
            name=header["name"],
            layers=tuple(layers),
            input_scale=header["input_scale"],
            metadata=header["metadata"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a consistent quantized model ({error}); quantize the network again"
        ) from None


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz; ValueError with the remedy when the file is damaged."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGES as error:
        raise ValueError(
            f"{path}: truncated or not an .npz file ({error}); make it again or copy it again"
        ) from None


def _header(raw: np.ndarray | None, path: str | Path) -> dict:
    try:
        header = json.loads(bytes(raw))
    except (TypeError, ValueError):
        header = None
    _require(
        isinstance(header, dict) and header.get("format") == FORMAT,
        f"{path}: not a quantized model of AdderForge; make one with 'adderforge quantize'",
    )
    _require(
        header.get("version") == FORMAT_VERSION,
        f"{path}: format version must be {FORMAT_VERSION}, not {header.get('version')}; "
        "quantize the network again with this version of AdderForge",
    )
    return header


def _smallest_type(value: np.ndarray) -> np.dtype:
    sizes = (8, 16, 32, 64)
    sign = "int" if value.min() < 0 else "uint"
    types = [np.dtype(f"{sign}{size}") for size in sizes]
    return next(t for t in types if np.array_equal(value.astype(t).astype(np.int64), value))
