"""The spaces that a benchmark measures in: its extractors, and samples and real data seen through them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.cache import FeatureCache, feature_key
from genbench.definitions import Dataset, Split
from genbench.devices import metric_device
from genbench.distributed.resume import Blocks
from genbench.errors import SampleError, SetupError
from genbench.extractors.blocks import send
from genbench.extractors.modules import as_extractor
from genbench.metrics.features import Features
from genbench.metrics.moments import MomentSums
from genbench.protocols import FeatureExtractor
from genbench.randomness import derive_seed
from genbench.registry import EXTRACTORS
from genbench.timing import measure

if TYPE_CHECKING:
    from genbench.distributed.rows import Share
    from genbench.distributed.team import Team

BLOCK = 1024
"""Real samples that are seen at a time."""

_ALL = slice(None)

Space = tuple[str, str]
"""An extractor's name and a layer of it."""

Seen = Features | MomentSums

Source = Split | Literal["spare"]
"""Where real samples are from: a split, or what a smaller training split leaves out."""


class Keep(NamedTuple):
    """What is kept of a layer: the features of the first n samples, or their sums by jackknife group alone."""

    n: int
    groups: int | None = None


class Spaces:
    """Extractors for one kind of events, each run once over anything.

    Parameters
    ----------
    layers : mapping of str to sequence of str
        The extractors' names, and the layers that are wanted of each.
    dataset : Dataset
        Whose events they read.
    device : torch.device
        Where they compute.
    cache : FeatureCache
        Where the real data's features are kept between processes.
    options : mapping of str to mapping
        Of the extractors, by name.
    batch_size : int or None
        Samples that an extractor is given at a time, or is told to compute at a time if it has an option of that name;
        None leaves it to the blocks in which they come, and to the extractor.
    fitted_on : (m, *event) array or None
        What extractors that are fitted are fitted on; None is the training split.
    most : int or None
        The most real samples that anybody will ask for of a split; None is all.

    Attributes
    ----------
    team : Team or None
        Other processes, where they take part.
    """

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        dataset: Dataset,
        *,
        device: torch.device,
        cache: FeatureCache,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        batch_size: int | None = None,
        fitted_on: NDArray[Any] | None = None,
        most: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.most = most
        self._fitted_on = dataset.train if fitted_on is None else fitted_on
        self.device = device
        self.cache = cache
        self.blocks = Blocks(cache)
        self.team: Team | None = None
        self.batch_size = batch_size
        options = options or {}
        self._whole: set[str] = set()
        self.extractors = {name: self._load(name, wanted, options.get(name, {})) for name, wanted in layers.items()}
        self._real: dict[tuple[Space, Source, Keep], Seen] = {}

    def _load(self, name: str, layers: Sequence[str], options: Mapping[str, Any]) -> FeatureExtractor:
        found = EXTRACTORS.load(name)
        parameters = inspect.signature(found).parameters if callable(found) else {}
        if {"event_shape", "layers"} <= set(parameters):
            options = {"layers": list(layers), **options}  # what is not asked for need not be computed
        if self.batch_size is not None and {"event_shape", "batch_size"} <= set(parameters):
            options = {"batch_size": self.batch_size, **options}
            self._whole.add(name)  # it takes apart what it is given, and fills up what is less than it computes at once
        return as_extractor(
            found,
            name=name,
            event_shape=self.dataset.event_shape,
            device=self.device,
            options=options,
            reference=torch.from_numpy(self._fitted_on),
        )

    def see(
        self, blocks: Iterable[Tensor], keep: Mapping[Space, Keep], share: Share | None = None
    ) -> dict[Space, Seen]:
        """Run every extractor once over samples that come in blocks, and keep what is wanted of each layer.

        Parameters
        ----------
        blocks : iterable of (k, *event) tensors
            Checked samples; used up, and not held.
        keep : mapping
        share : Share or None
            Of several processes: then the blocks are this one's, and what is kept is of the blocks of all in their
            order, on rank 0; elsewhere nothing.

        Returns
        -------
        dict
            Features, or sums where ``keep`` has groups.

        Raises
        ------
        SampleError
            If a feature is not finite, or there are fewer samples than are to be kept.
        """
        if share is not None:
            return self._see_shared(blocks, keep, share)
        place = metric_device(self.device)
        kept = {space: _Kept(wanted, self.width(space), place) for space, wanted in keep.items()}
        for samples in blocks:
            for name in dict.fromkeys(extractor for extractor, _ in keep):
                with measure(f"extraction {name}"):
                    for found in self._extract(name, samples):
                        for (extractor, layer), store in kept.items():
                            if extractor == name:
                                store.add(found[layer].detach().to(place))
        return {space: store.result() for space, store in kept.items()}

    def _extract(self, name: str, samples: Tensor) -> Iterator[Mapping[str, Tensor]]:
        """Give a block's features by layer, a batch at a time."""
        most = None if name in self._whole else self.batch_size
        for batch in torch.split(samples, most or len(samples)):
            yield self.extractors[name].extract(send(batch, self.device))

    def _see_shared(self, blocks: Iterable[Tensor], keep: Mapping[Space, Keep], share: Share) -> dict[Space, Seen]:
        place = metric_device(self.device)
        kept = {space: _Kept(wanted, self.width(space), place) for space, wanted in keep.items() if share.main}
        with closing(share.gather(self._rows(samples, keep) for samples in blocks)) as gathered:
            for rows in gathered:
                for space, store in kept.items():
                    store.add(rows[space].to(place))
        return {space: store.result() for space, store in kept.items()}

    def _rows(self, samples: Tensor, keep: Iterable[Space]) -> dict[Space, Tensor]:
        """Return a block's features in several spaces; a block that was extracted before a restart is not again."""
        rows: dict[Space, Tensor] = {}
        for name in dict.fromkeys(extractor for extractor, _ in keep):

            def compute(name: str = name) -> dict[str, Tensor]:
                batches = list(self._extract(name, samples))
                return {
                    layer: torch.cat([b[layer].detach() for b in batches]) for layer in self.extractors[name].layers
                }

            with measure(f"extraction {name}"):
                found = self.blocks.fetch(self.extractors[name], samples, compute)
            rows.update({space: found[space[1]] for space in keep if space[0] == name})
        return rows

    def see_split(self, split: Source, n: int, keep: Mapping[Space, Keep]) -> dict[Space, Seen]:
        """See the first n rows of a split, with the other processes where there are any."""
        if self.team is None or all(getattr(self.extractors[name], "cheap", False) for name, _ in keep):
            return self.see(self._real_blocks(split, n), keep)
        if not self.team.main:
            raise SetupError(f"features: those of {n} real samples ({split}) expected from rank 0, got none.")
        self.team.call("real", split=split, n=n, keep=[[*space, *wanted] for space, wanted in keep.items()])
        return self._see_part(self.team, split, n, keep)

    def _see_part(self, team: Team, split: Source, n: int, keep: Mapping[Space, Keep]) -> dict[Space, Seen]:
        share = team.share(n, BLOCK)
        return self.see(self._real_blocks(split, n, share.part), keep, share)

    def help_split(self, split: Source, n: int, keep: Iterable[tuple[str, str, int, int | None]]) -> None:
        """Do this process's part of what rank 0 began by `see_split`."""
        assert self.team is not None
        wanted = {(name, layer): Keep(rows, groups) for name, layer, rows, groups in keep}
        self._see_part(self.team, split, n, wanted)

    def width(self, space: Space) -> int:
        """Return how many columns a layer has."""
        extractor, layer = space
        return self.extractors[extractor].layers[layer]

    def real(self, space: Space, split: Source, keep: Keep) -> Seen:
        """See the first rows of a split of the real data, in a fixed random order, so that they are a fair subset."""
        key = (space, split, keep)
        if key not in self._real:
            self._real[key] = self._see_real(space, split, keep)
        return self._real[key]

    def known(self) -> dict[tuple[Space, Source, Keep], Features]:
        """Return the real features that were seen, but not the heads of longer tables."""
        tables = {key: seen for key, seen in self._real.items() if isinstance(seen, Features)}
        longest: dict[tuple[Space, Source], int] = {}
        for space, split, keep in tables:
            longest[space, split] = max(keep.n, longest.get((space, split), 0))
        return {key: seen for key, seen in tables.items() if key[2].n == longest[key[:2]]}

    def learn(self, space: Space, split: Source, keep: Sequence[Any], features: Features) -> None:
        """Take real features from another process that has seen them."""
        self._real[space, split, Keep(*keep)] = features

    def _see_real(self, space: Space, split: Source, keep: Keep) -> Seen:
        rows = len(self.dataset.split(split))
        rows = rows if self.most is None else min(rows, self.most)
        if keep.groups is not None:
            return self.see_split(split, keep.n, {space: keep})[space]
        if keep.n < rows:
            everything = self.real(space, split, Keep(rows))
            assert isinstance(everything, Features)
            return everything.head(keep.n)
        name, _ = space
        extractor = self.extractors[name]
        wanted = {(name, layer): keep for layer in extractor.layers}

        def compute() -> dict[str, np.ndarray[Any, Any]]:
            seen = self.see_split(split, keep.n, wanted)
            return {layer: _narrow(features) for (_, layer), features in seen.items()}

        if getattr(extractor, "cheap", False):
            found = compute()
        else:
            found = self.cache.fetch(feature_key(extractor, self._real_blocks(split, keep.n)), compute)
        place = metric_device(self.device)
        for layer, values in found.items():
            self._real[(name, layer), split, keep] = Features(torch.from_numpy(values).to(place))
        return self._real[space, split, keep]

    def real_rows(self, split: Source, n: int) -> np.ndarray[Any, Any]:
        """Return which rows of a split are seen as its first n, in their order."""
        array = self.dataset.split(split)
        return np.random.default_rng(derive_seed(0, "reference", split)).permutation(len(array))[:n]

    def _real_blocks(self, split: Source, n: int, part: slice = _ALL) -> Iterator[Tensor]:
        array, order = self.dataset.split(split), self.real_rows(split, n)
        for start in range(0, n, BLOCK)[part]:
            with measure("real data"):
                block = torch.from_numpy(np.ascontiguousarray(array[order[start : start + BLOCK]]))
            yield block


def _narrow(features: Seen) -> np.ndarray[Any, Any]:
    """Return features in float32 where that loses nothing, as networks give them."""
    assert isinstance(features, Features)
    values: np.ndarray[Any, Any] = features.values.cpu().numpy()
    narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values) else values


class _Kept:
    """What is kept of one layer while samples stream by."""

    def __init__(self, keep: Keep, width: int, place: torch.device) -> None:
        self._keep, self._taken = keep, 0
        self._sums = None if keep.groups is None else MomentSums(keep.n, width, keep.groups)
        # One table from the start: small ones that are kept between large ones that come and go tear memory apart.
        rows = 0 if keep.groups is not None else keep.n
        self._values = torch.empty((rows, width), dtype=torch.float64, device=place)

    def add(self, rows: Tensor) -> None:
        rows = rows[: self._keep.n - self._taken]
        if self._sums is not None:
            self._sums.add(rows)
        else:
            self._values[self._taken : self._taken + len(rows)] = rows
        self._taken += len(rows)

    def result(self) -> Seen:
        if self._taken < self._keep.n:
            raise SampleError(f"features: {self._keep.n} samples expected, got {self._taken}.")
        return Features(self._values) if self._sums is None else self._sums
