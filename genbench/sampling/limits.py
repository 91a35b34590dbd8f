"""How much an untrusted file may ask for. Every limit is checked before the memory is taken."""

MAX_BYTES = 8 * 2**30
"""Bytes of samples, as stored and as unpacked: 8 GiB, or 2.8 million CIFAR-10 images."""

MAX_PIXELS = 2**26
"""Pixels of one image file: 8192 x 8192. A PNG of 47 KiB can unpack to six times as many."""
