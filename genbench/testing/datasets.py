"""What every dataset keeps: two disjoint splits that are the same on every machine and in every process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from genbench.data import load_dataset
from genbench.data.splits import row_digests
from genbench.definitions import SPLITS, Dataset
from genbench.errors import GenbenchError


class DatasetContract:
    """The contract of a dataset; subclass it in a test file.

    Attributes
    ----------
    part : str
        A registered name, or ``package.module:function``.
    options : mapping
        Of the function, where it cannot do without.
    """

    part: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def name(self, request: pytest.FixtureRequest) -> str:
        """By which the dataset is asked for."""
        return getattr(request, "param", None) or self.part

    @pytest.fixture
    def dataset(self, name: str) -> Dataset:
        """The dataset, loaded once."""
        return self.loaded(name)

    @classmethod
    @cache
    def loaded(cls, name: str) -> Dataset:
        """Load the dataset that is asked for by a name, the first time."""
        return load_dataset(name, **cls.options)

    def test_the_splits_are_images_or_vectors(self, dataset: Dataset) -> None:
        """Uint8 (n, C, H, W) with 1 or 3 channels, or float32 (n, d); finite; both splits of one shape."""
        for split in SPLITS:
            array = dataset.split(split)
            who = f"{split}, {array.dtype} of shape {array.shape}"
            if array.ndim == 4:
                assert array.dtype == np.uint8, f"{who}: images must be uint8 in [0, 255]."
                assert array.shape[1] in (1, 3), f"{who}: images (n, C, H, W) with 1 or 3 channels expected."
            else:
                assert array.ndim == 2, f"{who}: vectors (n, d) or images (n, C, H, W) expected."
                assert array.dtype == np.float32, f"{who}: vectors must be float32."
                assert np.isfinite(array).all(), f"{who}: holds values that are not finite."
            assert array.size, f"{who}: is empty."
            assert (array != array[0]).any(), f"{who}: every sample is the same."
        assert dataset.train.shape[1:] == dataset.test.shape[1:], "the splits hold events of unlike shapes."

    def test_loaded_again_it_is_the_same(self, name: str, dataset: Dataset) -> None:
        """Neither time nor a global generator, which has moved on since, decides what the data are."""
        again = load_dataset(name, **self.options)
        assert again.fingerprint == dataset.fingerprint, (
            "loaded twice, the data differ; derive every choice from a seed by genbench.randomness.derive_seed."
        )

    def test_no_sample_is_in_both_splits(self, dataset: Dataset) -> None:
        """What a model was trained on cannot show whether it generalizes."""
        both = np.intersect1d(row_digests(dataset.train), row_digests(dataset.test))
        assert not len(both), f"{len(both)} samples are in both splits; keep copies on one side (see hold_out)."

    def test_labels_number_the_classes(self, dataset: Dataset) -> None:
        """Int64 (n,), from 0, of both splits or of neither; a class may be missing, as unseen ones are in train."""
        train, test = dataset.train_labels, dataset.test_labels
        assert (train is None) == (test is None), "labels of both splits expected, or of neither."
        if train is None or test is None:
            return
        for split, labels in zip(SPLITS, (train, test), strict=True):
            assert labels.dtype == np.int64, f"{split} labels: int64 expected, got {labels.dtype}."
            expected = (len(dataset.split(split)),)
            assert labels.shape == expected, f"{split} labels: shape {expected} expected, got {labels.shape}."
            assert labels.min() >= 0, f"{split} labels: classes are numbered from 0, got {labels.min()}."

    def test_a_known_density_is_that_of_the_data(self, dataset: Dataset) -> None:
        """Log densities are (n,) and finite on data, and held-out data are as likely as training data.

        Both means are of independent samples of one density, if it is the one of the data: they differ by more than
        six standard errors once in 5e8.
        """
        if dataset.log_prob is None:
            return
        logs = [self._log_prob(dataset, dataset.split(split)) for split in SPLITS]
        means = [float(values.mean()) for values in logs]
        error = float(np.sqrt(sum(values.var(ddof=1) / len(values) for values in logs)))
        assert abs(means[0] - means[1]) <= 6 * error + 1e-9, (
            f"mean log density {means[0]:g} on train, {means[1]:g} on test, {6 * error:g} apart at most expected; are "
            "both splits drawn from the density?"
        )

    def test_a_misspelt_option_is_refused(self, name: str) -> None:
        """Options that pass in silence are options that were never set."""
        try:
            load_dataset(name, **{**self.options, "no_such_option": 1})
        except GenbenchError:
            return
        pytest.fail("no_such_option=1 was taken without a word; name the options as keywords, and take no **options.")

    def _log_prob(self, dataset: Dataset, rows: NDArray[Any]) -> NDArray[np.float64]:
        assert dataset.log_prob is not None
        found = dataset.log_prob(rows)
        assert found.shape == (len(rows),), f"log_prob: shape {(len(rows),)} expected, got {found.shape}."
        assert np.isfinite(found).all(), "log_prob: data of the set have density 0, or more than a number can hold."
        return found
