"""Tables in banks, in Amaranth's simulator."""

import pytest
from amaranth import Module, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.sim import Simulator

from hw.table import table

WORDS = [(7 * place) % 64 for place in range(11)]


@pytest.mark.parametrize(("stages", "bank_stages"), [(0, 0), (1, 0), (1, 1)])
def test_words_come_in_the_order_of_their_places(stages, bank_stages):
    m, place, layout = Module(), Signal(range(12)), ArrayLayout(6, 1)
    words = [[word] for word in WORDS]
    word = table(
        m, "words", layout, words, 12, place, stages, bank=4, bank_stages=bank_stages
    ).as_value()
    places, seen = [3, 8, 0, 10, 4, 5, 6, 7, 9, 1, 2], []
    latency = 1 + stages + bank_stages

    async def bench(ctx):
        for now in places + [0] * latency:
            ctx.set(place, now)
            seen.append(ctx.get(word))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen[latency:] == [WORDS[now] for now in places]
