"""The same images and refusals as in the tests of files."""

from tests.files.conftest import folder, npy, packed, pixels, refusal  # noqa: F401
