"""``genbench train-extractor``: a feature space for data of your own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from genbench.cli.common import add_data, positive, settings
from genbench.errors import EXIT_OK, UsageError


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    command = verbs.add_parser("train-extractor", help="train a classifier of a dataset, to measure in its features")
    command.add_argument("dataset", help="a name from 'genbench list datasets', with labels")
    command.add_argument("--out", required=True, type=Path, help="where to save it, as my-classifier.npz")
    command.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    command.add_argument("--steps", type=int, help="updates of 64 samples each")
    command.add_argument("--device", default="auto", help="auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:1, mps")
    add_data(command)
    command.set_defaults(call=_train)


def _train(args: argparse.Namespace) -> int:
    from genbench.data import load_dataset

    data, extractors = settings(args)
    if extractors:
        raise UsageError("train-extractor: --set takes options of the data alone, as data.held_out=0.2.")
    if args.download:
        data["download"] = True
    from genbench.devices import resolve_device
    from genbench.extractors.train_classifier import train_classifier

    dataset = load_dataset(args.dataset, **data)
    steps = positive("--steps", args.steps)
    chosen = {} if steps is None else {"steps": steps}
    report = train_classifier(dataset, out=args.out, seed=args.seed, device=resolve_device(args.device), **chosen)
    print(f"{args.out}: {report['accuracy']:.2%} of held-out samples get their class; {report['fingerprint'][:12]}")
    print(f"Measure in it: --set extractors.classifier.weights={args.out} --metric fd@classifier.pool")
    return EXIT_OK
