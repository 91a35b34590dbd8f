import numpy as np
import pytest

from genbench.data.digits import load_images
from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.memorization import label_test
from tests.metrics.real_sets import gaussian_case, mixture, share_of


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def alarms(kind, seeds, **options):
    return share_of(label_test(**gaussian_case(kind, seed, **options)).extra["p_value"] <= 0.05 for seed in seeds)


@pytest.mark.parametrize("kind", ["perfect", "narrow", "collapsed", "one point"])
def test_false_alarms_are_rare_whatever_the_quality(kind):
    """Exact p-values, so at most a chance of .05 each: more than 8 alarms of 60 have a chance below .003."""
    assert alarms(kind, range(60), sizes=(120, 180, 120), d=8) <= 8 / 60


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["perfect", "narrow", "collapsed"])
def test_false_alarms_are_rare_at_the_sizes_of_the_documentation(kind):
    """More than 7 alarms of 45 at a chance of .05 each: below .003."""
    assert alarms(kind, range(45)) <= 7 / 45


@pytest.mark.slow
def test_rare_near_copies_are_found():
    """Power .79 over 300 seeds; fewer than 27 of 40 then have a chance of .03, and the seeds are fixed."""
    assert alarms("copies", range(1000, 1040)) >= 27 / 40


@pytest.mark.slow
def test_rare_near_copies_are_found_where_the_held_out_set_is_as_large_as_the_training_set():
    """1,000 of each in d = 16: 50 of the closest 100 are copies, a share of .75 for .5, 5 deviations: power above .99.

    Of 20, fewer than 18 have a chance below .002.
    """
    assert alarms("copies", range(2000, 2020), sizes=(1000, 1000, 1000)) >= 18 / 20


def test_share_and_z_agree_with_brute_force():
    generated, train, test = normal(60, seed=1), normal(50, seed=2), normal(30, seed=3)
    pooled = np.concatenate([train, test])
    distances = np.sqrt(((generated[:, None] - pooled) ** 2).sum(axis=2))
    hits = np.bincount(distances.argmin(axis=1), minlength=80)
    total, mean = hits[:50].sum(), 60 * 50 / 80
    variance = 50 * (1 - 50 / 80) * hits.var(ddof=1)
    found = label_test(generated=generated, train=train, test=test)
    assert found.null == 50 / 80
    assert found.extra["share_all"] == pytest.approx(total / 60, rel=1e-12)
    assert found.extra["z_all"] == pytest.approx((total - mean) / variance**0.5, rel=1e-12)
    closest = distances.min(axis=1).argsort()[:6]
    assert found.extra["n_tail"] == 6
    assert found.value == pytest.approx((distances.argmin(axis=1)[closest] < 50).mean(), rel=1e-12)


def test_the_whole_set_is_a_tail_of_one():
    case = gaussian_case("perfect", 0, sizes=(60, 50, 30))
    found = label_test(**case, tail=1.0)
    assert (found.value, found.extra["p_value"]) == (found.extra["share_all"], found.extra["p_all"])


def test_interval_leaves_out_the_null_exactly_where_z_is_large():
    for seed in range(30):
        found = label_test(**gaussian_case("perfect", seed, sizes=(80, 60, 60), d=3), tail=0.5)
        assert (found.low <= found.null <= found.high) == (abs(found.extra["z"]) <= 1.959964)


@pytest.mark.parametrize("copied", [0.0, 0.3])
def test_interval_covers_the_share(copied):
    """The truth is copied + (1 - copied) m / N for exact copies. Outside [.89, 1] of 150 with a chance below .003."""
    covered = []
    for seed in range(150):
        rng = np.random.default_rng([seed, 5])
        train, test, generated = (rng.standard_normal((100, 3)) for _ in range(3))
        copies = rng.random(100) < copied
        generated[copies] = train[rng.integers(100, size=copies.sum())]
        found = label_test(generated=generated, train=train, test=test, tail=1.0)
        covered.append(found.low <= copied + (1 - copied) / 2 <= found.high)
    assert share_of(covered) >= 0.89


def test_swapping_the_real_sets_mirrors_the_share():
    generated, train, test = normal(60, seed=1), normal(50, seed=2), normal(30, seed=3)
    one = label_test(generated=generated, train=train, test=test)
    other = label_test(generated=generated, train=test, test=train)
    assert one.value == pytest.approx(1 - other.value)
    assert one.extra["z_all"] == pytest.approx(-other.extra["z_all"])


@pytest.mark.parametrize("change", ["shift", "rotate", "scale", "order"])
def test_rigid_motions_scale_and_order_change_nothing(change):
    rotation, _ = np.linalg.qr(normal(4))
    moves = {
        "shift": lambda x: x + 7.25,
        "rotate": lambda x: x @ rotation,
        "scale": lambda x: 1e-3 * x,
        "order": lambda x: x[::-1].copy(),
    }
    sets = {"generated": normal(80, seed=1), "train": normal(50, seed=2), "test": normal(40, seed=3)}
    moved = label_test(**{name: moves[change](values) for name, values in sets.items()})
    assert (moved.value, moved.extra) == (label_test(**sets).value, label_test(**sets).extra)


def test_ties_are_shared_out_blindly():
    """On a coarse grid most nearest rows are tied. Rows of both sets tell nothing; of 60 tests at most 8 may alarm."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 6])
        generated, train, test = (rng.integers(0, 9, (n, 3)) for n in (150, 100, 100))
        found.append(label_test(generated=generated, train=train, test=test).extra["p_all"] <= 0.05)
    assert share_of(found) <= 8 / 60


def test_constant_columns_and_a_single_sample_are_fine():
    sets = {"generated": normal(1, seed=1), "train": normal(5, seed=2), "test": normal(5, seed=3)}
    padded = {name: np.hstack([values, np.ones((len(values), 2))]) for name, values in sets.items()}
    assert label_test(**padded) == label_test(**sets)
    assert label_test(**sets).extra["p_value"] in (pytest.approx(0.5), 1.0)


def test_a_set_played_against_itself_is_found_where_it_is():
    train, test = Features(normal(50, seed=2)), Features(normal(50, seed=3))
    assert label_test(generated=train, train=train, test=test).value == 1.0
    assert label_test(generated=test, train=train, test=test).value == 0.0


def test_leaked_rows_neither_accuse_nor_excuse():
    """Half of the held-out rows are training rows: copies of those tell nothing, copies of the others still do."""
    train, test = normal(100, seed=1), normal(100, seed=2)
    test[:50] = train[:50]
    found = label_test(generated=train, train=train, test=test)
    assert (found.value, found.null, found.extra["in_both"]) == (1.0, 0.5, 50.0)
    with pytest.raises(SampleError, match="in both sets"):
        label_test(generated=train[:50], train=train, test=test)


@pytest.mark.parametrize("tail", [0.0, 1.5])
def test_a_tail_out_of_range_is_refused(tail):
    with pytest.raises(SampleError, match="tail in"):
        label_test(generated=normal(5), train=normal(5, seed=1), test=normal(5, seed=2), tail=tail)


def controls(real, generated_noise, rng):
    """Replay, noisy replay and fresh data, of three equal parts of real rows."""
    part = len(real) // 3
    train, test, fresh = (real[start * part : (start + 1) * part] for start in range(3))
    noisy = train + generated_noise * rng.standard_normal(train.shape)
    return {
        name: label_test(generated=generated, train=train, test=test)
        for name, generated in (("replay", train), ("noisy replay", noisy), ("fresh", fresh))
    }


def check(found):
    """Fresh data alarm at .001 with that chance."""
    assert found["replay"].value == 1.0
    assert found["replay"].extra["p_value"] < 1e-9
    assert found["noisy replay"].extra["p_value"] < 1e-9
    assert found["fresh"].extra["p_value"] > 0.001
    assert found["fresh"].extra["p_all"] > 0.001


def test_replay_is_flagged_and_fresh_data_are_cleared_on_a_mixture():
    rng = np.random.default_rng(1)
    check(controls(mixture(900, rng), 0.1, rng))


def test_replay_is_flagged_and_fresh_data_are_cleared_on_pixels():
    images, _ = load_images()
    rng = np.random.default_rng(2)
    check(controls(rng.permutation(images.reshape(len(images), -1) / 255), 0.05, rng))


def test_replay_is_flagged_and_fresh_data_are_cleared_on_features(digit_features):
    rng = np.random.default_rng(3)
    check(controls(rng.permutation(digit_features), 0.2, rng))


@pytest.fixture(scope="module")
def digit_features():
    import torch

    from genbench.extractors.digits_cnn import DigitsCNN

    images, _ = load_images()
    extractor = DigitsCNN(event_shape=(1, 8, 8), device=torch.device("cpu"))
    return extractor.extract(torch.from_numpy(images))["pool"].double().numpy()
