"""The requantizer: sums of an array to codes, `cols` of them a cycle."""

from amaranth import Module, Mux, Shape, Signal, signed
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out

from .factor import factor_layout, factor_values, multiplied
from .pipeline import delay
from .program_words import Constants


def constant_layout(constants: Constants, requantize: str) -> StructLayout:
    """One filter's constants: offset, shift and the factors, see `hw.factor`."""
    return StructLayout(
        {"offset": signed(constants.total_width), "shift": int(constants.shift.max()).bit_length()}
        | {name: factor_layout(f, requantize) for name, f in constants.factors.items()}
    )


def constant_values(constants: Constants, requantize: str) -> list[list[dict]]:
    """The values of `constant_layout` for each tile and filter of it."""
    columns = {
        "offset": constants.offset.ravel().tolist(),
        "shift": constants.shift.ravel().tolist(),
    }
    for name, factors in constants.factors.items():
        columns[name] = factor_values(factors, requantize)
    filters = [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    cols = constants.offset.shape[1]
    return [filters[start : start + cols] for start in range(0, len(filters), cols)]


class Requantizer(Component):
    """clamp((offset + sum · mult + added · residual_mult) >> shift, 0, highest) of each column; the
    second product only if the constants have it. Latency: 3 cycles, or 5 with `stages` 1: registers
    between a product's parts and their sum, and between the shift and the limits.

    The shift is arithmetic; what rounds, the zero points and the sign of a SAD are in the constants
    (`hw.program_words.Constants`). Exact for all sums for which what is shifted has `total_width`
    bits.

    Members
    -------
    sums : of the array, cols of `sum_shape`
    added : codes of another map, cols of `added_width` bits
    constants : for these sums, cols of `constant_layout`
    highest : the highest code, 2**bits − 1; constant while sums come
    codes : cols codes, 3 or 5 cycles later
    """

    def __init__(
        self,
        cols: int,
        sum_shape: Shape,
        added_width: int,
        code_width: int,
        constants: Constants,
        requantize: str,
        stages: int = 0,
    ):
        self.cols, self._stages = cols, stages
        self.total_shape = signed(constants.total_width)
        super().__init__(
            {
                "sums": In(ArrayLayout(sum_shape, cols)),
                "added": In(ArrayLayout(added_width, cols)),
                "constants": In(ArrayLayout(constant_layout(constants, requantize), cols)),
                "highest": In(code_width),
                "codes": Out(ArrayLayout(code_width, cols)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wide, stages = signed(max(self.total_shape.width, len(self.highest) + 1)), self._stages
        highest = Signal(wide)
        m.d.comb += highest.eq(self.highest)
        for c in range(self.cols):
            constant = self.constants[c]
            total = Signal(self.total_shape, name=f"total_{c}", reset_less=True)
            numbers = {"mult": self.sums[c], "residual_mult": self.added[c]}
            terms = [delay(m, constant.offset, 1 + stages, f"offset_{c}")]
            for name, number in numbers.items():
                if name in constant.shape().members:
                    shape, title = self.total_shape, f"{name}_{c}"
                    terms.append(multiplied(m, number, constant[name], shape, title, stages))
            shift = delay(m, constant.shift, 2 + stages, f"shift_{c}")
            code = Signal(wide, name=f"code_{c}")
            over = (code & ~highest).any()
            saturated = (code | over.replicate(wide.width)) & highest
            m.d.sync += total.eq(sum(terms))
            m.d.comb += code.eq(delay(m, total >> shift, stages, f"shifted_{c}"))
            limited = Mux(code < 0, 0, saturated)[: len(self.highest)]
            m.d.comb += self.codes[c].eq(delay(m, limited, 1, f"limited_{c}"))
        return m
