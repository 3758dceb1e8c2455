"""Tables in banks, in Amaranth's simulator."""

import pytest
from amaranth import Module, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.sim import Simulator

from hw.table import table

WORDS = [(7 * place) % 64 for place in range(11)]


@pytest.mark.parametrize(("stages", "bank_stages"), [(0, 0), (1, 0), (1, 1)])
def test_words_come_in_the_order_of_their_places(stages, bank_stages):
    places = [3, 8, 0, 10, 4, 5, 6, 7, 9, 1, 2]
    assert read(places, [1] * len(places), stages, bank_stages) == [WORDS[now] for now in places]


def test_without_a_pipeline_a_word_stays_until_another_is_read():
    seen = read([5, 5, 6, 6, 7, 7], [1, 0, 0, 1, 0, 1], 0, 0)
    assert seen == [WORDS[5]] * 3 + [WORDS[6]] * 2 + [WORDS[7]]


def read(places, enables, stages, bank_stages):
    """Words that a table of WORDS gives in turn."""
    m, place, enable = Module(), Signal(range(12)), Signal()
    words, layout = [[word] for word in WORDS], ArrayLayout(6, 1)
    banks = {"bank": 4, "bank_stages": bank_stages}
    word = table(m, "words", layout, words, 12, place, enable, stages, **banks).as_value()
    latency, seen = 1 + stages + bank_stages, []

    async def bench(ctx):
        for now, reads in zip(places + [0] * latency, enables + [0] * latency, strict=True):
            ctx.set(place, now)
            ctx.set(enable, reads)
            seen.append(ctx.get(word))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen[latency:]
