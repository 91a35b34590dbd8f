"""Uncertainty: functions on arrays and on callables; nothing here knows a model or a file."""
