"""The straight line: a sampler in, one pass over its samples, scores out.

``Sampler.sample -> check -> extract (once) -> Features -> Metric -> Estimate -> Score -> Run``
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.cache import FeatureCache
from genbench.data import load_dataset
from genbench.data.sizes import with_fewer
from genbench.definitions import SPLITS, Benchmark, Dataset, MetricSpec, Split, protocol_hash
from genbench.devices import resolve_device
from genbench.inputs import Inputs, space_of
from genbench.metrics.moments import Statistics
from genbench.protocols import Sampler
from genbench.provenance import provenance
from genbench.randomness import derive_seed
from genbench.records import Run, Score
from genbench.requirements import load_metric
from genbench.sampling.blocks import FiniteSampler, draw_blocks, draw_labels
from genbench.scorer import Scorer
from genbench.spaces import Seen, Space, Spaces
from genbench.timing import collect

if TYPE_CHECKING:
    from genbench.distributed.rows import Share


class Evaluator:
    """A benchmark made ready: its data loaded, its extractors built, its real features at hand.

    Parameters
    ----------
    benchmark : Benchmark
    device : str
        ``auto``, or a torch device, for sampling, extraction and metrics.
    cache : FeatureCache or None
        Where the real data's features are kept between runs.
    dataset : Dataset or None
        In place of the one that the benchmark names.
    splits : tuple of str
        What to score against: both splits of the data, or ``("reference",)``, the training split of data without a
        held-out one, all of whose samples are then used.
    batch_size : int or None
        Samples that an extractor is given at a time. It changes time and memory, not scores.
    statistics : Statistics or None
        All that is known of the reference, in place of the data's samples.

    Raises
    ------
    DeclarationError
        If the benchmark asks a metric for something that its data or extractor does not have.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        *,
        device: str = "auto",
        cache: FeatureCache | None = None,
        dataset: Dataset | None = None,
        splits: tuple[Split, ...] = SPLITS,
        batch_size: int | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        self.benchmark = benchmark
        self.device = resolve_device(device)
        whole = dataset or load_dataset(benchmark.dataset, **benchmark.data)
        self.dataset = whole if benchmark.train_size is None else with_fewer(whole, benchmark.train_size)
        self.splits, self.statistics = splits, statistics
        layers: dict[str, list[str]] = {}
        for spec in benchmark.metrics:
            layers.setdefault(spec.extractor, [])
            layers[spec.extractor] += [spec.layer] if spec.layer not in layers[spec.extractor] else []
        self.spaces = Spaces(
            layers,
            self.dataset,
            device=self.device,
            cache=cache or FeatureCache(None),
            options=benchmark.extractors,
            fitted_on=whole.train,
            batch_size=batch_size,
            most=max(spec.n or benchmark.n for spec in benchmark.metrics) if splits == SPLITS else None,
        )
        self.metrics = {
            spec.key: load_metric(
                spec,
                dataset=self.dataset,
                extractor=self.spaces.extractors[spec.extractor],
                splits=splits,
                n=spec.n or benchmark.n,
                statistics=statistics,
            )
            for spec in benchmark.metrics
        }
        self.inputs = Inputs(benchmark, self.dataset, self.spaces, self.metrics, splits, statistics)
        self.scorer = Scorer(self.inputs)

    @cached_property
    def protocol(self) -> str:
        """Sha256 of everything that decides the numbers except the sampler."""
        fingerprints = {f"extractor {name}": e.fingerprint for name, e in self.spaces.extractors.items()}
        if self.splits != SPLITS:
            fingerprints["splits"] = ", ".join(self.splits)
        if self.statistics is not None:
            fingerprints["statistics"] = self.statistics.fingerprint
        return protocol_hash(self.benchmark, dataset=self.dataset.fingerprint, **fingerprints)

    def record(self, sampler: str, scores: tuple[Score, ...], *, seconds: float, **found: Any) -> Run:
        """Make the record of scores found here; ``found`` are further fields of `genbench.records.Run`."""
        return Run(
            benchmark=self.benchmark.id,
            quick=self.benchmark.quick,
            sampler=sampler,
            scores=scores,
            protocol=self.protocol,
            seconds=round(seconds, 2),
            provenance=provenance(self.device),
            **{"train_seed": None, "step": None, "final": True, "failure": None, **found},
        )

    @contextmanager
    def profile(self, *, wanted: bool = True) -> Iterator[dict[str, float]]:
        """Time the parts of what is scored in this block, if that is wanted; see `genbench.timing.collect`."""
        if not wanted:
            yield {}
            return
        with collect(settle=torch.cuda.synchronize if self.device.type == "cuda" else None) as seconds:
            yield seconds

    def draw(
        self, sampler: Sampler | FiniteSampler, *, seed: int, n: int | None = None, share: Share | None = None
    ) -> Iterator[Tensor]:
        """Draw and check the benchmark's n samples, or another number, block by block; they come back on the CPU.

        With a share, this process's blocks alone.

        Raises
        ------
        SampleError
            If they cannot be scored; the sampler is named.
        """
        return draw_blocks(
            sampler,
            n or self.benchmark.n,
            seed=derive_seed(seed, "draw"),
            event_shape=self.dataset.event_shape,
            labels=self.dataset.train_labels,
            part=slice(None) if share is None else share.part,
        )

    def labels(self, *, seed: int) -> NDArray[np.int64]:
        """Return the classes that a conditional sampler is asked for by `draw`, (n,)."""
        known = self.dataset.train_labels
        assert known is not None
        return draw_labels(known, self.benchmark.n, seed=derive_seed(seed, "draw"))

    def score(
        self, samples: Tensor | Iterable[Tensor], *, seed: int, only: Iterable[str] | None = None
    ) -> tuple[Score, ...]:
        """Score checked samples.

        Parameters
        ----------
        samples : (n, *event) tensor, or iterable of blocks (k, *event)
            As `draw` gives them; blocks are seen once and not held.
        seed : int
            For metrics that resample. Every metric gets the same one: neither order nor company changes a score.
        only : iterable of str or None
            Keys such as ``fd@digits-cnn.pool``; by default all of the benchmark's metrics.

        Returns
        -------
        tuple of Score
            A metric that names ``reference`` gives one against each split. A metric that cannot be computed gives
            a score with ``failure`` set and no estimate.
        """
        specs = self._specs(only)
        return self.score_seen(self.see(samples, only=only), specs, seed=seed)

    def see(
        self,
        samples: Tensor | Iterable[Tensor],
        *,
        only: Iterable[str] | None = None,
        n: int | None = None,
        share: Share | None = None,
    ) -> dict[Space, Seen]:
        """Run the extractors once over samples, and keep what the metrics need; arguments as of `score`.

        ``n`` is how many samples there are, where they are not as many as the metrics read in this benchmark. With a
        share, they are this process's, and what is kept is of all processes'; see `genbench.spaces.Spaces.see`.
        """
        specs = self._specs(only)
        keep = {
            space: self.inputs.keep(space, n or self.inputs.most(specs, space))
            for space in dict.fromkeys(map(space_of, specs))
        }
        return self.spaces.see([samples] if isinstance(samples, Tensor) else samples, keep, share)

    def _specs(self, only: Iterable[str] | None) -> list[MetricSpec]:
        wanted = set(self.metrics) if only is None else set(only)
        return [spec for spec in self.benchmark.metrics if spec.key in wanted]

    def score_seen(
        self, generated: Mapping[Space, Seen], specs: Iterable[MetricSpec], *, seed: int
    ) -> tuple[Score, ...]:
        """Score what an extractor, here or elsewhere, has seen of the samples; arguments and result as of `score`."""
        sides = [(spec, split, rows) for spec in specs for split, rows in self.inputs.sides(spec)]
        return self.scorer.scores(generated, sides, seed=seed)

    def score_held_out(
        self, generated: Mapping[Space, Seen], specs: Iterable[MetricSpec], *, n: int, seed: int
    ) -> tuple[Score, ...]:
        """Score n samples, be they more or fewer than the benchmark's, against the real ones of every other score.

        Against held-out data, or the only reference there is; the training split is left out. Arguments else as of
        `score_seen`.
        """
        sides = [(spec, *next(side for side in self.inputs.sides(spec) if side[0] != "train")) for spec in specs]
        return self.scorer.scores(generated, sides, seed=seed, drawn=n)
