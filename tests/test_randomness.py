"""Seeds depend on the seed and the purpose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genbench.randomness import derive_seed


@given(st.integers(min_value=0, max_value=2**63 - 1), st.lists(st.text(max_size=5), max_size=3))
def test_a_derived_seed_is_stable_and_accepted_everywhere(seed: int, purpose: list[str]) -> None:
    derived = derive_seed(seed, *purpose)
    assert derived == derive_seed(seed, *purpose)
    assert 0 <= derived < 2**63


def test_the_value_is_frozen() -> None:
    # A change here changes every sample and every split of every committed result.
    assert derive_seed(0, "samples", 1) == 8712756960024279793


def test_purposes_and_their_order_matter() -> None:
    seeds = [
        derive_seed(0),
        derive_seed(0, "a"),
        derive_seed(0, "a", "b"),
        derive_seed(0, "b", "a"),
        derive_seed(1, "a"),
    ]
    assert len(set(seeds)) == len(seeds)
