"""The class of an image, tile after tile."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.argmax import ArgMax


def classes(cols, tiles, images):
    """What comes out for images (count, tiles · cols) whose tiles come back to back."""
    dut, answers = ArgMax(cols, 4, tiles), []

    async def bench(ctx):
        ctx.set(dut.o_class.ready, 1)
        for image in images:
            for tile in image.reshape(tiles, cols):
                ctx.set(dut.codes, tile.tolist())
                ctx.set(dut.valid, 1)
                await ctx.tick()
            ctx.set(dut.valid, 0)
            for _ in range(cols + 2):
                if ctx.get(dut.o_class.valid):
                    answers.append(ctx.get(dut.o_class.payload))
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return answers


@pytest.mark.parametrize(("cols", "tiles"), [(1, 1), (1, 5), (3, 1), (3, 4), (4, 2)])
def test_the_lowest_index_of_the_largest_codes_whatever_came_before(cols, tiles):
    rng = np.random.default_rng(0)
    images = np.concatenate(
        [np.full((1, cols * tiles), 15), rng.integers(0, 16, (20, cols * tiles))]
    )
    images = np.concatenate([images, np.zeros((1, cols * tiles), int)])
    assert classes(cols, tiles, images) == images.argmax(1).tolist()
