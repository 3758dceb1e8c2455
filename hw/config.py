"""ArrayConfig: the one parameter object from which an array, its Verilog and its cycles follow."""

import math
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DRAIN_GROUP = 4  # values in front of one register of a column's bus


class ArrayConfig(BaseModel):
    """Parameters of a systolic array; frozen, checked at construction, unknown names refused.

    pe: kind of processing element, see `hw.pe`. width: bits of an activation and of a weight, from
    2 to 16; 1 for `xnor` and for it alone, whose operands are signs. rows, cols: PEs down and
    across. lanes: products per PE and cycle. depth: terms of the longest reduction; it sizes the
    accumulator. dataflow: "output-stationary" (`hw.systolic`), or "weight-stationary"
    (`hw.weight_stationary`). positions: outputs whose sums the memory of a
    weight-stationary array holds; the other dataflow has no memory. pipeline: registers between a
    PE's operands and its sum: 1 holds what a cycle adds; 3, for output-stationary arrays, what it
    is made of and the sum, too; 2 and 4 are 1 and 3 with a register for the carry between the
    halves of the accumulator. target: the FPGA of whose carry cells the PE is made by hand, where
    `hw.mapping` has such a PE; "generic" leaves all mapping to synthesis. Raises ValueError with
    one line: what, the rule, what it got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pe: Literal["complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square"] = (
        "complement"
    )
    width: int = Field(default=8, ge=1, le=16)
    rows: int = Field(default=8, ge=1, le=1024)
    cols: int = Field(default=8, ge=1, le=1024)
    lanes: int = Field(default=1, ge=1, le=64)
    depth: int = Field(default=1024, ge=1, le=2**24)
    dataflow: Literal["output-stationary", "weight-stationary"] = "output-stationary"
    positions: int = Field(default=1024, ge=1, le=2**20)
    pipeline: Literal[0, 1, 2, 3, 4] = 0
    target: Literal["generic", "ice40", "ecp5", "xilinx7", "gowin"] = "generic"

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError(_one_line(error, tuple(type(self).model_fields))) from None
        if self.pe == "xnor" and self.width != 1:
            raise ValueError(
                f"width must be 1 for pe 'xnor', whose operands are signs, not {self.width}"
            )
        if self.pe != "xnor" and self.width == 1:
            raise ValueError("width must be at least 2, not 1")
        if self.pipeline >= 3 and self.dataflow == "weight-stationary":
            raise ValueError(
                "pipeline must be 2 at most for dataflow 'weight-stationary', whose sums have a "
                f"register in any case, not {self.pipeline}"
            )

    @property
    def pe_acc_width(self) -> int:
        """Bits of a PE's accumulator, which hold every sum of up to `depth` terms.

        A term is at most 2**width − 1 for adders and `xnor`, its square for `square`, and in
        ±(2**width − 1) · 2**(width−1) for `mac`: depth · term fits the term's bits, of which
        `mac` has one for the sign, and ceil(log2 depth) more.
        """
        return self._sum_width(self.depth)

    @property
    def tile_width(self) -> int:
        """Bits of a sum of a weight-stationary tile's terms, of which there are rows · lanes, and
        never more than `depth` that count."""
        return self._sum_width(min(self.rows * self.lanes, self.depth))

    @property
    def total_width(self) -> int:
        """Bits of what a PE adds in one cycle, as far as its sum has as many."""
        return min(self._sum_width(self.lanes), self.sum_width)

    @property
    def sum_width(self) -> int:
        """Bits of a PE's sum."""
        stays = self.dataflow == "weight-stationary"
        return self.tile_width if stays else self.pe_acc_width

    @property
    def in_halves(self) -> bool:
        """Whether a PE's sum leaves it in two halves, the low one a cycle before the other."""
        return self.pipeline in (2, 4)

    @property
    def sum_loaded(self) -> bool:
        """Whether a PE's accumulator takes a tile's first term in place of what it held. Such a PE
        has no reset; the array clears it in the same way."""
        return self.pipeline >= 3

    @property
    def low_width(self) -> int:
        """Bits of a PE's sum that leave it one cycle before the others; all of them, and none
        before the others, when it is not `in_halves`."""
        return (self.sum_width + 1) // 2 if self.in_halves else self.sum_width

    @property
    def low_latency(self) -> int:
        """Cycles from a PE's operands to those bits of the sum; to the others it is `pipeline`."""
        return self.pipeline - self.in_halves

    def _sum_width(self, terms: int) -> int:
        term = 2 * self.width if self.pe in ("mac", "square") else self.width
        return term + (terms - 1).bit_length()

    @property
    def acc_width(self) -> int:
        """Bits of a sum that leaves the array: those of the PE's accumulator, and in `min`, which
        gives SAD − Σw, a sign as well."""
        return self.pe_acc_width + (self.pe == "min")

    @property
    def acc_signed(self) -> bool:
        """Whether a sum that leaves the array is signed."""
        return self.pe in ("mac", "min")

    @property
    def drain_group(self) -> int:
        """Rows of an output-stationary array whose sums meet in front of one register of their
        column's bus; with a PE made by hand, no more than fit one LUT of 4 inputs."""
        return DRAIN_GROUP if self.target == "generic" else 2

    @property
    def drain_stages(self) -> int:
        """Registers between a PE's sum and the end of its column's bus: of `drain_group` rows, then
        of DRAIN_GROUP registers before, until one is left."""
        stages, left = 1, math.ceil(self.rows / self.drain_group)
        while left > 1:
            stages, left = stages + 1, math.ceil(left / DRAIN_GROUP)
        return stages

    @property
    def weight_signed(self) -> bool:
        return self.pe == "mac"

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """ValueError when a matrix form (m, k, n) has a size that is not positive or a reduction
        longer than `depth`."""
        if min(shape) < 1:
            raise ValueError(f"shape (m, k, n) must be positive, not {shape}")
        if shape[1] > self.depth:
            raise ValueError(
                f"a reduction of {shape[1]} terms is longer than depth {self.depth}, "
                f"for which the accumulator was sized; set depth to at least {shape[1]}"
            )

    def twin(self, pe: str) -> "ArrayConfig":
        """The same configuration with another PE kind; `xnor` takes the width that it needs, 1."""
        width = 1 if pe == "xnor" else self.width
        return ArrayConfig(**(self.model_dump() | {"pe": pe, "width": width}))


def load_config(path: str | Path) -> ArrayConfig:
    """Read an ArrayConfig from a TOML file with its names as keys; ValueError names the file."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a TOML file ({error})") from None
    try:
        return ArrayConfig(**values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _one_line(error: ValidationError, names: tuple[str, ...]) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    value, context = first["input"], first.get("ctx", {})
    rules = {
        "extra_forbidden": f"unknown key {name!r}; the keys are {', '.join(names)}",
        "greater_than_equal": f"{name} must be at least {context.get('ge')}, not {value}",
        "less_than_equal": f"{name} must be at most {context.get('le')}, not {value}",
        "literal_error": f"{name} must be {context.get('expected')}, not {value!r}",
        "int_type": f"{name} must be an integer, not {value!r}",
    }
    return rules.get(first["type"], f"{name}: {first['msg']}, not {value!r}")
