import numpy as np
import pytest
import torch

from genbench.metrics.bits import WORD, bit_counts, count_parts, counts_before, packed_bits


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("width", [1, 7, 300])
def test_words_before_the_kth_with_a_bit_are_counted(k, width):
    """300 words are more than a byte can count; where a bit is set less often than k times all words are before."""
    set_ = np.random.default_rng(k).random((width, 5, 64)) < 0.3
    words = np.packbits(set_, axis=2, bitorder="little").view("<i8")[:, :, 0]
    expected = (set_.cumsum(axis=0) < k).sum(axis=0)
    assert (counts_before(words, k) == expected).all()
    assert (counts_before(words, k, 11) == expected[:, :11]).all()


@pytest.mark.parametrize("parts", [1, WORD, WORD + 1, 2 * WORD + 5])
def test_columns_of_bools_become_words(parts):
    chosen = torch.from_numpy(np.random.default_rng(0).random((parts, 9)) < 0.5)
    found = torch.zeros_like(chosen)
    for start, words in packed_bits(chosen):
        for bit in range(min(WORD, parts - start)):
            found[start + bit] = torch.from_numpy((words >> bit) & 1 == 1)
    assert (found == chosen).all()


def test_set_bits_are_counted_for_each_bit():
    """The highest bit makes a word negative."""
    words = np.array([0, 1, 3, -1, -(2**63)], dtype=np.int64)
    assert bit_counts(words).tolist() == [3, 2, *[1] * 61, 2]
    assert count_parts(words, 2).tolist() == [3.0, 2.0]
