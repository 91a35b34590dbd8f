"""``genbench train``: one baseline, from one seed, on a benchmark."""

from __future__ import annotations

import argparse
from typing import Any

from genbench.cli.common import add_common, cache_folder, configured, positive, toml_value
from genbench.cli.runs import add_speed, speed_of
from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, UsageError
from genbench.storage import parse_place

EPILOG = """\
examples:
  genbench train gan --benchmark digits --seed 7
  genbench train gan --benchmark digits --set lr=1e-3 --set loss=saturating --out mine
  genbench train my.models:Mine --benchmark digits --steps 2000 --batch 64

What it writes is what 'genbench run' writes for that model and seed, in the same places. Another recipe than the
benchmark's goes to a results folder of its own, because tables average over seeds.
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    train = verbs.add_parser(
        "train",
        help="train one baseline on a benchmark, and score it along the way",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train.add_argument("baseline", help="a name from 'genbench list baselines', or module:attr of your own")
    train.add_argument("--benchmark", required=True, help="whose data, budget and metrics, for example digits")
    train.add_argument("--seed", type=int, default=0, help="of the training (default: 0)")
    train.add_argument("--steps", type=int, metavar="N", help="updates, in place of the benchmark's budget")
    train.add_argument("--batch", type=int, metavar="N", help="rows an update, in place of the benchmark's")
    train.add_argument(
        "--out", default="results", type=parse_place, help="results folder, or URL of one (default: results)"
    )
    add_speed(train)
    add_common(train)
    train.set_defaults(call=_train)


def _options(texts: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Part ``--set`` into options of the recipe, ``lr=1e-3``, and those of data and extractors, ``data.root=x``."""
    recipe: dict[str, Any] = {}
    others = []
    for text in texts:
        key, equals, value = text.partition("=")
        if "." in key:
            others.append(text)
        elif equals and key:
            recipe[key] = toml_value(value)
        else:
            raise UsageError(f"--set: OPTION=VALUE of the recipe, or data.OPTION=VALUE, expected, got {text!r}.")
    return recipe, others


def _train(args: argparse.Namespace) -> int:
    recipe, args.set = _options(args.set)
    if args.seed < 0:
        raise UsageError(f"--seed: a whole number from 0 expected, got {args.seed}.")
    steps, batch = positive("--steps", args.steps), positive("--batch", args.batch)
    batch_size = positive("--batch-size", args.batch_size)
    from genbench.benchmarks import load_benchmark
    from genbench.progress import Progress
    from genbench.run import train_baseline

    benchmark = configured(load_benchmark(args.benchmark, quick=args.quick), args)
    trained = train_baseline(
        benchmark,
        args.baseline,
        seed=args.seed,
        out=args.out,
        options=recipe,
        steps=steps,
        batch=batch,
        device=args.device,
        cache_folder=cache_folder(args),
        progress=Progress(enabled=not args.quiet),
        batch_size=batch_size,
        speed=speed_of(args),
    )
    _print(trained, args)
    return EXIT_NOT_EVALUABLE if any(run.failure for run in trained.runs) else EXIT_OK


def _print(trained: Any, args: argparse.Namespace) -> None:
    from genbench.markdown import score_markdown

    final = next(run for run in trained.runs if run.final)
    print(f"{final.sampler} seed {final.train_seed} on {final.benchmark}, {final.step} updates\n")
    print(score_markdown(final.scores) if final.failure is None else f"failed: {final.failure}\n")
    print(f"Losses: {trained.losses}")
    if trained.checkpoint.exists():
        quick = " --quick" if args.quick else ""
        trust = " --trust-code" if ":" in args.baseline else ""
        print(f"Checkpoint: {trained.checkpoint}")
        print(f"Score it: genbench score {trained.checkpoint} --benchmark {args.benchmark}{quick}{trust}")
