"""What a user chooses about quantization, checked against a network before any work."""

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from .graph import FloatLayer
from .requantizer import MULT_WIDTH
from .spec import MAX_WIDTH, MIN_WIDTH, REQUANTIZERS

MAX_GROUPS = 4
PLAIN = {"groups": (1,), "dilation": ((1, 1), 1), "padding_mode": ("zeros",)}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """width: bits of activations and weights, 2 to 16. widths: of single layers, by name, in its
    place. groups: number of scales that the channels of a map share, 1 to 4, each twice the one
    before. requantize: "multiply", or "shift" for multipliers that are sums of two signed powers
    of two. mult_width: bits of the requantizer's multipliers, 4 to 16; more where a slope needs
    them. storage: least bits of a map that is added to another or read by its signs; layers round
    them off on reading.

    Raises ValueError on anything else.
    """

    width: int = 8
    widths: dict[str, int] = field(default_factory=dict)
    groups: int = 1
    requantize: str = "multiply"
    mult_width: int = MULT_WIDTH
    storage: int = 8

    def __post_init__(self) -> None:
        widths = {"width": self.width, "storage": self.storage}
        widths |= {f"width of layer {name!r}": width for name, width in self.widths.items()}
        for name, width in widths.items():
            if not isinstance(width, int) or not MIN_WIDTH <= width <= MAX_WIDTH:
                raise ValueError(f"{name} must be {MIN_WIDTH} to {MAX_WIDTH} bits, not {width}")
        if not isinstance(self.groups, int) or not 1 <= self.groups <= MAX_GROUPS:
            raise ValueError(f"groups must be 1 to {MAX_GROUPS}, not {self.groups}")
        if self.requantize not in REQUANTIZERS:
            raise ValueError(f"requantize must be one of {REQUANTIZERS}, not {self.requantize!r}")
        if not isinstance(self.mult_width, int) or not 4 <= self.mult_width <= MULT_WIDTH:
            raise ValueError(f"mult_width must be 4 to {MULT_WIDTH} bits, not {self.mult_width}")
        widest = max([self.width, *self.widths.values()])
        if widest + self.groups - 1 > MAX_WIDTH:
            raise ValueError(
                f"width + groups - 1 must be at most {MAX_WIDTH}, the bits of a stored code, not "
                f"{widest} + {self.groups} - 1"
            )

    def width_of(self, layer: FloatLayer) -> int:
        """Bits of the layer's operands."""
        return 1 if layer.kind == "bnn" else self.widths.get(layer.name, self.width)

    def check(self, layers: list[FloatLayer]) -> None:
        """ValueError when a layer has no integer form, or a width names no layer."""
        names = [layer.name for layer in layers]
        unknown = sorted(set(self.widths) - set(names))
        if unknown:
            raise ValueError(f"widths must name layers, not {unknown}; they are {', '.join(names)}")
        for layer in layers:
            _check_layer(layer)


def check_images(images: np.ndarray, in_shape: tuple[int, int, int]) -> None:
    """ValueError on calibration images of another shape, none, NaN or infinite ones."""
    if len(images) == 0 or images.shape[1:] != in_shape:
        raise ValueError(
            f"calibration images must be (N, {', '.join(map(str, in_shape))}) with N of at "
            f"least 1, not {images.shape}"
        )
    if not np.isfinite(images).all():
        raise ValueError(
            "calibration images must be finite numbers, but some are NaN or infinite; "
            "check the data set"
        )


def _check_layer(layer: FloatLayer) -> None:
    module, norm = layer.layer, layer.norm
    for name, allowed in PLAIN.items():
        if getattr(module, name, allowed[0]) not in allowed:
            raise ValueError(
                f"layer {layer.name!r}: {name} must be {allowed[0]}, not "
                f"{getattr(module, name)!r}; such a layer has no integer form"
            )
    if isinstance(getattr(module, "padding", None), str):
        raise ValueError(
            f"layer {layer.name!r}: padding must be a number of zeros, not {module.padding!r}"
        )
    if norm is not None and (norm.running_mean is None or norm.weight is None):
        raise ValueError(
            f"layer {layer.name!r}: its batch norm must have weight, bias and running statistics"
        )
    parts: list[nn.Module] = [module] if norm is None else [module, norm]
    values = [value for part in parts for value in part.state_dict().values()]
    if not all(value.isfinite().all() for value in values):
        raise ValueError(
            f"layer {layer.name!r}: weights and batch norm must be finite; train it again"
        )
