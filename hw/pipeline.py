"""Registers: values some cycles later, and what a PE adds in a cycle on its way to the sum."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from amaranth import Cat, Const, Module, Signal, Value

from .config import ArrayConfig

_NONE = Const(0, 1)


def delay(m: Module, value: Value, cycles: int, name: str, reset_less: bool = True) -> Value:
    """`value`, `cycles` cycles later."""
    for index in range(cycles):
        register = Signal.like(value, name=f"{name}_{index}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value


def in_step(
    m: Module, total: Value, config: ArrayConfig, name: str, reset_less: bool = True
) -> Value:
    """A PE's sum with its low half, which leaves one cycle early, in step with the rest."""
    if not config.in_halves:
        return total
    low, high = total[: config.low_width], total[config.low_width :]
    return Cat(delay(m, low, 1, name, reset_less), high)


class Total(NamedTuple):
    """Σ of a cycle's terms: `bits`, signed or not, all of them still to be inverted if `flip`, and
    one bit, `carry`, still to be added. `flip` is for totals that are not signed."""

    bits: Value
    carry: Value = _NONE
    flip: Value = _NONE

    def later(self, m: Module, name: str, reset_less: bool = True) -> "Total":
        """The same, one cycle later; 0 at first, as totals of idle cycles are."""

        def register(part: str) -> Value:
            value = getattr(self, part)
            if isinstance(value, Const) or not len(value):
                return value
            register = delay(m, value.as_unsigned(), 1, f"{name}_{part}", reset_less)
            return register.as_signed() if value.shape().signed else register

        return Total(register("bits"), register("carry"), register("flip"))

    def cut(self, width: int) -> "Total":
        """The same with no more than `width` bits."""
        bits = self.bits[:width]
        signed = self.bits.shape().signed
        return Total(bits.as_signed() if signed else bits, self.carry, self.flip)

    def low(self, width: int) -> "Total":
        """The `width` low bits, with the carry."""
        bits = self.bits[:width]
        if self.bits.shape().signed:
            bits = Cat(bits, self.bits[-1].replicate(width - len(bits)))
        return Total(bits, self.carry, self.flip)

    def high(self, width: int) -> "Total":
        """What is left without those; the carry that they give is still to be put in."""
        if self.bits.shape().signed:
            return Total(self.bits[min(width, len(self.bits) - 1) :].as_signed())
        bits = self.bits[width:]
        return Total(bits, flip=self.flip if len(bits) else _NONE)


@dataclass(frozen=True)
class Arithmetic:
    """What PEs of one kind and structure add, and how. None: there is no better way than the
    others give.

    step : (m, before, pairs) -> before + Σ terms of the pairs (a, w), modulo 2**len(before)
    total : (m, pairs) -> Σ terms of the pairs
    add : (m, x, total, name) -> x + total, modulo 2**len(x)
    ahead : (m, early, pairs) -> Σ terms of the pairs; `early` are the same one cycle before
    load : (m, x, total, first, name) -> total, and x as well unless first, modulo 2**len(x)
    """

    step: Callable[[Module, Value, list[tuple[Value, Value]]], Value]
    total: Callable[[Module, list[tuple[Value, Value]]], Total]
    add: Callable[[Module, Value, Total, str], Value]
    ahead: Callable[..., Total] | None = None
    load: Callable[[Module, Value, Total, Value, str], Value] | None = None
