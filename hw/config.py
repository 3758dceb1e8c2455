"""ArrayConfig: the one parameter object from which an array, its Verilog and its cycles follow."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DRAIN_GROUP = 4  # rows whose sums meet in front of one register of their column's bus


class ArrayConfig(BaseModel):
    """Parameters of a systolic array; frozen, checked at construction, unknown names refused.

    pe: kind of processing element, see `hw.pe`. width: bits of an activation and of a weight, from
    2 to 16; 1 for `xnor` and for it alone, whose operands are signs. rows, cols: PEs down and
    across. lanes: products per PE and cycle. depth: terms of the longest reduction; it sizes the
    accumulator. target: the FPGA of whose carry cells the PE is made by hand, where `hw.mapping`
    has such a PE; "generic" leaves all mapping to synthesis. Raises ValueError with one line:
    what, the rule, what it got.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pe: Literal["complement", "min", "two_adder", "compare_swap", "mac", "xnor", "square"] = (
        "complement"
    )
    width: int = Field(default=8, ge=1, le=16)
    rows: int = Field(default=8, ge=1)
    cols: int = Field(default=8, ge=1)
    lanes: int = Field(default=1, ge=1, le=64)
    depth: int = Field(default=1024, ge=1, le=2**20)
    dataflow: Literal["output-stationary"] = "output-stationary"
    target: Literal["generic", "ice40", "ecp5", "xilinx7"] = "generic"

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

    @property
    def pe_acc_width(self) -> int:
        """Bits of a PE's accumulator, which hold every sum of up to `depth` terms.

        A term is at most 2**width − 1 for adders and `xnor`, its square for `square`, and in
        ±(2**width − 1) · 2**(width−1) for `mac`: depth · term fits the term's bits, of which
        `mac` has one for the sign, and ceil(log2 depth) more.
        """
        term = 2 * self.width if self.pe in ("mac", "square") else self.width
        return term + (self.depth - 1).bit_length()

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
    def drain_stages(self) -> int:
        """Registers between a PE's sum and the end of its column's bus."""
        return 1 if self.rows <= DRAIN_GROUP else 2

    @property
    def weight_signed(self) -> bool:
        return self.pe == "mac"

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
