"""Data types of a quantized network. NumPy only: hardware imports this. Files: `golden.model_file`.

A network is a list of layers in the order in which they run. Each layer gives one map of unsigned
codes; later layers name the map they take. A layer computes, in integers,

    x = clamp(round_half_up(code / 2**drop[c]), 0, 2**width - 1)      operands, by input channel c
    acc = -SAD = -Σ 2**weigh[c] · |x - f|   kind "adder": weights f unsigned, `width` bits
    acc = Σ 2**weigh[c] · x · f             kind "mac": f signed, `width` bits
    acc = Σ ±1, 1 where x = f               kind "xnor": x is 1 where code ≥ zero, else 0; padding
                                            adds 0; f is 0 or 1
    y = clamp(round_half_up(((bias[t] + acc) · mult[t] + (r - zero) · residual_mult[t])
              / 2**shift[t]) + out_zero_point, 0, 2**out_width - 1)

for every output position and output channel t, where weigh = drop - min(drop), and r is the code
of another map at the same place, if the layer names one; and then pools. `golden.reference` is
the definition.
"""

import math
from dataclasses import dataclass, field

import numpy as np

KINDS = ("adder", "mac", "xnor")
POOLS = ("max", "mean")
REQUANTIZERS = ("multiply", "shift")
MIN_WIDTH, MAX_WIDTH = 2, 16
IMAGE = "image"  # the name of the network's input among the maps
ARRAYS = ("weight", "bias", "mult", "shift", "residual_mult")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Pooling of codes over windows; incomplete windows at the edge are dropped.

    "max": padding never wins. "mean": round_half_up(Σ (code - zero) / 2**shift) + zero with shift
    the least for which 2**shift is at least a window's codes, so that no division is needed: the
    map's scale grows by 2**shift / codes. zero: the map's zero point. No padding.
    """

    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        _require(self.kind in POOLS, f"pool must be one of {POOLS}, not {self.kind!r}")
        _pairs(self, "pool:", kernel=1, stride=1, padding=0)
        _require(
            self.kind == "max" or self.padding == (0, 0),
            f"pool: a mean must have no padding, not {self.padding}",
        )
        _require(
            all(2 * pad <= side for pad, side in zip(self.padding, self.kernel, strict=True)),
            f"pool: padding must be at most half the kernel, not {self.padding} of {self.kernel}",
        )

    @property
    def shift(self) -> int:
        """Of a mean; 0 for the maximum."""
        return 0 if self.kind == "max" else (math.prod(self.kernel) - 1).bit_length()

    @property
    def gain(self) -> float:
        """(code - zero) after ÷ before, of a constant map."""
        return 1.0 if self.kind == "max" else math.prod(self.kernel) / 2**self.shift


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """The shape and number format of one layer; a fully connected layer is a 1 × 1 kernel on a
    1 × 1 map whose channels are the flattened activations (channel, row, column order).

    source: the map that the layer takes, another layer's name or "image". in_shape: its (channels,
    height, width), or flattened. in_width, in_zero_point: its codes' bits, and the code of real 0,
    which is also the code of padding. drop: low bits that are rounded off on reading, one number
    for all input channels or one for each; width: bits of the operands after that. residual: the
    map that is added before clamping, or None. out_width, out_zero_point: of the map it gives.
    """

    name: str
    kind: str
    in_shape: tuple[int, int, int]
    out_channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    source: str = IMAGE
    width: int = 8
    in_width: int = 8
    in_zero_point: int = 0
    drop: tuple[int, ...] = (0,)
    residual: str | None = None
    residual_zero_point: int = 0
    out_width: int = 8
    out_zero_point: int = 0
    pool: Pool | None = None

    def __post_init__(self) -> None:
        where = f"layer {self.name!r}:"
        _require(self.kind in KINDS, f"{where} kind must be one of {KINDS}, not {self.kind!r}")
        object.__setattr__(self, "drop", tuple(self.drop))
        if isinstance(self.pool, dict):
            object.__setattr__(self, "pool", Pool(**self.pool))
        object.__setattr__(self, "in_shape", tuple(self.in_shape))
        _require(
            len(self.in_shape) == 3 and all(isinstance(v, int) and v >= 1 for v in self.in_shape),
            f"{where} in_shape must be 3 integers of at least 1, not {self.in_shape}",
        )
        _pairs(self, where, kernel=1, stride=1, padding=0)
        _require(self.out_channels >= 1, f"{where} out_channels must be at least 1")
        self._check_codes(where)
        sizes = (*self.map_shape, *(self.out_shape[1:] if min(self.map_shape) > 0 else ()))
        pooled = f" with pool {self.pool.kernel}" if self.pool else ""
        _require(
            min(sizes) >= 1, f"{where} a {self.kernel} kernel{pooled} does not fit {self.in_shape}"
        )

    def _check_codes(self, where: str) -> None:
        least = 1 if self.kind == "xnor" else MIN_WIDTH
        most = 1 if self.kind == "xnor" else MAX_WIDTH
        limits = {"width": (least, most), "in_width": (1, MAX_WIDTH), "out_width": (1, MAX_WIDTH)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            _require(
                low <= value <= high, f"{where} {name} must be {low} to {high} bits, not {value}"
            )
        _require(
            len(self.drop) in (1, self.in_shape[0]) and min(self.drop) >= 0,
            f"{where} drop must be one number of bits, or one for each of {self.in_shape[0]} "
            f"channels, not {len(self.drop)}",
        )
        _require(
            self.kind != "xnor" or set(self.drop) == {0},
            f"{where} xnor takes signs, so drop must be 0",
        )
        _require(
            self.in_zero_point % 2 ** max(self.drop) == 0,
            f"{where} in_zero_point must be a multiple of 2**drop, not {self.in_zero_point}",
        )
        zeros = {"in_zero_point": self.in_width, "out_zero_point": self.out_width}
        for name, width in zeros.items():
            value = getattr(self, name)
            _require(
                0 <= value < 2**width, f"{where} {name} must be a {width}-bit code, not {value}"
            )

    @property
    def map_shape(self) -> tuple[int, int]:
        """(height, width) of the accumulator map, before pooling."""
        return _windows(self.in_shape[1:], self.kernel, self.stride, self.padding)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the output map, after pooling."""
        if self.pool is None:
            return self.out_channels, *self.map_shape
        window = (self.pool.kernel, self.pool.stride, self.pool.padding)
        return self.out_channels, *_windows(self.map_shape, *window)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.out_channels, self.in_shape[0], *self.kernel

    @property
    def weight_limits(self) -> tuple[int, int]:
        """The least and the greatest weight."""
        if self.kind == "mac":
            return -(2 ** (self.width - 1)), 2 ** (self.width - 1) - 1
        return 0, 2**self.width - 1

    @property
    def reduction(self) -> int:
        """k: terms in each sum."""
        return math.prod(self.weight_shape[1:])

    @property
    def weigh(self) -> tuple[int, ...]:
        """Each input channel's terms count 2**weigh times."""
        least = min(self.drop)
        return tuple(bits - least for bits in self.drop) * (self.in_shape[0] // len(self.drop))

    @property
    def accumulator_limit(self) -> int:
        """The largest |acc| that codes can give; an adder's SAD needs width + ceil(log2 k) bits
        where all channels weigh the same."""
        if self.kind == "xnor":
            return self.reduction
        highest = 2**self.width - 1
        weight = 1 if self.kind == "adder" else 2 ** (self.width - 1)
        return math.prod(self.kernel) * sum(2**bits for bits in self.weigh) * highest * weight

    def matrix_shape(self, images: int = 1) -> tuple[int, int, int]:
        """(m, k, n): the layer as an m × k by k × n matrix form over `images` images."""
        return images * math.prod(self.map_shape), self.reduction, self.out_channels


@dataclass(frozen=True, kw_only=True)
class QuantizedLayer:
    """A LayerSpec with its integers: weight (out, in, kernel height, kernel width); bias, mult,
    shift and residual_mult (out,), the last 0 without a residual. All int64, read-only."""

    spec: LayerSpec
    weight: np.ndarray
    bias: np.ndarray
    mult: np.ndarray
    shift: np.ndarray
    residual_mult: np.ndarray | None = None

    def __post_init__(self) -> None:
        spec, where = self.spec, f"layer {self.spec.name!r}:"
        if self.residual_mult is None:
            object.__setattr__(self, "residual_mult", np.zeros(spec.out_channels, np.int64))
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
        lowest, highest = spec.weight_limits
        _require(
            self.weight.min() >= lowest and self.weight.max() <= highest,
            f"{where} weights must be from {lowest} to {highest}, "
            f"not from {self.weight.min()} to {self.weight.max()}",
        )
        _require(
            self.shift.min() >= 0 and self.shift.max() <= 62,
            f"{where} shift must be 0 to 62, not {self.shift.min()} to {self.shift.max()}",
        )
        _require(
            spec.residual is not None or not self.residual_mult.any(),
            f"{where} residual_mult must be 0 without a residual",
        )


@dataclass(frozen=True, kw_only=True)
class QuantizedModel:
    """Quantized layers in the order in which they run; the last one's map is the answer.

    A pixel's code is clamp(round_half_up(value / input_scale) + input_zero_point, 0,
    2**input_width - 1). requantize: "multiply", or "shift" when every mult and residual_mult is
    ±2**a or ±2**a ± 2**b, so that no multiplier is needed. metadata: JSON values for people (data
    set, seeds, accuracies).
    """

    name: str
    layers: tuple[QuantizedLayer, ...]
    input_scale: float
    input_width: int = 8
    input_zero_point: int = 0
    requantize: str = "multiply"
    metadata: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"model {self.name!r}:"
        object.__setattr__(self, "layers", tuple(self.layers))
        _require(len(self.layers) > 0, f"model {self.name!r} has no layers")
        _require(
            math.isfinite(self.input_scale) and self.input_scale > 0,
            f"{where} input_scale must be positive, not {self.input_scale}",
        )
        _require(
            self.requantize in REQUANTIZERS,
            f"{where} requantize must be one of {REQUANTIZERS}, not {self.requantize!r}",
        )
        maps = {IMAGE: (self.in_shape, self.input_width, self.input_zero_point)}
        for layer in self.layers:
            self._check_place(layer, maps)
            spec = layer.spec
            maps[spec.name] = (spec.out_shape, spec.out_width, spec.out_zero_point)

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image."""
        return self.layers[0].spec.in_shape

    @property
    def data(self) -> str:
        """The data set of its training; "digits" where that is not known."""
        return self.metadata.get("data") or "digits"

    @property
    def classes(self) -> int:
        """Outputs of the last layer."""
        return self.layers[-1].spec.out_channels

    def _check_place(self, layer: QuantizedLayer, maps: dict) -> None:
        spec, where = layer.spec, f"model {self.name!r}: layer {layer.spec.name!r}"
        _require(spec.name not in maps, f"{where} must have a name of its own")
        for name in (spec.source, *([spec.residual] if spec.residual else [])):
            _require(name in maps, f"{where} takes {name!r}, which no layer before it gives")
        shape, width, zero = maps[spec.source]
        _require(
            spec.in_shape in (shape, (math.prod(shape), 1, 1)),
            f"{where} takes {spec.in_shape}, but {spec.source!r} gives {shape}",
        )
        _require(
            (spec.in_width, spec.in_zero_point) == (width, zero),
            f"{where} takes {spec.in_width}-bit codes with zero point {spec.in_zero_point}, but "
            f"{spec.source!r} gives {width} and {zero}",
        )
        if spec.residual:
            shape, _, zero = maps[spec.residual]
            _require(
                shape == (spec.out_channels, *spec.map_shape) and zero == spec.residual_zero_point,
                f"{where} adds {(spec.out_channels, *spec.map_shape)} with zero point "
                f"{spec.residual_zero_point}, but {spec.residual!r} gives {shape} and {zero}",
            )
        if self.requantize == "shift":
            for name in ("mult", "residual_mult"):
                _require(
                    bool(np.all(signed_digits(getattr(layer, name)) <= 2)),
                    f"{where} {name} must be sums of two signed powers of two for requantize "
                    "'shift'",
                )


def signed_digits(values: np.ndarray) -> np.ndarray:
    """The least number of signed powers of two that sum to each integer: the nonzero digits of
    its non-adjacent form (Reitwiesner 1960), the ones of value XOR 3 · value."""
    magnitude = np.abs(np.asarray(values, np.int64))
    return np.bitwise_count(magnitude ^ (3 * magnitude))


def _pairs(owner: object, where: str, **least: int) -> None:
    """The owner's fields as tuples of two integers, each at least so much."""
    for name, low in least.items():
        value = tuple(getattr(owner, name))
        object.__setattr__(owner, name, value)
        _require(
            len(value) == 2 and all(isinstance(v, int) and v >= low for v in value),
            f"{where} {name} must be 2 integers of at least {low}, not {value}",
        )


def _windows(size, kernel, stride, padding) -> tuple[int, int]:
    """(rows, columns) of a window's places on a map."""
    rows, cols = (
        (side + 2 * pad - reach) // step + 1
        for side, reach, step, pad in zip(size, kernel, stride, padding, strict=True)
    )
    return rows, cols
