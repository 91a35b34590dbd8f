import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.metrics.copying import copy_rate, lower_tail_copies, nn_distance_ratio
from genbench.metrics.features import Features
from tests.metrics.real_sets import gaussian_case, mixture, near_copies, share_of


def ratio(**sets):
    return nn_distance_ratio(**sets, rng=0)


SCORES = {"lower_tail_copies": lower_tail_copies, "copy_rate": copy_rate, "nn_distance_ratio": ratio}
each_score = pytest.mark.parametrize("name", SCORES)


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def sets(n=80, n_train=60, n_test=60):
    return {"generated": normal(n, seed=1), "train": normal(n_train, seed=2), "test": normal(n_test, seed=3)}


def nearest(points, others):
    return np.sqrt(((points[:, None] - others) ** 2).sum(axis=2)).min(axis=1)


def test_scores_agree_with_brute_force():
    given = sets(n_test=150)
    ours, theirs = nearest(given["generated"], given["train"]), nearest(given["test"], given["train"])
    rate = copy_rate(**given, close=0.1)
    assert rate.null == 15 / 151
    assert rate.value == (ours < np.sort(theirs)[14]).mean()
    tail = lower_tail_copies(**given, smallest=0.1)
    assert tail.extra["n_tail"] == 23
    assert tail.value == (np.argsort(np.concatenate([ours, theirs]))[:23] < 80).mean()
    equal = sets()
    to_held = nearest(equal["generated"], equal["test"])
    found = ratio(**equal)
    assert found.value == pytest.approx(np.exp(np.median(np.log(ours / to_held))), rel=1e-12)
    assert found.extra["share_closer"] == (ours < to_held).mean()


@pytest.mark.parametrize("name", ["lower_tail_copies", "copy_rate"])
def test_false_alarms_of_exact_tests_are_rare(name):
    """More than 8 alarms of 60 at a chance of at most .05 each: below .003."""
    cases = (gaussian_case("perfect", seed, sizes=(200, 300, 200)) for seed in range(60))
    assert share_of(SCORES[name](**case).extra["p_value"] <= 0.05 for case in cases) <= 8 / 60


@each_score
def test_interval_covers_the_exact_null_of_a_perfect_generator(name):
    """At a coverage of .95, fewer than 106 of 120 have a chance of .002."""
    covered = []
    for seed in range(120):
        found = SCORES[name](**gaussian_case("perfect", seed, d=4, sizes=(150, 200, 250)))
        covered.append(found.low <= found.null <= found.high)
    assert share_of(covered) >= 106 / 120


def test_interval_of_the_copy_rate_covers_that_of_a_generator_with_exact_copies():
    """Copies lie below any cut: the truth is q + (1 - q) r / (l + 1). As above, 106 of 120."""
    covered = []
    for seed in range(120):
        rng = np.random.default_rng([seed, 8])
        train, test, generated = (rng.standard_normal((200, 4)) for _ in range(3))
        copies = rng.random(200) < 0.1
        generated[copies] = train[rng.integers(200, size=copies.sum())]
        found = copy_rate(generated=generated, train=train, test=test, close=0.05)
        covered.append(found.low <= 0.1 + 0.9 * found.null <= found.high)
    assert share_of(covered) >= 106 / 120


def test_a_share_of_near_copies_is_counted():
    """5% of 500 are near copies; some .01 of the others fall below the cut, within 5 deviations of .0057."""
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((1000, 16)), rng.standard_normal((500, 16))
    generated = near_copies(500, 0.05, train, rng)
    rate = copy_rate(generated=generated, train=train, test=test)
    assert 0.05 <= rate.value <= 0.06 + 5 * 0.0057
    assert rate.extra["p_value"] < 1e-4
    tail = lower_tail_copies(generated=generated, train=train, test=test)
    assert tail.value == 1.0
    assert tail.extra["p_value"] < 1e-4


def test_controls_move_as_documented():
    rng = np.random.default_rng(1)
    real = mixture(900, rng)
    train, test, fresh = real[:300], real[300:600], real[600:]
    noisy = train + 0.1 * rng.standard_normal(train.shape)
    for replay in (train, noisy):
        given = {"generated": replay, "train": train, "test": test}
        assert copy_rate(**given).value > 0.99
        assert lower_tail_copies(**given).value == 1.0
        assert ratio(**given).value < 0.2
    given = {"generated": fresh, "train": train, "test": test}
    assert copy_rate(**given).extra["p_value"] > 0.001
    assert lower_tail_copies(**given).extra["p_value"] > 0.001
    assert ratio(**given).low <= 1.0 <= ratio(**given).high


def test_a_narrow_generator_reads_as_copying_does():
    """The confound, which only the label test escapes: alarm rates of .76 over 200 seeds; fewer than 4 of 12: .002."""
    cases = [gaussian_case("narrow", seed) for seed in range(12)]
    for score in (copy_rate, lower_tail_copies):
        assert sum(score(**case).extra["p_value"] <= 0.05 for case in cases) >= 4
    assert share_of(abs(ratio(**case).value - 1) < 0.06 for case in cases) == 1.0


@each_score
@pytest.mark.parametrize("change", ["shift", "rotate", "scale", "order"])
def test_rigid_motions_scale_and_order_change_nothing(name, change):
    rotation, _ = np.linalg.qr(normal(4))
    moves = {
        "shift": lambda x: x + 7.25,
        "rotate": lambda x: x @ rotation,
        "scale": lambda x: 0.25 * x,
        "order": lambda x: x[::-1].copy(),
    }
    given = sets(n_test=60 if change == "rotate" else 41)  # which rows are left out depends on the axes
    moved = SCORES[name](**{side: moves[change](values) for side, values in given.items()})
    assert moved.value == pytest.approx(SCORES[name](**given).value, rel=1e-9)


@each_score
def test_leaked_held_out_rows_are_left_out(name):
    given = sets()
    leaked = {**given, "test": np.concatenate([given["test"], given["train"][:20]])}
    found = SCORES[name](**leaked)
    assert found.extra["in_both"] == 20.0
    assert "20 held-out rows" in found.notes[0]
    if name != "nn_distance_ratio":  # which leaves them out of the training set too
        assert found.value == SCORES[name](**given).value


@each_score
def test_one_sample_and_constant_columns_are_fine(name):
    given = {side: np.hstack([values, np.ones((len(values), 1))]) for side, values in sets(n=1).items()}
    assert SCORES[name](**given).value == SCORES[name](**sets(n=1)).value


def test_ratio_is_one_over_itself_when_the_real_sets_are_swapped():
    given = sets()
    swapped = ratio(generated=given["generated"], train=given["test"], test=given["train"])
    assert swapped.value == pytest.approx(1 / ratio(**given).value, rel=1e-12)


def test_ratio_of_copies_is_zero_and_of_leaked_samples_an_error():
    train, test = Features(normal(50, seed=2)), Features(normal(50, seed=3))
    assert ratio(generated=train, train=train, test=test).value == 0.0
    with pytest.raises(SampleError, match="median ratio is infinite"):
        ratio(generated=test, train=train, test=test)


def test_ratio_compares_equal_sizes():
    """With 8 times the training rows and no cut, distances in 2 dimensions would shrink to 0.35."""
    given = {"generated": normal(400, 2, 1), "train": normal(1600, 2, 2), "test": normal(200, 2, 3)}
    found = ratio(**given)
    assert found.extra["n_real"] == 200.0
    assert found.low <= 1.0 <= found.high


def test_copies_all_at_one_distance_are_all_in_the_tail():
    given = sets()
    found = lower_tail_copies(generated=given["train"], train=given["train"], test=given["test"])
    assert found.extra["n_tail"] == 60.0
    assert (found.value, found.extra["distance"]) == (1.0, 0.0)


@pytest.mark.parametrize(("score", "option"), [(copy_rate, "close"), (lower_tail_copies, "smallest")])
def test_parts_out_of_range_are_refused(score, option):
    with pytest.raises(SampleError, match="in \\(0, 1\\)"):
        score(**sets(), **{option: 1.0})
