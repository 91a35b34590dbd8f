"""Benchmarks of speed: run by hand, never asserted. ``python -m tests.performance`` runs them all."""
