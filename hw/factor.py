"""Products with constants: by a multiplier, or by two signed powers of two."""

from functools import reduce
from operator import add

import numpy as np
from amaranth import Module, Mux, Shape, Signal, Value, signed
from amaranth.lib.data import ArrayLayout, StructLayout

from .pipeline import delay
from .program_words import signed_width

MULT_WIDTH = 17  # bits of a factor that a multiplier takes; zeros behind them are a shift


def powers(value: int) -> list[dict[str, int]]:
    """A sum of two signed powers of two as {used, negative, place} of each; ValueError for other
    numbers. They are the digits of the non-adjacent form: no sum of signed powers is shorter."""
    result, rest = [], abs(value)
    while rest:
        place = (rest & -rest).bit_length() - 1
        digit = 1 if (rest >> place) & 3 == 1 else -1
        rest -= digit << place
        result.append({"used": 1, "negative": int((digit < 0) != (value < 0)), "place": place})
    if len(result) > 2:
        raise ValueError(f"mult must be a sum of two signed powers of two, not {value}")
    return result + [{"used": 0, "negative": 0, "place": 0}] * (2 - len(result))


def scaled(value: int) -> dict[str, int]:
    """value = mult · 2**place, with as few bits of mult as MULT_WIDTH if there are zeros enough."""
    place = 0
    while value % 2 == 0 and signed_width(min(value, 0), max(value, 0)) > MULT_WIDTH:
        value, place = value // 2, place + 1
    return {"mult": value, "place": place}


def factor_values(values: np.ndarray, requantize: str) -> list:
    """Each factor's value of `factor_layout`."""
    make = powers if requantize == "shift" else scaled
    return [make(int(value)) for value in values.ravel()]


def factor_layout(values: np.ndarray, requantize: str) -> StructLayout | ArrayLayout:
    """Of as many bits as these factors need."""
    made = factor_values(values, requantize)
    if requantize == "shift":
        place = max(power["place"] for pair in made for power in pair).bit_length()
        return ArrayLayout(StructLayout({"used": 1, "negative": 1, "place": place}), 2)
    mults = [factor["mult"] for factor in made]
    place = max(factor["place"] for factor in made).bit_length()
    mult_width = signed_width(min(*mults, 0), max(*mults, 0))
    return StructLayout({"mult": signed(mult_width), "place": place})


def multiplied(
    m: Module, number: Value, factor: Value, shape: Shape, name: str, stages: int = 0
) -> Value:
    """number · factor modulo the shape, 1 + stages cycles later; factor: of a `factor_layout`.
    stages: 1 for a register between what one multiplier, or one power, gives and their sum."""
    if isinstance(factor.shape(), StructLayout):
        product = _product(m, number, factor.mult, name, stages)
        moved = Signal(shape, name=f"moved_{name}")
        m.d.comb += moved.eq(product << delay(m, factor.place, 1, f"place_{name}"))
        return delay(m, moved, stages, f"product_{name}")
    terms = []
    for index in range(2):
        power, moved = factor[index], Signal(shape, name=f"moved_{name}_{index}")
        m.d.comb += moved.eq(Mux(power.used, number, 0) << power.place)
        term = delay(m, moved, 1, f"term_{name}_{index}")
        negative = delay(m, power.negative, 1, f"negative_{name}_{index}")
        terms.append(Mux(negative, -term, term))
    return delay(m, terms[0] + terms[1], stages, f"terms_{name}")


def _product(m: Module, number: Value, mult: Value, name: str, stages: int) -> Value:
    """number · mult, one cycle later; with `stages` as the sum of products of no more bits than a
    multiplier takes."""
    width, parts = MULT_WIDTH if stages else len(number), []
    for low in range(0, len(number), width):
        part = number[low : low + width]
        if low + width >= len(number) and number.shape().signed:
            part = part.as_signed()
        parts.append(delay(m, part * mult, 1, f"part_{name}_{low}") << low)
    return reduce(add, parts)
