import pytest

from gcn_luigi.prepare.layers.scale_advice import advised_scale


@pytest.mark.parametrize(
    ("low", "high", "has_fractions", "expected"),
    [
        (-1.0, 1.0, True, 10000),
        (-0.9, 0.4, True, 10000),
        (0.0, 1.7, True, 1000),
        (-250.0, 90.0, True, 10),
        (-0.003, 0.002, True, 1e6),
    ],
)
def test_fractions_get_the_largest_power_of_ten_that_twice_the_values_allow(low, high, has_fractions, expected):
    scale = advised_scale(low, high, has_fractions)

    assert scale == expected
    assert 2 * max(abs(low), abs(high)) * scale <= 32767 < 20 * max(abs(low), abs(high)) * scale


@pytest.mark.parametrize(
    ("low", "high", "has_fractions"), [(0, 255, False), (-32767, 32767, False), (0, 6190.5, True), (0, 32766.5, True)]
)
def test_values_that_fit_and_leave_no_room_for_digits_need_no_scale(low, high, has_fractions):
    assert advised_scale(low, high, has_fractions) is None


@pytest.mark.parametrize(("high", "expected"), [(60000, 0.1), (40000.5, 0.1), (200000, 0.01), (1e9, 1e-5)])
def test_values_beyond_int16_get_a_scale_below_one(high, expected):
    for has_fractions in (True, False):
        assert advised_scale(0, high, has_fractions) == expected
        assert 2 * high * expected <= 32767


@pytest.mark.parametrize("values", [(0.0, 0.0), (0.0, float("inf")), (float("nan"), float("nan"))])
def test_nothing_is_advised_without_a_value_to_go_by(values):
    assert advised_scale(*values, True) is None
