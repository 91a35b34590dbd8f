"""Limits: stated, configurable, and named with both figures."""

import pytest

from genbench.errors import SampleError, UsageError
from genbench.sampling.limits import LIMITS, UNITS, Limits


@pytest.mark.parametrize("limit", sorted(UNITS))
def test_a_refusal_names_the_figure_and_the_limit(limit):
    limits = Limits(**{limit: 1000})
    limits.check(limit, 1000, who="file")
    with pytest.raises(SampleError) as caught:
        limits.check(limit, 1001, who="file")
    assert f"file: at most 1,000 {UNITS[limit]} are read, got 1,001;" in str(caught.value)
    assert f"raise the limit '{limit}'" in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_a_limit_is_a_positive_whole_number(value):
    with pytest.raises(UsageError, match="limits: pixels must be a whole number of at least 1"):
        Limits(pixels=value)


def test_the_defaults_take_the_sets_of_the_field():
    """50,000 images of 256 x 256, 1,281,167 of ImageNet, and 50,000 of CIFAR-10 held in memory."""
    assert LIMITS.pixels >= 4096**2
    assert LIMITS.members >= 1_281_167
    assert LIMITS.expanded_bytes >= 50_000 * 3 * 256**2
    assert LIMITS.array_bytes >= 50_000 * 3 * 32**2
