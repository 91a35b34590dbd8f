"""Metrics: plain functions on features with keyword-only, named inputs, and a declaration beside each."""
