"""Scoring a generator while it is trained: in a plain PyTorch loop, in Lightning, in a Hugging Face Trainer.

The last two are `genbench.callbacks.lightning` and `genbench.callbacks.transformers`, which need the extras of these
names.
"""

from genbench.callbacks.evaluator import Evaluator as Evaluator

__all__ = ["Evaluator"]
