"""The scores that papers report, from genbench's own metrics on one pass, against torch-fidelity's on the same images.

Features are float32, and genbench's network and torch-fidelity's add in different orders: rows differ by 5e-7 of their
length. The kernel cubes a product of two rows, 6 x 5e-7; the Inception Score takes exponentials of logits of up to 20,
20 x 5e-7; torch-fidelity sums kernels in float32 and roots eigenvalues that should be zero, which costs 1e-7 of sums.
The sets are far apart, so that scores keep 1e-5 of all this.
"""

import pytest
import torch
from torch.utils.data import Dataset

from genbench.extractors.fidelity import INCEPTION_V3
from genbench.metrics.features import Features
from genbench.registry import METRICS
from tests.extractors.networks import CPU, pictures

N = 12
SUBSETS = {"subsets": 3, "subset_size": 8}
SPLITS = 2
SEED = 2020


class Images(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture(scope="module")
def sets():
    """A sixth of the reference is as the generated images are, light, and the rest is nearly middle grey."""
    generated = pictures(N, seed=1, contrast=0.5, grey=200)
    like = pictures(N // 6, seed=2, contrast=0.5, grey=200)
    reference = torch.cat([like, pictures(N - N // 6, seed=3, contrast=0.1)])
    return generated, reference


@pytest.fixture(scope="module")
def ours(sets, inception_file):
    """Features of both sets, and how many images went through the network."""
    extractor = INCEPTION_V3(event_shape=(3, 32, 32), device=CPU, **inception_file.declared)
    images = []
    hook = extractor.network.register_forward_pre_hook(lambda _, inputs: images.append(len(inputs[0])))
    tables = [{name: Features(layer) for name, layer in extractor.extract(part).items()} for part in sets]
    hook.remove()
    return tables, sum(images)


@pytest.fixture(scope="module")
def theirs(sets, inception_file):
    import torch_fidelity

    return torch_fidelity.calculate_metrics(
        input1=Images(sets[0]),
        input2=Images(sets[1]),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",  # else precision and recall would take VGG16 and a second pass
        feature_extractor_weights_path=str(inception_file.path),
        batch_size=1,
        isc_splits=SPLITS,
        kid_subsets=SUBSETS["subsets"],
        kid_subset_size=SUBSETS["subset_size"],
        rng_seed=SEED,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )


def test_one_pass_over_each_set_serves_every_score(ours):
    assert ours[1] == 2 * N


@pytest.mark.parametrize(
    ("metric", "theirs_key", "layer", "options"),
    [
        ("fd", "frechet_inception_distance", "pool", {}),
        ("kd_subsets", "kernel_inception_distance_mean", "pool", {"rng": SEED, **SUBSETS}),
        ("is_splits", "inception_score_mean", "logits", {"rng": SEED, "splits": SPLITS}),
        ("precision", "precision", "pool", {"rng": 0}),
        ("recall", "recall", "pool", {"rng": 0}),
    ],
)
def test_score_is_torch_fidelitys(ours, theirs, metric, theirs_key, layer, options):
    generated, reference = (table[layer] for table in ours[0])
    given = {"generated": generated} if metric.startswith("is") else {"generated": generated, "reference": reference}
    found = METRICS.load(metric).compute(**given, **options).value
    assert found == pytest.approx(theirs[theirs_key], rel=1e-5)


def test_scores_are_no_trivial_ones(theirs):
    assert theirs["frechet_inception_distance"] > 1
    assert theirs["kernel_inception_distance_mean"] > 0.1
    assert theirs["inception_score_mean"] > 1.01, theirs
    assert 0 < theirs["recall"] < 1


def test_inception_score_without_splits_is_torch_fidelitys_with_one_split(ours):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = ours[0][0]["logits"]
    found = METRICS.load("is").compute(generated=logits).value
    expected = isc_features_to_metric(logits.values, splits=1)["inception_score_mean"]
    assert found == pytest.approx(expected, rel=1e-9)
