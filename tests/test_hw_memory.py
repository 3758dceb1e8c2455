import pytest

from hw.memory import memory_use, sized_pj_per_bit

KIB = 8192  # bits


@pytest.mark.parametrize(
    ("kib", "pj_per_64"),
    [(8, 10), (32, 20), (1024, 100), (18, 15), (2, 5), (4096, 100 + 80 * 32 / (32 - 32**0.5))],
)
def test_a_bits_energy_rises_with_the_square_root_of_the_memorys_size(kib, pj_per_64):
    assert 64 * sized_pj_per_bit(kib * KIB) == pytest.approx(pj_per_64)


def test_every_bit_that_is_read_or_written_costs_the_same():
    use = memory_use("m", 1024, 64, reads=100, fresh=25, bits_written=640)
    assert use.pj_per_bit == pytest.approx(10 / 64)
    assert use.uj == pytest.approx((100 + 10) * 10e-6)
    assert use.fresh_uj == pytest.approx((25 + 10) * 10e-6)


def test_a_given_energy_holds_for_any_size():
    use = memory_use("m", 2, 8, reads=1, fresh=1, bits_written=0, per_bit=0.5)
    assert use.uj == pytest.approx(8 * 0.5e-6)
    with pytest.raises(ValueError, match=r"^pj_per_bit must be finite, at least 0, not -1$"):
        memory_use("m", 2, 8, reads=1, fresh=1, bits_written=0, per_bit=-1)
