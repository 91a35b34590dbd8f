"""The declaration that stands beside a metric's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genbench.errors import DeclarationError
from genbench.records import Better

INPUTS = frozenset({"generated", "reference", "train", "test", "log_prob", "mixture", "factors", "rng"})
"""What a metric may ask for by naming it as a required keyword."""

Uncertainty = Literal["jackknife", "half-sampling", "closed form", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What genbench needs to know of a metric beside its function.

    Attributes
    ----------
    name : str
        The field's name for it, as in ``fd``.
    compute : callable
        Takes keyword-only inputs. Those without a default are its needs and must be among `INPUTS`:
        ``generated``, ``reference``, ``train``, ``test`` are `genbench.metrics.features.Features`;
        ``log_prob`` is the exact log density; ``mixture`` the known mixture; ``factors`` reads what
        events are made of (`genbench.definitions.Factors`); ``rng`` an int seed.
        Those with a default are its options. Returns a `genbench.records.Estimate` or a plain float.
        A metric that names ``reference`` is scored on the train and on the held-out split.
    space : {"pool", "logits"}
        The layer it reads; ``logits`` needs a classifier.
    unit : str
        Of the value, for example ``nats``.
    better : {"lower", "higher", "match"}
        ``match``: best where real data score.
    ideal : float or None
        The population score of a perfect generator, where it does not depend on the data.
    uncertainty : str
        Where std_error and the interval come from.
    source : str
        Paper and equation.
    options : mapping
        Constants bound to ``compute``; one function can serve many declarations.
    streams : mapping or None
        Where given: under these values of its options, the metric needs of ``generated`` and ``reference`` no more than
        `genbench.metrics.moments.MomentSums`, so that samples without number can be scored. None: it needs features.
    reserved, elsewhere : str or None
        The only space in which the name may be used, ``inception-v3.pool`` for ``fid``, with its published weights; and
        what the score is called in others, ``fd``.

    Raises
    ------
    DeclarationError
        If the function takes positional inputs or asks for something that does not exist.
    """

    name: str
    compute: Callable[..., Any]
    space: Literal["pool", "logits"]
    unit: str
    better: Better
    ideal: float | None
    uncertainty: Uncertainty
    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    streams: Mapping[str, Any] | None = None
    reserved: str | None = None
    elsewhere: str | None = None

    def __post_init__(self) -> None:
        parameters = inspect.signature(self.compute).parameters
        for parameter in parameters.values():
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
                raise DeclarationError(
                    f"metric {self.name!r}: inputs must be keyword-only, got {parameter.name!r}; put a bare * first."
                )
        unknown = sorted(self.needs - INPUTS)
        if unknown:
            raise DeclarationError(
                f"metric {self.name!r} asks for {', '.join(unknown)}; a metric may ask for {', '.join(sorted(INPUTS))}."
            )
        self.check_options(self.options)

    @property
    def needs(self) -> frozenset[str]:
        """The required inputs, by name."""
        parameters = inspect.signature(self.compute).parameters
        bound = set(self.options)
        return frozenset(n for n, p in parameters.items() if p.default is inspect.Parameter.empty and n not in bound)

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options that the function does not have.

        Raises
        ------
        DeclarationError
            Naming the options that exist.
        """
        parameters = inspect.signature(self.compute).parameters
        known = [n for n in parameters if n not in INPUTS]
        for option in options:
            if option not in known:
                raise DeclarationError(
                    f"metric {self.name!r} has no option {option!r}; it has {', '.join(known) or 'none'}."
                )

    def needs_moments_alone(self, options: Mapping[str, Any]) -> bool:
        """Return whether sums are enough for the metric, given the options that differ from its declaration."""
        chosen = {**self.options, **options}
        return self.streams is not None and all(
            chosen.get(name, value) == value for name, value in self.streams.items()
        )
