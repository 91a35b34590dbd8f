"""Promises are judged as they say, findings go to JSON and back, and neither hides what is not a number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from genbench.audit.finding import Finding, findings_from_json, findings_to_json, within
from genbench.audit.promises import LEVEL, Between, Covers, Exactly, Mean, Null, Size, Spread
from genbench.errors import ProtocolError
from genbench.records import Estimate


def estimates(values, **fields):
    return [Estimate(value=float(v), **{k: float(f[i]) for k, f in fields.items()}) for i, v in enumerate(values)]


def kept(promise, found):
    verdict = promise.judge(found, [{}] * len(found))
    return within(promise.part, "m", "c", verdict.found, low=verdict.low, high=verdict.high).ok


NORMAL = np.random.default_rng(0).standard_normal(100)


def test_an_exact_promise_takes_the_draw_that_is_farthest_off():
    promise = Exactly(truth=lambda given: given["truth"], abs=0.5)
    verdict = promise.judge(estimates([1.0, 2.4, 3.0]), [{"truth": 1}, {"truth": 2}, {"truth": 3}])
    assert (verdict.found, verdict.low, verdict.high) == (2.4, 1.5, 2.5)


def test_what_an_estimate_lacks_keeps_no_promise():
    bare = [Estimate(value=1.0)] * 3
    for promise in (
        Exactly(truth=1.0, of="null"),
        Null(),
        Covers(truth=1.0),
        Spread(),
        Size(),
        Mean(truth=1, of="null"),
    ):
        assert kept(promise, bare) is False


def test_a_mean_may_be_off_by_chance_and_by_the_documented_bias():
    """Bounds are those of Student's t at the level: a mean at them is just kept."""
    error = NORMAL.std(ddof=1) / 10
    slack = stats.t.isf(LEVEL / 2, 99) * error
    centred = NORMAL - NORMAL.mean()
    assert kept(Mean(truth=0.0), estimates(centred + 0.99 * slack))
    assert not kept(Mean(truth=0.0), estimates(centred + 1.01 * slack))
    assert kept(Mean(truth=0.0, high_bias=0.1), estimates(centred + 0.99 * slack + 0.1))
    assert not kept(Mean(truth=0.0, high_bias=0.1), estimates(centred - 1.01 * slack))
    assert kept(Mean(truth=0.0, low_bias=-math.inf), estimates(centred - 100))


def test_coverage_below_the_binomial_quantile_is_missed():
    """Of 100 at .9: 66 is the quantile at 1e-6, and fewer are too few."""
    least = int(stats.binom.ppf(LEVEL, 100, 0.9))
    for held, ok in ((least, True), (least - 1, False)):
        low = np.where(np.arange(100) < held, -1.0, 0.5)
        assert kept(Covers(truth=0.0), estimates(NORMAL, low=low, high=low + 2)) is ok


def test_errors_too_small_by_the_root_of_two_are_missed_and_right_ones_are_not():
    """400 draws: the band of a ratio at the level is 1.19 either way, and sqrt(2) is beyond .95 and 1.05 of that."""
    values = np.random.default_rng(1).standard_normal(400)
    for error, ok in ((1.0, True), (2**-0.5, False), (2**0.5, False)):
        assert kept(Spread(low=0.95, high=1.05), estimates(values, std_error=np.full(400, error))) is ok


def test_a_test_that_rejects_twice_as_often_as_it_says_is_missed():
    found = [Estimate(value=0.0, extra={"p_value": p}) for p in np.linspace(0, 1, 1000, endpoint=False)]
    assert kept(Size(), found)
    assert not kept(Size(), [Estimate(value=0.0, extra={"p_value": e.extra["p_value"] / 2}) for e in found])


def test_a_range_holds_on_every_draw():
    assert kept(Between(low=0.0, high=1.0), estimates([0.0, 1.0]))
    assert not kept(Between(low=0.0, high=1.0), estimates([-0.1, 0.5]))
    assert not kept(Between(high=1.0), estimates([0.5, 1.1]))


def test_findings_go_to_json_and_back():
    found = [
        within("bias", "fd", "a case", 1.0, low=0.5, high=2.0, note="why"),
        within("null", "fd", "another", math.nan, high=1.0),
        Finding(part="stability", metric="fd", case="told", expected="not promised", found=None, ok=None),
    ]
    assert findings_from_json(findings_to_json(found, seed=3)) == found
    assert [f.ok for f in found] == [True, False, None]
    assert "not finite" in found[1].note


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 9, "findings": []}', '{"schema_version": 1}', "[1]"])
def test_what_is_no_audit_is_refused_by_name(text):
    with pytest.raises(ProtocolError, match=r"^audit: .*run the audit again"):
        findings_from_json(text)


def test_how_near_a_miss_is():
    assert within("bias", "m", "c", 1.0, low=0.0, high=2.0).miss == 0.0
    assert within("bias", "m", "c", 1.5, low=0.0, high=2.0).miss == 0.5
    assert within("bias", "m", "c", 3.0, low=0.0, high=2.0).miss == 2.0
    assert within("bias", "m", "c", 3.0, high=2.0).miss == math.inf
    assert within("bias", "m", "c", 1.0, high=2.0).miss == 0.0
