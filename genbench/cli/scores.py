"""``genbench score``: score a model of your own, in whatever form it has."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from genbench.cli.common import (
    add_common,
    add_profile,
    add_reference,
    add_source,
    cache_folder,
    positive,
    print_tables,
    print_timings,
    settings,
    source_of,
)
from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, UsageError
from genbench.storage import parse_place

if TYPE_CHECKING:
    from genbench.records import Run

EPILOG = """\
what can be scored:
  samples/  samples.zip  samples.tar      images, in class subfolders or not; archives are read in place
  x.npy  x.npz  x.pt  x.safetensors       arrays: images (n, C, H, W) or (n, H, W, C), vectors (n, d)
  my.models:sample                        a function f(n, *, seed), or an object with sample(n, *, seed)
  my.models:make --arg width=64           ... or a function or class that makes one
  my.models:Net --weights w.pt --latent 128 --value-range -1 1
                                          a torch.nn.Module, its state dict, and what it takes and returns
  g.ts  g.pt2  g.onnx  --trust-code --latent 128 --value-range -1 1
                                          TorchScript, torch.export and ONNX files are programs: run only if trusted
  hf:org/name@revision --trust-code       a diffusers pipeline
  results/digits@1/checkpoints/gan/seed0.pt
                                          a model that genbench trained

against what:
  --benchmark digits                      a benchmark's protocol: its data, metrics and n
  --reference real/ [--held-out more/]    real samples of your own, in any of the forms above that hold a finite set
  --reference stats.npz --metric fid      ... or their mu and sigma
  --benchmark digits --features digits-cnn.pool
                                          features that you extracted yourself, as arrays (n, d)
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    score = verbs.add_parser(
        "score",
        help="score a model or samples of your own",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score.add_argument("samples", help="a folder, file, generator in Python, or checkpoint; see below")
    add_reference(score)
    score.add_argument("--n", type=int, help="generated samples to score against a reference (default: all of a file)")
    score.add_argument("--name", help="the sampler's name in the tables (default: the file's name)")
    score.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="KEY",
        help="score by this too, as fid, fd@identity.pool or my:METRIC@...; may be repeated",
    )
    add_source(score)
    score.add_argument("--seed", type=int, default=0, help="of the draw")
    score.add_argument(
        "--out", type=parse_place, help="results folder, or URL of one: add a record, derive its tables anew"
    )
    score.add_argument("--json", action="store_true", help="print the record as JSON")
    add_profile(score)
    add_common(score)
    score.set_defaults(call=_score)


def _score(args: argparse.Namespace) -> int:
    from genbench.atomic import check_writable

    if (args.benchmark is None) == (args.reference is None):
        raise UsageError("score: pass one of --benchmark and --reference: what to score the samples on.")
    batch_size = positive("--batch-size", args.batch_size)
    against = _against(args)
    if args.out is not None:
        if args.reference is not None:
            raise UsageError("score: --out is for benchmarks, whose records make tables; use --json > record.json.")
        check_writable(args.out)
    from genbench.cache import FeatureCache  # after the checks: these imports take seconds
    from genbench.scoring import score

    run = score(
        args.samples,
        **against,
        metrics=args.metric,
        extractor=args.extractor,
        features=args.features,
        name=args.name,
        seed=args.seed,
        device=args.device,
        profile=args.profile,
        batch_size=batch_size,
        cache=FeatureCache(cache_folder(args)),
        **source_of(args),
    )
    _print_scores(run, against.get("benchmark"), args)
    print_timings([run])
    failures = [s for s in run.scores if s.failure]
    for failure in failures:
        print(f"genbench: {failure.key} failed: {failure.failure}", file=sys.stderr)
    return EXIT_NOT_EVALUABLE if failures else EXIT_OK


def _against(args: argparse.Namespace) -> dict[str, Any]:
    """What to score against, as arguments of `genbench.score`."""
    data, extractors = settings(args)
    against = {
        "reference": args.reference,
        "held_out": args.held_out,
        "reference_n": args.reference_n,
        "n": positive("--n", args.n),
        "data": data,
        "extractors": extractors,
        "download": args.download,
    }
    if args.benchmark is not None:
        from genbench.benchmarks import load_benchmark

        against["benchmark"] = load_benchmark(args.benchmark, quick=args.quick)
    elif args.quick:
        raise UsageError("score: --quick is for benchmarks; leave it out.")
    return against


def _print_scores(run: Run, benchmark: Any, args: argparse.Namespace) -> None:
    from genbench.markdown import score_markdown
    from genbench.run import add_score

    runs = add_score(run, benchmark, out=args.out) if args.out is not None else []
    if args.json:
        print(run.to_json(), end="")
        return
    against = run.benchmark if benchmark is not None else args.reference
    n = run.scores[0].n_generated if run.scores else 0
    print(f"{run.sampler} on {against}, n = {n}\n")
    print(score_markdown(run.scores))
    if run.by_class:
        print("Class by class:\n")
        print(score_markdown(run.by_class))
    if runs:
        print_tables(benchmark, runs, args.out)
