"""Benchmarks of speed: run by hand, never asserted. ``python -m tests.performance`` runs them all."""

import genbench  # noqa: F401  # before numpy: it says how the threads of libraries wait, here those of all contenders
