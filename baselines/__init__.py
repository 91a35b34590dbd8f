"""Reference baselines: one file per objective, each to be read beside its paper.

A baseline is a frozen dataclass whose fields are its options. It knows of networks, losses and optimizers, and of
nothing else: seeds, files, units of the data and metrics belong to whoever trains it (`genbench.training`).
"""
