"""Tests of genbench."""
