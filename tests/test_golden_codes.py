import numpy as np
import pytest
import torch

from golden import reference
from golden.codes import MapFormat, format_of, operands_of, signed_codes, weight_steps
from golden.spec import LayerSpec, Pool

RANGES = [(-0.1, 1.175), (-0.7, 1.1), (0.0, 3.0), (1.0, 3.0), (-3.0, -1.0), (0.0, 0.0)]


@pytest.mark.parametrize("width", [2, 8, 16])
@pytest.mark.parametrize("coarsest", [0, 1])
def test_zero_is_a_code_and_every_value_has_one_within_half_a_step(width, coarsest):
    for lowest, highest in RANGES:
        codes = format_of(lowest, highest, width, coarsest)
        assert 0 <= codes.zero_point < 2**width and codes.zero_point % 2**coarsest == 0
        values = torch.linspace(min(lowest, 0), max(highest, 0), 99, dtype=torch.float64)
        error = (codes.real(codes.store(values)) - values).abs().max()
        assert error <= (0.501 + coarsest) * codes.scale
        assert codes.real(codes.store(torch.zeros(1))) == 0


def test_the_range_is_used_to_its_ends():
    for lowest, highest in RANGES[:3]:
        codes = format_of(lowest, highest, 8)
        assert codes.store(torch.tensor([highest])) == 255
        assert codes.store(torch.tensor([lowest])) <= 1


def test_digits_gray_levels_are_codes():
    codes = format_of(-0.1, 1.175, 8)
    assert codes.zero_point == 20 and codes.scale == pytest.approx(0.005)


def test_one_bit_is_the_sign():
    one = MapFormat(scale=1.0, zero_point=1, width=1)
    assert one.store(torch.tensor([-2.0, -1e-9, 0.0, 1e-9])).tolist() == [0, 0, 1, 1]


def test_a_map_must_have_bits_for_what_its_channels_drop():
    wide = MapFormat(scale=1.0, zero_point=0, width=6, spread=(0, 2, 1))
    assert wide.drop(4) == (0, 2, 1) and wide.drop(3) == (1, 3, 2)
    with pytest.raises(ValueError, match="must have 2 more than the layer that takes it, which"):
        wide.drop(5)


def test_a_flattened_map_keeps_its_channels_formats():
    operands = operands_of(MapFormat(scale=0.5, zero_point=0, width=5, spread=(0, 1)), 4, 6)
    assert operands.drop == (0, 0, 0, 1, 1, 1)
    assert operands.step.flatten().tolist() == [0.5, 0.5, 0.5, 1, 1, 1] and operands.unit == 0.5


@pytest.mark.parametrize(("zero", "drop"), [(0, (0, 1, 2)), (8, (2,)), (5, (0,))])
def test_operands_are_read_as_the_reference_reads_them(zero, drop):
    spread = tuple(bits - min(drop) for bits in drop)
    operands = operands_of(
        MapFormat(scale=1, zero_point=zero, width=6, spread=spread), 6 - max(drop), 3
    )
    spec = LayerSpec(
        name="l", kind="adder", in_shape=(3, 4, 16), out_channels=1, in_width=6, in_zero_point=zero,
        width=6 - max(drop), drop=drop,
    )  # fmt: skip
    codes = np.broadcast_to(np.arange(64).reshape(4, 16), (1, 3, 4, 16))
    got = operands.read(torch.tensor(codes, dtype=torch.float64))
    assert operands.drop == drop
    np.testing.assert_array_equal(got, reference.read(codes, spec))
    zeros = operands.real(operands.read(torch.full((1, 3, 1, 1), float(zero))))
    assert not zeros.any()


@pytest.mark.parametrize("spread", [(0,), (0, 2, 1, 1)])
def test_clipping_loses_no_distance(spread):
    operands = operands_of(
        MapFormat(scale=1.0, zero_point=8 * (spread == (0,)), width=7, spread=spread), 5, 4
    )
    weight = torch.randint(-90, 90, (50, 4, 3, 3)).double()
    clipped, lost = operands.clip_exactly(weight)
    low, high = operands.limits
    assert torch.all(lost > 0) and torch.all((clipped >= low) & (clipped <= high))
    for x in (low.expand(4, 3, 3), high.expand(4, 3, 3), low + (high - low) * torch.rand(4, 3, 3)):
        before = (x - weight).abs().sum((1, 2, 3))
        after = (x - clipped).abs().sum((1, 2, 3))
        torch.testing.assert_close(before, after + lost)


@pytest.mark.parametrize("width", [2, 8, 16])
def test_steps_of_weights_start_where_the_largest_just_fits(width):
    weight = torch.tensor(np.random.default_rng(0).laplace(size=(4, 5, 3, 3)))
    steps = weight_steps(weight, width, 5)
    highest = 2 ** (width - 1) - 1
    assert signed_codes(weight, width, steps[0]).abs().max() == highest
    assert (weight.abs().max() / steps[0]).item() == pytest.approx(highest)
    assert steps == sorted(steps, reverse=True) and steps[-1] == pytest.approx(steps[0] / 10)


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("side", [1, 2, 3, 7])
def test_codes_are_pooled_as_the_reference_pools_them(kind, side):
    pool = Pool(kind=kind, kernel=(side, side), stride=(2, 1))
    codes = np.random.default_rng(side).integers(0, 2**16, (2, 3, 8, 9))
    for zero in (0, 7, 2**16 - 1):
        format = MapFormat(scale=0.5, zero_point=zero, width=16)
        spec = LayerSpec(
            **{
                "name": "l",
                "kind": "adder",
                "in_shape": (3, 8, 9),
                "out_channels": 3,
                "pool": pool,
            },
            **{"out_width": 16, "out_zero_point": zero},
        )
        got = format.pooled(torch.tensor(codes, dtype=torch.float64), pool)
        np.testing.assert_array_equal(got, reference.pool(codes, spec))
        assert format.after(pool).scale == 0.5 / pool.gain
