import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.neighbours import (
    coverage,
    density,
    expected_coverage,
    neighbourhood_scores,
    precision,
    recall,
)

SCORES = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def brute_force(generated, reference, manifold_k, ball_k):
    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))

    def radii(x, k):
        return np.sort(distances(x, x), axis=1)[:, k]

    across, balls = distances(reference, generated), radii(reference, ball_k)[:, None]
    return {
        "precision": (across <= radii(reference, manifold_k)[:, None]).any(axis=0).mean(),
        "recall": (across <= radii(generated, manifold_k)[None]).any(axis=1).mean(),
        "density": (across <= balls).sum() / (ball_k * len(generated)),
        "coverage": ((across < balls) | ((across == 0) & (balls == 0))).any(axis=1).mean(),
    }


@pytest.mark.parametrize(("n", "m", "d"), [(200, 200, 2), (150, 220, 16)])
def test_agrees_with_brute_force(n, m, d):
    generated, reference = 0.8 * normal(n, d, 1), normal(m, d, 2)
    expected = brute_force(generated, reference, 3, 5)
    for name, score in SCORES.items():
        assert score(generated=generated, reference=reference, rng=0).value == pytest.approx(expected[name], rel=1e-12)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_agrees_with_torch_fidelity(k):
    from torch_fidelity.metric_prc import prc_features_to_metric

    generated, reference = 0.8 * normal(200, 8, 1), normal(300, 8, 2)
    theirs = prc_features_to_metric(
        torch.from_numpy(generated),
        torch.from_numpy(reference),
        prc_neighborhood=k,
        prc_batch_size=100,
        save_cpu_ram=False,
        verbose=False,
    )
    assert precision(generated=generated, reference=reference, rng=0, k=k).value == pytest.approx(
        theirs["precision"], abs=1e-6
    )
    assert recall(generated=generated, reference=reference, rng=0, k=k).value == pytest.approx(
        theirs["recall"], abs=1e-6
    )


def test_halves_are_scored_as_if_they_were_all_there_is():
    from genbench.randomness import derive_seed
    from genbench.stats.half_sampling import halves

    generated, reference = 0.8 * normal(101, 3, 1), normal(120, 3, 2)
    scores = neighbourhood_scores(Features(generated), Features(reference), ks=(3, 5), seed=4, draws=3)
    ours = halves(101, seed=derive_seed(4, "generated halves"), draws=3)
    theirs = halves(120, seed=derive_seed(4, "reference halves"), draws=3)
    for draw in range(3):
        expected = brute_force(generated[ours[draw]], reference[theirs[draw]], 3, 5)
        assert {name: values[1 + draw] for name, values in scores.items()} == pytest.approx(expected, rel=1e-12)


def test_blocks_change_nothing(monkeypatch):
    generated, reference = Features(normal(90, 3, 1)), Features(normal(110, 3, 2))
    whole = neighbourhood_scores(generated, reference, ks=(3, 5), seed=0)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 90 * 7)
    fresh = Features(generated.values), Features(reference.values)
    blocked = neighbourhood_scores(*fresh, ks=(3, 5), seed=0)
    assert all((whole[name] == blocked[name]).all() for name in SCORES)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (100, 300)])
def test_perfect_generator_covers_what_the_exact_formula_says(n, m):
    """60 pairs: mean within 4 standard errors (6e-5 false failures) of the exact expectation; density of 1."""
    found = [
        neighbourhood_scores(
            Features(normal(n, 4, 2 * i)), Features(normal(m, 4, 2 * i + 1)), ks=(3, 5), seed=0, draws=0
        )
        for i in range(60)
    ]
    for name, expected in (("coverage", expected_coverage(n, m, 5)), ("density", 1.0)):
        values = np.array([scores[name][0] for scores in found])
        assert abs(values.mean() - expected) < 4 * values.std(ddof=1) / 60**0.5
        assert values.std(ddof=1) < 0.1


def test_expected_coverage_at_the_published_size():
    assert expected_coverage(1000, 1000, 5) == pytest.approx(0.9690, abs=1e-4)
    estimate = coverage(generated=normal(100, 2, 1), reference=normal(200, 2, 2), rng=0)
    assert estimate.null == expected_coverage(100, 200, 5)


def test_standard_error_is_that_over_fresh_samples():
    """n = 300, d = 8, shifted by 0.5: 1.08 to 1.20 times the deviation over 150 pairs; another simulation, up to 1.30.

    The deviation of 40 fresh scores is known to 11%, the mean of their errors much better: 0.75 and 1.95 are more than
    3 of those from 1.08 and 1.30 (below 1e-3 false failures a score).
    """
    found = {name: [] for name in SCORES}
    for i in range(40):
        generated, reference = Features(normal(300, 8, 2 * i) + 0.5 / 8**0.5), Features(normal(300, 8, 2 * i + 1))
        for name, score in SCORES.items():
            found[name].append(score(generated=generated, reference=reference, rng=i))
    for estimates in found.values():
        truth = np.std([estimate.value for estimate in estimates], ddof=1)
        assert 0.75 < np.mean([estimate.std_error for estimate in estimates]) / truth < 1.95


def test_collapse_has_high_precision_and_low_recall():
    """All generated samples near the reference's densest place."""
    generated, reference = 0.05 * normal(300, 4, 1), normal(300, 4, 2)
    scores = {n: score(generated=generated, reference=reference, rng=0).value for n, score in SCORES.items()}
    assert scores["precision"] > 0.95
    assert scores["recall"] < 0.05
    assert scores["coverage"] < 0.2
    assert scores["density"] > 1


def test_copies_of_the_reference_score_as_the_reference_itself():
    x = normal(100, 3)
    scores = {n: score(generated=x.copy(), reference=x, rng=0).value for n, score in SCORES.items()}
    assert scores == pytest.approx({"precision": 1.0, "recall": 1.0, "density": 6 / 5, "coverage": 1.0})


def test_equal_constant_sets_agree_fully_and_unequal_ones_not_at_all():
    same, other = np.ones((20, 2)), np.zeros((20, 2))
    for score in (precision, recall, coverage):
        assert score(generated=same, reference=same, rng=0).value == 1.0
        assert score(generated=other, reference=same, rng=0).value == 0.0


def test_ties_and_duplicates_agree_with_brute_force():
    """On a lattice many distances are equal: precision, recall and density count the edge, coverage does not."""
    rng = np.random.default_rng(0)
    generated, reference = rng.integers(0, 6, (40, 2)) * 2.0, rng.integers(0, 10, (60, 2)) * 1.0
    expected = brute_force(generated, reference, 3, 5)
    for name, score in SCORES.items():
        assert score(generated=generated, reference=reference, rng=0).value == pytest.approx(expected[name], rel=1e-12)


def test_the_four_scores_share_one_computation(monkeypatch):
    calls = []
    original = neighbourhood_scores

    def counted(*args, **options):
        calls.append(options)
        return original(*args, **options)

    monkeypatch.setattr("genbench.metrics.neighbours.neighbourhood_scores", counted)
    generated, reference = Features(normal(50, 2, 1)), Features(normal(50, 2, 2))
    shared = {n: score(generated=generated, reference=reference, rng=0) for n, score in SCORES.items()}
    assert len(calls) == 1
    fresh = {n: s(generated=generated.values, reference=reference.values, rng=0) for n, s in SCORES.items()}
    assert shared == fresh


def test_seed_moves_the_error_and_not_the_value():
    inputs = {"generated": normal(80, 2, 1), "reference": normal(80, 2, 2)}
    first, again, other = (precision(**inputs, rng=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.value == other.value
    assert first.std_error != other.std_error


def test_shares_have_intervals_within_their_range():
    estimate = coverage(generated=normal(100, 2, 1), reference=normal(100, 2, 2), rng=0)
    assert 0 <= estimate.low < estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("n", "m"), [(3, 50), (50, 3), (1, 1)])
def test_sets_without_a_kth_neighbour_are_refused(name, n, m):
    with pytest.raises(SampleError, match=rf"{name}: .* more than k samples"):
        SCORES[name](generated=normal(n, 2), reference=normal(m, 2), rng=0)


def test_small_sets_get_a_value_without_interval():
    estimate = density(generated=normal(11, 2, 1), reference=normal(11, 2, 2), rng=0)
    assert estimate.std_error is None
    assert "half-sampling" in estimate.notes[-1]
    assert precision(generated=normal(11, 2, 1), reference=normal(11, 2, 2), rng=0).std_error is not None


def test_unlike_widths_are_refused():
    with pytest.raises(SampleError, match=r"recall: .* equal width"):
        recall(generated=normal(20, 2), reference=normal(20, 3), rng=0)


def test_a_share_of_zero_has_an_interval_that_allows_more_than_zero():
    """Of 200 points far from all 200 others none counts; the Wilson bound for 0 of 200 is z^2/(200 + z^2) = .0188."""
    far = torch.arange(400, dtype=torch.float64).reshape(200, 2)
    near = far / 1e6 - 1000.0
    for metric in (precision, recall, coverage):
        estimate = metric(generated=far, reference=near, rng=0)
        assert estimate.value == 0.0
        assert estimate.low == 0.0
        assert estimate.high == pytest.approx(0.0188454, abs=1e-6)
