"""Seeds: every random step draws from a seed derived from a number and the name of its purpose."""

import hashlib


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive the seed of one random step from a master seed and the name of the step.

    Parameters
    ----------
    seed : int
        Master seed: a training seed, a draw, or a constant of a protocol.
    *purpose : str or int
        What the seed is for, for example ``"samples", 3``. Different purposes give independent streams, and
        adding a purpose elsewhere changes none of the others (a running counter would).

    Returns
    -------
    int
        In [0, 2**63), accepted by numpy's and torch's generators.

    Examples
    --------
    >>> derive_seed(0, "samples", 1) == derive_seed(0, "samples", 1)
    True
    >>> derive_seed(0, "samples", 1) == derive_seed(0, "samples", 2)
    False
    """
    text = "\x1f".join([str(int(seed)), *(str(part) for part in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
