import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.distances import pairwise_distances
from genbench.metrics.features import Features
from genbench.metrics.membership import MAX_DRAWS, neighbourhood_scores
from genbench.metrics.nearest import neighbours_within
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.metrics.neighbours import (
    BALL_K,
    MANIFOLD_K,
    coverage,
    density,
    expected_coverage,
    precision,
    precision_symmetric,
    recall,
    recall_symmetric,
)
from genbench.stats.jackknife import values_alone

SCORES = {
    "precision": precision,
    "recall": recall,
    "density": density,
    "coverage": coverage,
    "precision_symmetric": precision_symmetric,
    "recall_symmetric": recall_symmetric,
}


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def brute_force(generated, reference, manifold_k, ball_k):
    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))

    def radii(x, k):
        return np.sort(distances(x, x), axis=1)[:, k]

    across, balls = distances(reference, generated), radii(reference, ball_k)[:, None]
    in_reference = across <= radii(reference, manifold_k)[:, None]
    in_generated = across <= radii(generated, manifold_k)[None]
    return {
        "precision": in_reference.any(axis=0).mean(),
        "recall": in_generated.any(axis=1).mean(),
        "precision_symmetric": min(in_reference.any(axis=0).mean(), in_generated.any(axis=0).mean()),
        "recall_symmetric": min(in_generated.any(axis=1).mean(), in_reference.any(axis=1).mean()),
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
    assert scores.pop("density") == pytest.approx(6 / 5)
    assert set(scores.values()) == {1.0}


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


def test_the_six_scores_share_one_computation(monkeypatch):
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


HARD = {
    "copies": lambda x, y: (y[:80].copy(), y),
    "repeats": lambda x, y: (np.repeat(x[:20], 4, axis=0), np.repeat(y[:30], 3, axis=0)),
    "offset": lambda x, y: (x + 1e3, y + 1e3),
    "integers on an offset": lambda x, y: (np.round(x) + 1e3, np.round(y) + 1e3),
    "narrow": lambda x, y: (0.1 * x, y),
    "outlier": lambda x, y: (x, np.vstack([y, np.full((1, y.shape[1]), 1e7)])),
}


@pytest.mark.parametrize(("d", "single"), [(5, 2**31), (8, 2**31), (8, 0), (300, 0)])
@pytest.mark.parametrize("kind", HARD)
def test_every_half_is_scored_as_the_exact_distances_say(kind, d, single, monkeypatch):
    """Duplicates, ties and large offsets, in which the product form of a distance would decide wrongly.

    In 5 dimensions trees find the pairs, in more the products of all, in double or in single precision.
    """
    from genbench.randomness import derive_seed
    from genbench.stats.half_sampling import halves

    monkeypatch.setattr("genbench.metrics.membership.PAIRS", 1000)
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", single)
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 100 * 30)
    generated, reference = HARD[kind](normal(90, d, 1), normal(100, d, 2))
    scores = neighbourhood_scores(Features(generated), Features(reference), ks=(3, 5), seed=4, draws=8)
    ours = halves(len(generated), seed=derive_seed(4, "generated halves"), draws=8)
    theirs = halves(len(reference), seed=derive_seed(4, "reference halves"), draws=8)
    for draw in range(8):
        x, y = torch.from_numpy(generated[ours[draw]]), torch.from_numpy(reference[theirs[draw]])
        own = [pairwise_distances(z, z).fill_diagonal_(torch.inf).sort(dim=1).values for z in (x, y)]
        across = pairwise_distances(y, x)
        ball = own[1][:, 4:5]
        held = across <= ball
        covered = (across < ball) | ((across == 0) & (ball == 0))
        inside, around = across <= own[1][:, 2:3], across <= own[0][None, :, 2]
        shares = {
            "precision": inside.any(0),
            "recall": around.any(1),
            "coverage": covered.any(1),
        }
        expected = {name: share.double().mean().item() for name, share in shares.items()}
        expected["density"] = held.sum().item() / (5 * len(x))
        expected["precision_symmetric"] = min(expected["precision"], around.any(0).double().mean().item())
        expected["recall_symmetric"] = min(expected["recall"], inside.any(1).double().mean().item())
        assert {name: values[1 + draw] for name, values in scores.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", SCORES)
def test_a_value_that_is_read_alone_is_the_same(name):
    generated, reference = normal(200, 8, 1), normal(210, 8, 2)
    whole = SCORES[name](generated=generated, reference=reference, rng=0)
    with values_alone():
        alone = SCORES[name](generated=generated, reference=reference, rng=0)
    assert alone.value == whole.value
    assert alone.std_error is None
    assert whole.std_error is not None


@pytest.mark.parametrize("alone", [False, True])
def test_rows_in_single_precision_score_as_in_double_and_are_not_copied(alone, monkeypatch):
    """The scores are those of the same numbers; no table in float64, twice as large, is made of many rows."""
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    tables = [normal(150, 30, seed).astype(np.float32) for seed in (1, 2)]
    single, double = [Features(table) for table in tables], [Features(table.astype(np.float64)) for table in tables]
    draws = 0 if alone else 10
    found = neighbourhood_scores(*single, ks=(3, 5), seed=4, draws=draws)
    expected = neighbourhood_scores(*double, ks=(3, 5), seed=4, draws=draws)
    assert all((found[name] == expected[name]).all() for name in SCORES)
    assert all(features.given.dtype == torch.float32 for features in single)


@pytest.mark.parametrize("kind", HARD)
def test_what_is_listed_is_measured_once_at_most_and_only_near_a_radius(kind, monkeypatch):
    """An outlier makes single precision useless: all is measured then, and where sets are apart hardly anything."""
    monkeypatch.setattr("genbench.metrics.sweep.SINGLE", 0)
    measured = []
    original = NeighbourLists._measure
    monkeypatch.setattr(
        NeighbourLists, "_measure", lambda lists, rows, wanted: measured.append(wanted) or original(lists, rows, wanted)
    )
    generated, reference = HARD[kind](normal(90, 24, 1), normal(100, 24, 2))
    neighbourhood_scores(Features(generated), Features(reference), ks=(3, 5), seed=4, draws=8)
    share = sum(int(wanted.sum()) for wanted in measured) / (40 * (len(generated) + len(reference)))
    assert share < 0.05 if kind == "narrow" else share <= 1


@pytest.mark.parametrize("d", [4, 16])
def test_neighbourhoods_may_hold_more_samples_than_are_listed(d, monkeypatch):
    """All generated samples lie within most reference samples' neighbourhoods; in 4 dimensions trees list them."""
    generated, reference = Features(1e-3 * normal(300, d, 1)), Features(normal(300, d, 2))
    monkeypatch.setattr("genbench.metrics.membership.PAIRS", 1000)
    found = neighbourhood_scores(generated, reference, ks=(MANIFOLD_K, BALL_K), seed=0, draws=0)
    radius, _ = neighbours_within(reference, BALL_K).kth(BALL_K)
    inside = pairwise_distances(reference.values, generated.values) <= radius[:, None]
    assert int((inside.sum(dim=1) > 40).sum()) > 0
    assert found["density"][0] == pytest.approx(float(inside.sum()) / (5 * generated.n), rel=1e-12)


def test_symmetric_scores_fall_on_both_sides_of_the_shell():
    """In d = 256, n = 1,000, N(0, I) fills a shell of radius 16: precision and recall each see one side only.

    Measured at radius x .9: precision .99, recall .04, symmetric .05 and .04; at x 1.1: .04, .99, .04 and .06; at 1:
    .54 for all. Deviations over fresh samples are .02 at most.
    """
    found = {}
    for scale in (0.9, 1.0, 1.1):
        inputs = {"generated": Features(scale * normal(1000, 256, 1)), "reference": Features(normal(1000, 256, 2))}
        found[scale] = {name: score(**inputs, rng=0).value for name, score in SCORES.items()}
    assert found[0.9]["precision"] > 0.95 > 0.15 > found[0.9]["recall"]
    assert found[1.1]["recall"] > 0.95 > 0.15 > found[1.1]["precision"]
    for name in ("precision_symmetric", "recall_symmetric"):
        assert found[1.0][name] > 0.45
        assert max(found[0.9][name], found[1.1][name]) < 0.15


def test_symmetric_scores_swap_with_the_sets():
    inputs = {"generated": 0.8 * normal(150, 6, 1), "reference": normal(170, 6, 2)}
    swapped = {"generated": inputs["reference"], "reference": inputs["generated"]}
    assert precision_symmetric(**inputs, rng=0).value == recall_symmetric(**swapped, rng=0).value
    assert recall_symmetric(**inputs, rng=0).value == precision_symmetric(**swapped, rng=0).value


def test_ratio_is_given_where_the_null_is_known():
    inputs = {"generated": normal(100, 3, 1), "reference": normal(100, 3, 2), "rng": 0}
    for score in (density, coverage):
        estimate = score(**inputs)
        assert estimate.extra["ratio"] == estimate.value / estimate.null
    assert "ratio" not in precision(**inputs).extra


def test_scores_do_not_move_with_rotation_scale_or_translation():
    turn, _ = np.linalg.qr(normal(4, 4, 9))
    generated, reference = 0.8 * normal(120, 4, 1), normal(130, 4, 2)
    plain = {n: score(generated=generated, reference=reference, rng=0).value for n, score in SCORES.items()}
    moved = {
        n: s(generated=3 * generated @ turn + 7, reference=3 * reference @ turn + 7, rng=0).value
        for n, s in SCORES.items()
    }
    assert moved == plain


def test_as_many_halves_as_a_word_has_bits_are_told_apart():
    generated, reference = Features(normal(60, 3, 1)), Features(normal(60, 3, 2))
    many = neighbourhood_scores(generated, reference, ks=(3, 5), seed=0, draws=MAX_DRAWS)
    few = neighbourhood_scores(generated, reference, ks=(3, 5), seed=0, draws=10)
    for name in SCORES:
        assert len(many[name]) == 1 + MAX_DRAWS
        assert (many[name][:11] == few[name]).all()
