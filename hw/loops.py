"""Nested loops: counters, and values that follow them with one adder each.

Levels are numbered from the innermost. A value that moves by a stride for each turn of each level
never needs a product: where a level goes on, the levels inside it start anew, and what all that
changes is a constant of the level, its step.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np
from amaranth import Cat, Module, Signal, Value
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out


def walk(counts: Sequence[int], strides: Sequence[int], start: int = 0) -> np.ndarray:
    """start + Σ turn[level] · stride[level] for all turns, in the order of the loops."""
    values = np.array([start])
    for count, stride in zip(reversed(counts), reversed(strides), strict=True):
        values = (values[:, None] + stride * np.arange(count)).ravel()
    return values


def steps(counts: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """What is added to a value when a level goes on and the levels inside it start anew."""
    result, inside = [], 0
    for count, stride in zip(counts, strides, strict=True):
        result.append(stride - inside)
        inside += (count - 1) * stride
    return tuple(result)


class Loops(Component):
    """The counters of nested loops.

    stages: 1 for `firsts` and `lasts` from registers, not by comparison of the turns.

    Members
    -------
    load : start anew
    step : go on to the next turn; after the last one, `load`
    limits : the last turn of each level, its count − 1
    turns : the current turn of each level
    firsts, lasts : whether it is the level's first, last turn, a bit for each level
    goes_on : one bit, that of the level that `step` moves on, or none at the very last turn
    """

    def __init__(self, levels: int, width: int, stages: int = 0):
        self.levels, self._stages = levels, stages
        super().__init__(
            {
                "load": In(1),
                "step": In(1),
                "limits": In(ArrayLayout(width, levels)),
                "turns": Out(ArrayLayout(width, levels)),
                "firsts": Out(levels),
                "lasts": Out(levels),
                "goes_on": Out(levels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for level in range(self.levels):
            turn = self.turns[level]
            inside_last = self.lasts[:level].all()
            moves = self.step & inside_last
            m.d.comb += self.goes_on[level].eq(inside_last & ~self.lasts[level])
            with m.If(self.load):
                m.d.sync += turn.eq(0)
            with m.Elif(moves):
                m.d.sync += turn.eq(turn + 1)
                with m.If(self.lasts[level]):
                    m.d.sync += turn.eq(0)
            if self._stages:
                self._count_down(m, level, moves)
            else:
                m.d.comb += [
                    self.firsts[level].eq(turn == 0),
                    self.lasts[level].eq(turn == self.limits[level]),
                ]
        return m

    def _count_down(self, m: Module, level: int, moves: Value) -> None:
        """The level's first and last, known as its turn begins."""
        first, last, limit = self.firsts[level], self.lasts[level], self.limits[level]
        left = Signal.like(limit, name=f"left_{level}")
        with m.If(self.load | (moves & last)):
            m.d.sync += [left.eq(limit), first.eq(1), last.eq(limit == 0)]
        with m.Elif(moves):
            m.d.sync += [left.eq(left - 1), first.eq(0), last.eq(left == 1)]


class Walk(Component):
    """A value that follows `Loops`, modulo 2**width.

    Members
    -------
    load : take `start`
    step, goes_on : as of the loops
    start : value of the first turn
    steps : see `hw.loops.steps`
    value : of the current turn
    """

    def __init__(self, levels: int, width: int):
        self.levels = levels
        super().__init__(
            {
                "load": In(1),
                "step": In(1),
                "goes_on": In(levels),
                "start": In(width),
                "steps": In(ArrayLayout(width, levels)),
                "value": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chosen = [
            self.steps[level] & self.goes_on[level].replicate(len(self.value))
            for level in range(self.levels)
        ]
        with m.If(self.load):
            m.d.sync += self.value.eq(self.start)
        with m.Elif(self.step):
            m.d.sync += self.value.eq(self.value + Cat(reduce(or_, chosen)))
        return m
