"""The requantizer: sums of an array to codes, `cols` of them a cycle."""

from amaranth import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import Component, In, Out

from .program_words import Constants
from .systolic import delay


def powers(mult: int) -> list[dict[str, int]]:
    """A sum of two signed powers of two as {used, negative, place} of each; ValueError for other
    numbers. They are the digits of the non-adjacent form: no sum of signed powers is shorter."""
    result, rest = [], abs(mult)
    while rest:
        place = (rest & -rest).bit_length() - 1
        digit = 1 if (rest >> place) & 3 == 1 else -1
        rest -= digit << place
        result.append({"used": 1, "negative": int((digit < 0) != (mult < 0)), "place": place})
    if len(result) > 2:
        raise ValueError(f"mult must be a sum of two signed powers of two, not {mult}")
    return result + [{"used": 0, "negative": 0, "place": 0}] * (2 - len(result))


def constant_layout(constants: Constants, requantize: str) -> StructLayout:
    """One filter's constants: offset, shift, and mult, or its two signed powers of two."""
    mult = {"mult": signed(constants.mult_width)}
    if requantize == "shift":
        place_width = (constants.mult_width - 1).bit_length()
        power = StructLayout({"used": 1, "negative": 1, "place": place_width})
        mult = {"powers": ArrayLayout(power, 2)}
    numbers = {"offset": signed(constants.total_width), "shift": constants.shift_width}
    return StructLayout(numbers | mult)


def constant_values(constants: Constants, requantize: str) -> list[list[dict]]:
    """The values of `constant_layout` for each tile and filter of it."""
    names = {"offset": int, "shift": int, "mult": int}
    if requantize == "shift":
        names["mult"] = lambda mult: powers(int(mult))
    columns = [
        [[make(value) for value in tile] for tile in getattr(constants, name)]
        for name, make in names.items()
    ]
    keys = ("offset", "shift", "powers" if requantize == "shift" else "mult")
    return [
        [dict(zip(keys, filter, strict=True)) for filter in zip(*tile, strict=True)]
        for tile in zip(*columns, strict=True)
    ]


class Requantizer(Component):
    """clamp((offset + sum · mult) >> shift, 0, highest) of each column. Latency: 3 cycles.

    The shift is arithmetic; what rounds, the zero point and the sign of a SAD are in the constants
    (`hw.program_words.Constants`). With requantize "shift" the product is two shifted sums, added
    or subtracted: no multiplier. Exact for all sums for which offset and offset + sum · mult have
    `total_width` bits.

    Members
    -------
    sums : of the array, cols of `sum_shape`
    constants : for these sums, cols of `constant_layout`
    highest : the highest code, 2**bits − 1; constant while sums come
    codes : cols codes, 3 cycles later
    """

    def __init__(
        self, cols: int, sum_shape: Shape, code_width: int, constants: Constants, requantize: str
    ):
        self.cols, self.requantize = cols, requantize
        self.total_shape = signed(constants.total_width)
        super().__init__(
            {
                "sums": In(ArrayLayout(sum_shape, cols)),
                "constants": In(ArrayLayout(constant_layout(constants, requantize), cols)),
                "highest": In(code_width),
                "codes": Out(ArrayLayout(code_width, cols)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wide = signed(max(self.total_shape.width, len(self.highest) + 1))
        highest = Signal(wide)
        m.d.comb += highest.eq(self.highest)
        for c in range(self.cols):
            constant, total = self.constants[c], Signal(self.total_shape, name=f"total_{c}")
            offset = delay(m, constant.offset, 1, f"offset_{c}")
            shift = delay(m, constant.shift, 2, f"shift_{c}")
            code = Signal(wide, name=f"code_{c}")
            over = (code & ~highest).any()
            saturated = (code | over.replicate(wide.width)) & highest
            m.d.sync += total.eq(offset + self._product(m, self.sums[c], constant, c))
            m.d.comb += code.eq(total >> shift)
            m.d.sync += self.codes[c].eq(Mux(code < 0, 0, saturated))
        return m

    def _product(self, m: Module, total: Value, constant: Value, c: int) -> Value:
        """sum · mult, one cycle later."""
        if self.requantize == "multiply":
            return delay(m, total * constant.mult, 1, f"product_{c}")
        terms = []
        for index in range(2):
            power, moved = (
                constant.powers[index],
                Signal(self.total_shape, name=f"moved_{c}_{index}"),
            )
            m.d.comb += moved.eq(Mux(power.used, total, 0) << power.place)
            term = delay(m, moved, 1, f"term_{c}_{index}")
            negative = delay(m, power.negative, 1, f"negative_{c}_{index}")
            terms.append(Mux(negative, -term, term))
        return terms[0] + terms[1]
