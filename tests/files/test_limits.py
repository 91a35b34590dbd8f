"""Limits: stated, configurable, and named with both figures."""

import pytest

from genbench.errors import SampleError, UnknownNameError, UsageError
from genbench.files.limits import LIMITS, UNITS, Limits, parse_limits


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


@pytest.mark.parametrize(
    ("text", "number"),
    [("8589934592", 2**33), ("8e9", 8 * 10**9), ("8G", 2**33), ("1.5k", 1536), ("2.5E3", 2500), ("64M", 2**26)],
)
def test_a_limit_is_written_in_full_or_with_a_power_or_a_suffix(text, number):
    assert parse_limits([f"array_bytes={text}"]) == Limits(array_bytes=number)


def test_limits_that_are_not_named_keep_their_defaults():
    assert parse_limits([]) == LIMITS
    assert parse_limits(["pixels=1", "members=7"]) == Limits(pixels=1, members=7)


def test_an_unknown_limit_is_met_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"unknown limit 'array-bytes'\. Did you mean 'array_bytes'"):
        parse_limits(["array-bytes=8G"])


@pytest.mark.parametrize(
    "value", ["", "8GB", "0", "-1", "1.5", "2**33", "1e-3", "1e999999999", "inf", "nan", "8_000", "8 G", "٣"]
)
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(UsageError, match="a whole number of pixels from 1 expected for pixels"):
        parse_limits([f"pixels={value}"])


@pytest.mark.parametrize("texts", [["pixels"], ["pixels=1", "pixels=2"]])
def test_a_limit_is_given_once_and_with_a_value(texts):
    with pytest.raises(UsageError, match=f"NAME=N, each name once, expected, got '{texts[-1]}'"):
        parse_limits(texts)
