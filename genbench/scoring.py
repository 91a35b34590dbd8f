"""The door for a model of your own: whatever form it has, one call scores it, on a benchmark or against real data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.cache import FeatureCache
from genbench.classes import class_scores
from genbench.definitions import Benchmark
from genbench.distributed.leading import led
from genbench.likelihoods import likelihood_scores
from genbench.records import Run
from genbench.references import Samples
from genbench.sources import open_source
from genbench.timing import rounded


def score(
    sampler: Any,
    benchmark: Benchmark | str | None = None,
    *,
    reference: Samples | None = None,
    held_out: Samples | None = None,
    reference_n: int | None = None,
    metrics: Sequence[str] = (),
    extractor: str | None = None,
    extractors: Mapping[str, Mapping[str, Any]] | None = None,
    data: Mapping[str, Any] | None = None,
    download: bool = False,
    features: str | None = None,
    n: int | None = None,
    name: str | None = None,
    seed: int = 0,
    device: str = "auto",
    batch_size: int | None = None,
    cache: FeatureCache | None = None,
    profile: bool = False,
    **declared: Any,
) -> Run:
    """Score a generator, or samples in a file, on a benchmark or against real samples of your own.

    Parameters
    ----------
    sampler : object
        Anything with a ``name`` and ``sample(n, *, seed)``, or any form that `genbench.load_sampler` takes: an array, a
        file, a folder, a function ``f(n, *, seed)``, a `torch.nn.Module`.
    benchmark : Benchmark or str, optional
        For example ``"digits"``.
    reference : array, tensor, str or Path, optional
        In place of a benchmark: real samples in any form that holds a finite set, or an .npz with ``mu`` and ``sigma``.
    held_out : array, tensor, str or Path, optional
        Real samples that the model was not trained on. With them come the scores that a perfect generator would get,
        and metrics of memorization.
    reference_n : int, optional
        Of how many samples ``mu`` and ``sigma`` are, where the file does not say.
    metrics : sequence of str
        Keys such as ``fd@identity.pool``, or names alone, as ``fid``. Beside those of a benchmark; else by default
        `genbench.references.DEFAULTS`.
    extractor : str, optional
        The space of metrics that name none: by default ``pca`` for images, ``identity`` for vectors.
    extractors : mapping, optional
        Options of extractors by name, such as ``{"inception-v3": {"weights": path}}``.
    data : mapping, optional
        Options of the benchmark's dataset, such as ``root``.
    download : bool
        Fetch missing data and weights from their publishers.
    features : str, optional
        A space of the benchmark, such as ``digits-cnn.pool``: the source then holds features of it, not samples, and is
        scored by the metrics of that space.
    n : int, optional
        How many generated samples to score, where there is no benchmark to say so.
    name : str, optional
        In place of the sampler's or the file's own name.
    seed : int
        Of the draw.
    device : str
        ``auto``, or a torch device.
    batch_size : int, optional
        Samples that an extractor is given at a time.
    cache : FeatureCache, optional
        Where the real data's features are kept.
    profile : bool
        Record where the time went: `genbench.Run.profile`.
    **declared
        What `genbench.load_sampler` needs to know of the source: ``value_range``, ``layout``, ``args``, ``weights``,
        ``latent``, ``trust_code``, ``workers``, ``limits``.

    Returns
    -------
    Run

    Notes
    -----
    Where a benchmark's data were standardized, samples are taken to be in the source's units, and standardized too.

    Under torchrun every process calls this with the same arguments: they share sampling and extraction, the first one
    computes the metrics, and all get its record.

    Raises
    ------
    UsageError
        If neither or both of benchmark and reference are given, or an option has no meaning there.
    SampleError
        If the samples cannot be scored.

    Examples
    --------
    >>> import numpy as np, torch, genbench
    >>> class Noise:
    ...     name = "noise"
    ...     def sample(self, n, *, seed):
    ...         pixels = np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
    ...         return torch.from_numpy(pixels)
    >>> run = genbench.score(Noise(), "digits")
    >>> next(s for s in run.scores if s.key == "fd@digits-cnn.pool").estimate.value > 50
    True
    """

    def scored() -> Run:
        start = time.perf_counter()
        source = open_source(
            sampler,
            benchmark,
            reference=reference,
            held_out=held_out,
            reference_n=reference_n,
            metrics=metrics,
            extractor=extractor,
            extractors=extractors or {},
            data=data or {},
            download=download,
            features=features,
            n=n,
            machine={"device": device, "cache": cache, "batch_size": batch_size},
            declared={**declared, "name": name, "device": device},
        )
        evaluator, found = source.evaluator, source.sampler
        more: dict[str, Any] = {}
        with evaluator.profile(wanted=profile) as seconds:
            try:
                seen = source.see(seed=seed)
            finally:
                source.close()
            scores = evaluator.score_seen(seen, source.specs, seed=seed)
            if source.space is None:
                more["by_class"] = class_scores(evaluator, found, seen, seed=seed)
                more["likelihood"] = likelihood_scores(evaluator, found, seed=seed)
        more["profile"] = rounded(seconds)
        return evaluator.record(name or found.name, scores, seconds=time.perf_counter() - start, **more)

    return led(scored, pack=Run.to_json, unpack=Run.from_json)
