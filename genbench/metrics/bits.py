"""Many yes-or-no questions about every sample at once: the bits of a word, each for one part of a set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

WORD = 63
"""How many bits of a word are used."""

Words = NDArray[np.int64]


def packed_bits(parts: Tensor) -> list[tuple[int, Words]]:
    """Pack the columns of (P, m) bools into words of `WORD` bits: with the number of the first row, (m,) each."""
    words = []
    for start in range(0, len(parts), WORD):
        some = parts[start : start + WORD].cpu().numpy()
        words.append((start, (some.astype(np.int64) << np.arange(len(some))[:, None]).sum(axis=0)))
    return words


def counts_before(words: Words, k: int, bits: int = 64) -> Words:
    """Count for each of some bits the words (W, n) before and without the one with its k-th setting: (n, bits).

    The bits are counted all at once, by adding words to a binary number whose digits are words.
    """
    digits = [np.zeros(words.shape[1], dtype=np.int64) for _ in range(k.bit_length())]
    short = np.empty_like(words)
    open_ = np.full(words.shape[1], -1, dtype=np.int64)
    for place, word in enumerate(words):
        carry, equal = word, word
        for power, digit in enumerate(digits):
            carry, digits[power] = digit & carry, digit ^ carry
            equal = equal & (digits[power] if k >> power & 1 else ~digits[power])
        open_ &= ~equal
        short[place] = open_
    octets = short.astype("<i8", copy=False).view(np.uint8).reshape(*short.shape, 8)[:, :, : -(-bits // 8)]
    counts = np.zeros((words.shape[1], bits), dtype=np.int64)
    for some in range(0, len(octets), 255):
        single = np.unpackbits(octets[some : some + 255], axis=2, count=bits, bitorder="little")
        counts += single.sum(axis=0, dtype=np.uint8)
    return counts


def bit_counts(words: Words) -> Words:
    """Count for each of the 64 bits the words that have it set."""
    octets = np.ascontiguousarray(words).astype("<i8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)
    return np.concatenate([np.bincount(octets[:, byte], minlength=256) @ bits for byte in range(8)])


def count_parts(words: Words, parts: int) -> NDArray[np.float64]:
    """Count for each of the parts the samples whose bit is set: (parts,)."""
    return bit_counts(words)[:parts].astype(np.float64)
