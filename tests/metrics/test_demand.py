import numpy as np
import pytest

from genbench.metrics.demand import announce_metric
from genbench.metrics.distances import SquaredDistances
from genbench.metrics.features import Features
from genbench.registry import METRICS

PAIRWISE = (
    "kd",
    "kd_subsets",
    "mmd_rbf",
    "rke",
    "precision",
    "recall",
    "precision_symmetric",
    "recall_symmetric",
    "density",
    "coverage",
    "knn_two_sample",
    "label_test",
)


def given(seed=0):
    rng = np.random.default_rng(seed)
    sets = {"generated": rng.standard_normal((200, 16)) + 0.1, "reference": rng.standard_normal((220, 16))}
    features = {name: Features(values) for name, values in sets.items()}
    features["train"], features["test"] = features["reference"], Features(rng.standard_normal((210, 16)))
    return {**features, "rng": 0}


def options_of(metric):
    """Smaller subsets than are published: at these sizes all pairs cost less than 50 of them."""
    return {"subsets": 50, "subset_size": 60} if metric.name == "kd_subsets" else {}


def needs(metric, inputs):
    return {name: inputs[name] for name in metric.needs}


def test_announced_metrics_share_one_pass_over_every_pair(monkeypatch):
    """Three sets of pairs: within generated, within the reference, between the two; and to the held-out set."""
    inputs = given()
    metrics = [METRICS.load(name) for name in PAIRWISE]
    for metric in metrics:
        announce_metric(metric, options_of(metric), needs(metric, inputs))
    products = []
    original = SquaredDistances.products

    def counted(self, rows, first=0):
        products.append((len(self.points), len(self.others)))
        return original(self, rows, first)

    monkeypatch.setattr(SquaredDistances, "products", counted)
    for metric in metrics:
        metric.compute(**needs(metric, inputs), **metric.options, **options_of(metric))
    assert sorted(products) == [(200, 200), (200, 210), (200, 220), (220, 220)]


@pytest.mark.parametrize("name", PAIRWISE)
def test_announcing_changes_no_score(name):
    """But for the order of sums: neighbours are exact, kernels are sums of 220^2 terms."""
    metric = METRICS.load(name)
    options = {**metric.options, **options_of(metric)}
    plain = metric.compute(**needs(metric, given()), **options)
    inputs = given()
    for other in PAIRWISE:
        shared = METRICS.load(other)
        announce_metric(shared, options_of(shared), needs(shared, inputs))
    announced = metric.compute(**needs(metric, inputs), **options)
    assert announced.value == pytest.approx(plain.value, rel=1e-12)
    assert announced.std_error == (None if plain.std_error is None else pytest.approx(plain.std_error, rel=1e-9))


def test_nothing_is_announced_of_what_cannot_be_scored():
    """The metric itself says what is wrong with its inputs."""
    wide, narrow, point = (Features(np.zeros(shape)) for shape in ((30, 9), (30, 8), (30, 9)))
    for name in PAIRWISE[:-1]:
        announce_metric(METRICS.load(name), {}, {"generated": wide, "reference": narrow, "rng": 0})
        announce_metric(METRICS.load(name), {}, {"generated": wide, "reference": point, "rng": 0})
        announce_metric(METRICS.load(name), {}, {"generated": wide, "reference": np.zeros((3, 9)), "rng": 0})
    announce_metric(METRICS.load("fd"), {}, {"generated": wide, "reference": point})
