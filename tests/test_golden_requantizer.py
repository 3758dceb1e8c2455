import numpy as np
import pytest

from golden import reference
from golden.requantizer import requantizer, two_powers
from golden.spec import LayerSpec, signed_digits

SLOPES = [0.0, 1e-300, 1e-12, 1e-6, 2e-5, 1e-3, 0.1, 0.5, 1.0, 77.0, 3e4]


def spec(kind="adder", out_width=8, **changes):
    values = {"name": "fc", "kind": kind, "in_shape": (30, 1, 1), "out_channels": 4}
    return LayerSpec(**values | {"out_width": out_width} | changes)


def worst_error(made, slopes, offset, layer, residual=0, residual_slope=0.0):
    """How far a saturated code is from the real one, over the whole range of sums."""
    sign, highest = -1 if layer.kind == "adder" else 1, 2**layer.out_width - 1
    errors = []
    for acc in np.linspace(0, sign * layer.accumulator_limit, 9).astype(np.int64):
        total = (made["bias"] + acc) * made["mult"] + residual * made["residual_mult"]
        got = reference.round_half_up(total, made["shift"])
        wanted = slopes * acc + offset + residual_slope * residual
        errors.append(np.abs(got.clip(0, highest) - wanted.clip(0, highest)))
    return np.max(errors, axis=0)


@pytest.mark.parametrize("kind", ["adder", "mac"])
@pytest.mark.parametrize("out_width", [2, 8, 16])
def test_every_slope_and_offset_fits_the_requantizer(kind, out_width):
    slopes = np.array([*SLOPES, *(-slope for slope in SLOPES)])
    layer = spec(kind, out_width)
    for offset in (0.0, 0.3, 5.72, -200.0, 1e4, -1e5, 1e9, -1e300):
        made = requantizer(slopes, np.full_like(slopes, offset), layer)
        assert np.abs(made["mult"]).max() < 2**15
        assert made["shift"].min() >= 0 and made["shift"].max() <= 44
        assert np.abs(made["bias"]).max() < 2 ** (out_width + 3) * layer.accumulator_limit
        allowed = 0.75 + 0.5 * np.abs(slopes) + 2.0 ** (out_width - 15)
        assert np.all(worst_error(made, slopes, offset, layer) <= allowed)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("out_width", [1, 8])
def test_a_scale_or_an_offset_that_is_not_finite_is_refused(out_width, wrong):
    fine, bad = np.ones(4), np.array([1, wrong, 1, 1])
    for slope, offset in ((bad, fine), (fine, bad)):
        with pytest.raises(ValueError, match=r"^fc: each filter's scale and offset must be finite"):
            requantizer(slope, offset, spec(out_width=out_width))


@pytest.mark.parametrize("mult_width", [4, 6, 10])
def test_narrow_multipliers_are_near_the_slope(mult_width):
    slopes = np.geomspace(1e-3, 1.5, 40)
    made = requantizer(slopes, np.zeros(40), spec(), mult_width=mult_width)
    assert np.abs(made["mult"]).max() < 2 ** (mult_width - 1)
    assert np.abs(made["mult"] / 2.0 ** made["shift"] / slopes - 1).max() < 2.0 ** (2 - mult_width)


def test_a_steep_slope_gets_the_bits_it_needs():
    made = requantizer(np.array([0.4, 77.0]), np.zeros(2), spec(), mult_width=4)
    assert made["mult"][1] == 77 and made["shift"][1] == 0


def test_products_fit_62_bits_at_the_widest():
    layer = spec("mac", 16, in_shape=(512, 1, 1), width=16, in_width=16)
    for slope in (0.0, 1e-9, 1e-3, 1.0, 30.0):
        made = requantizer(np.array([slope]), np.array([6e4]), layer)
        product = (abs(int(made["bias"][0])) + layer.accumulator_limit) * abs(int(made["mult"][0]))
        assert product < 2**62


def test_a_map_that_weighs_far_more_than_a_sums_unit_costs_the_sum_no_digits():
    layer = spec("mac", 16, in_shape=(512, 1, 1), width=16, in_width=16, residual="r")
    made = requantizer(np.array([3e-7]), np.array([0.0]), layer, 1.3, 16)
    assert made["mult"][0] / 2.0 ** made["shift"][0] == pytest.approx(3e-7, rel=2**-14)
    assert made["residual_mult"][0] / 2.0 ** made["shift"][0] == pytest.approx(1.3, rel=2**-16)


@pytest.mark.parametrize("residual_slope", [0.02, 1.0, 13.7])
def test_an_added_map_gets_the_same_shift_and_its_own_multiplier(residual_slope):
    slopes = np.array([0.004, -0.3, 2.5])
    layer = spec(residual="r")
    made = requantizer(slopes, np.full(3, 40.0), layer, residual_slope, 8)
    for value in made["residual_mult"].tolist():
        assert value < 2**45 and value % 2 ** max(value.bit_length() - 17, 0) == 0
    for residual in (-128, -1, 0, 77, 255):
        error = worst_error(made, slopes, 40.0, layer, residual, residual_slope)
        assert np.all(error <= 0.8 + 0.5 * np.abs(slopes))


def test_the_nearest_sum_of_two_powers_is_found():
    powers = [0, *(2**a for a in range(12))]
    all_sums = sorted(
        {a + b for a in powers for b in powers} | {a - b for a in powers for b in powers if a >= b}
    )
    for value in [*np.random.default_rng(0).uniform(0.5, 2000, 200), 1, 11, 43.5, 1365]:
        got = two_powers(np.array([value, -value]))
        assert got[0] == -got[1]
        assert abs(got[0] - value) == pytest.approx(min(abs(some - value) for some in all_sums))
    assert two_powers(np.array([0.0, 0.49, -0.3])).tolist() == [0, 0, 0]


def test_shift_only_multipliers_are_sums_of_two_powers_near_the_slope():
    slopes = np.geomspace(1e-4, 30, 200) * np.where(np.arange(200) % 2, 1, -1)
    layer = spec(residual="r")
    made = requantizer(slopes, np.zeros(200), layer, 0.7, 8, mode="shift")
    assert (
        signed_digits(made["mult"]).max() == 2 and signed_digits(made["residual_mult"]).max() <= 2
    )
    ratio = made["mult"] / 2.0 ** made["shift"] / slopes
    assert np.abs(ratio - 1).max() < 0.12


@pytest.mark.parametrize("mult_width", [2, 4, 7])
def test_shift_only_multipliers_of_few_bits_are_sums_of_two_powers_at_steep_slopes(mult_width):
    slopes = np.exp(np.random.default_rng(0).uniform(-3, 10, 300))
    for slope in slopes:
        made = requantizer(
            np.array([slope]), np.zeros(1), spec(out_width=16), mode="shift", mult_width=mult_width
        )
        assert signed_digits(made["mult"]).max() <= 2


@pytest.mark.parametrize("slope", [3e-9, 0.7, -0.7, -40.0, 0.0])
def test_one_bit_codes_are_the_signs_for_every_sum(slope):
    layer = spec("xnor", 1, width=1, in_width=1, in_zero_point=1, out_zero_point=1)
    for offset in (-20.5, -1e9, 0.0, 0.3, 7.0, 1e9):
        made = requantizer(np.array([slope]), np.array([offset]), layer)
        sums = np.arange(-30, 31)
        codes = ((made["bias"] + sums) * made["mult"] + 1).clip(0, 1)
        np.testing.assert_array_equal(codes, slope * sums + offset >= 0)
