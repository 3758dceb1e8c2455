"""The requantizer, pooling and argmax against the integer reference, in Amaranth's simulator."""

import itertools

import numpy as np
import pytest
from amaranth import signed, unsigned
from amaranth.sim import Simulator

from golden import reference
from golden.requantizer import two_powers
from golden.spec import LayerSpec, Pool, QuantizedLayer
from hw.accelerator_config import AcceleratorConfig
from hw.argmax import ArgMax
from hw.array_sums import array_sums
from hw.config import ArrayConfig
from hw.descriptor import computed_size
from hw.factor import powers, scaled
from hw.pooling import Pooling, windows_layout, windows_values
from hw.program_words import Constants, requantizer_numbers, total_width
from hw.requantize import Requantizer, constant_values


def run(dut, inputs, look, extra=0):
    """What look(ctx) sees in each cycle, for dicts of inputs, one a cycle, the last one longer."""
    seen = []

    async def bench(ctx):
        for values in [*inputs, *[inputs[-1]] * extra]:
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            seen.append(look(ctx))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def random_layer(kind, requantize, out_width=8, residual=False, seed=0):
    """A layer of 4 filters with 10 terms whose constants try all that the model file allows."""
    rng = np.random.default_rng(seed)
    zero = int(rng.integers(0, 2**out_width))
    spec = LayerSpec(
        name="layer",
        kind=kind,
        in_shape=(10, 1, 1),
        out_channels=4,
        out_width=out_width,
        out_zero_point=zero,
        residual="image" if residual else None,
        residual_zero_point=77 * residual,
    )
    lowest, highest = spec.weight_limits
    mult = rng.integers(-(2**15) + 1, 2**15, 4)
    residual_mult = rng.integers(2**15, 2**16, 4) << np.array([28, 5, 0, 9])
    if requantize == "shift":
        mult, residual_mult = two_powers(mult).astype(np.int64), 2 ** np.array([44, 3, 21, 0])
    mult[0] = (2**15 - 1, 2**15 - 2**7)[requantize == "shift"]
    return QuantizedLayer(
        spec=spec,
        weight=rng.integers(lowest, highest + 1, spec.weight_shape),
        bias=rng.integers(-3000, 3000, 4),
        mult=mult,
        shift=np.array([0, 1, 7, 22])[rng.permutation(4)],
        residual_mult=residual_mult * residual,
    )


def limits(layer):
    top, weight = 255, layer.weight.reshape(4, -1)
    if layer.spec.kind == "adder":
        return np.zeros(4, int), np.maximum(weight, top - weight).sum(1)
    return np.minimum(weight, 0).sum(1) * top, np.maximum(weight, 0).sum(1) * top


SLOWER = [pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 0), (1, 1))]


@pytest.mark.parametrize("requantize", ["multiply", "shift"])
@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("seed", "stages"), [(0, 0), *SLOWER])
def test_codes_are_those_of_the_reference_for_extreme_and_random_sums(
    kind, requantize, residual, seed, stages
):
    layer = random_layer(kind, requantize, (8, 16)[seed], residual, seed)
    low, high = limits(layer)
    pe = {"adder": "complement", "mac": "mac"}[kind]
    array = ArrayConfig(pe=pe, rows=2, cols=2, dataflow="weight-stationary")
    own = array_sums(layer, AcceleratorConfig(array=array))
    assert (own.lowest.tolist(), own.highest.tolist()) == (low.tolist(), high.tolist())
    rng = np.random.default_rng(seed)
    sums = np.stack([low, high, low, high, *rng.integers(low, high + 1, (40, 4))])
    added = np.stack(
        [np.full(4, 255)] * 2 + [np.zeros(4, int)] * 2 + [*rng.integers(0, 256, (40, 4))]
    )
    numbers = {name: value[None] for name, value in requantizer_numbers(layer, own).items()}
    factors = ("mult", "residual_mult") if residual else ("mult",)
    constants = Constants(
        offset=numbers["offset"],
        shift=numbers["shift"],
        factors={name: numbers[name] for name in factors},
        total_width=total_width(numbers, own, 8 * residual),
    )
    shape = unsigned(12) if kind == "adder" else signed(20)
    dut = Requantizer(4, shape, 8, layer.spec.out_width, constants, requantize, stages)
    latency = 3 + 2 * stages
    values = {
        "constants": constant_values(constants, requantize)[0],
        "highest": 2**layer.spec.out_width - 1,
    }
    inputs = [
        values | {"sums": row.tolist(), "added": codes.tolist()}
        for row, codes in zip(sums, added, strict=True)
    ]
    seen = run(dut, inputs, lambda ctx: list(ctx.get(dut.codes)), extra=latency)
    wanted = reference.requantize(
        layer, sums[:, :, None, None], added[:, :, None, None] if residual else None
    )
    assert seen[latency:] == wanted[:, :, 0, 0].tolist()


@pytest.mark.parametrize("mult", [0, 1, -1, 2, 3, -6, 7, -(2**15), 2**15 - 1, 2**14 + 2, -31])
def test_a_multiplier_is_its_powers(mult):
    made = sum(
        power["used"] * (-1) ** power["negative"] * 2 ** power["place"] for power in powers(mult)
    )
    assert made == mult


def test_other_multipliers_have_no_two_powers():
    with pytest.raises(ValueError, match="must be a sum of two signed powers of two, not 11"):
        powers(11)


@pytest.mark.parametrize("value", [0, 1, -(2**16), 2**16, 3 << 42, -(2**40) - 2**30])
def test_long_factors_end_in_a_shift(value):
    factor = scaled(value)
    assert factor["mult"] << factor["place"] == value
    assert -(2**16) <= factor["mult"] <= 2**16


PLAIN = [((side, side), (side, side), (0, 0)) for side in (1, 2)]
PLAIN += [(window, window, (0, 0)) for window in ((3, 1), (1, 3), (2, 3))]
SHARING = [((3, 3), (2, 2), (1, 1)), ((3, 2), (2, 1), (1, 0)), ((2, 4), (1, 3), (0, 2))]
SHARING += [((3, 3), (2, 2), (0, 0)), ((2, 2), (3, 2), (1, 0)), ((2, 1), (2, 3), (1, 0))]


@pytest.mark.parametrize("window", PLAIN + SHARING)
@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("gaps", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_pooling_gives_the_references_code_of_each_window(window, kind, gaps):
    """Of two maps, one after the other; with gaps their last rows and columns are another windows'
    padding, or in none."""
    kernel, stride, padding = window if kind == "max" else (*window[:2], (0, 0))
    pool = Pool(kind=kind, kernel=kernel, stride=stride, padding=padding)
    rng = np.random.default_rng(0)
    shape = [side + 2 * step + gaps for side, step in zip(kernel, stride, strict=True)]
    maps = rng.integers(0, 256, (2, 2, *shape))
    spec = LayerSpec(
        name="layer",
        kind="adder",
        in_shape=(1, *shape),
        out_channels=2,
        out_zero_point=200,
        pool=pool,
    )
    missing = 2**pool.shift - pool.kernel[0] * pool.kernel[1]
    offset = missing * 200 + (1 << pool.shift >> 1)
    mean = {"mean": 1, "offset": offset, "shift": pool.shift} if pool.kind == "mean" else {}
    axes = [windows_values(pool, axis) for axis in (0, 1)]
    inputs = [mean | {"valid": 0, "rows": axes[0], "columns": axes[1]}]
    rows, columns = computed_size(spec)
    for codes, row, column in itertools.product(maps, range(rows), range(columns)):
        if gaps:
            inputs += [{"valid": 0}] * int(rng.integers(0, 3))
        flags = {"first_column": column == 0, "last_column": column == columns - 1}
        flags |= {"first_row": row == 0, "last_row": row == rows - 1}
        inputs.append({"codes": codes[:, row, column].tolist(), "valid": 1} | flags)
    dut = Pooling(2, 8, *2 * [windows_layout(3, 3, 3, 1)], spec.out_shape[2], pool.shift)
    seen = run(
        dut,
        [*inputs, {"valid": 0}],
        lambda ctx: (list(ctx.get(dut.pooled)), ctx.get(dut.done)),
        extra=3,
    )
    pooled = [codes for codes, done in seen if done]
    wanted = reference.pool(maps, spec).reshape(2, 2, -1).transpose(0, 2, 1)
    assert pooled == wanted.reshape(-1, 2).tolist()


@pytest.mark.parametrize(("cols", "tiles"), [(1, 1), (1, 3), (4, 1), (3, 2), (5, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_the_class_is_the_lowest_index_among_the_largest_codes(cols, tiles, seed):
    codes = np.random.default_rng(seed).integers(0, 4, (tiles, cols))
    dut = ArgMax(cols, 2, tiles)
    inputs = [{"codes": tile.tolist(), "valid": 1} for tile in codes]
    seen = run(
        dut,
        [*inputs, {"valid": 0}],
        lambda ctx: (ctx.get(dut.o_class.valid), ctx.get(dut.o_class.payload)),
        extra=8,
    )
    latency = tiles + (cols - 1).bit_length()
    assert [valid for valid, _ in seen].index(1) == latency
    assert seen[-1][1] == codes.argmax()
