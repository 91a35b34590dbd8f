"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genbench.errors import UsageError

if TYPE_CHECKING:
    from genbench.definitions import Benchmark
    from genbench.records import Run
    from genbench.storage import Place


def add_common(command: argparse.ArgumentParser) -> None:
    """Add what every verb that computes scores has."""
    command.add_argument(
        "--quick", action="store_true", help="the benchmark's smaller form; never mixed with full runs"
    )
    command.add_argument("--device", default="auto", help="auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:1, mps")
    command.add_argument("--batch-size", type=int, metavar="N", help="samples that an extractor is given at a time")
    command.add_argument("--no-cache", action="store_true", help="do not keep features on disk")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")
    add_data(command)


def add_profile(command: argparse.ArgumentParser) -> None:
    """Add what asks where the time goes."""
    command.add_argument(
        "--profile", action="store_true", help="record where the time of scoring goes, for the report, and print it"
    )


def add_data(command: argparse.ArgumentParser) -> None:
    """Add what says where data and weights are."""
    command.add_argument(
        "--data-root", metavar="DIR", help="where the dataset's files lie, as torchvision lays them out"
    )
    command.add_argument("--download", action="store_true", help="fetch missing data and weights from their publishers")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the data or of an extractor: data.held_out=0.2, extractors.inception-v3.weights=w.pth",
    )


def add_reference(group: argparse._ActionsContainer) -> None:
    """Add what samples can be scored on, and in which space."""
    group.add_argument("--benchmark", help="what to score them on, for example digits")
    group.add_argument("--reference", metavar="PATH", help="score them against these real samples instead")
    group.add_argument("--held-out", metavar="PATH", help="real samples that the model was not trained on")
    group.add_argument("--reference-n", type=int, metavar="N", help="how many samples mu and sigma are of")
    group.add_argument("--features", metavar="SPACE", help="the file holds features of this space of the benchmark")
    group.add_argument(
        "--extractor", metavar="NAME", help="the space of metrics that name none (pca, inception-v3, ...)"
    )


def add_source(command: argparse.ArgumentParser) -> None:
    """Add what says how a generator or file is to be read."""
    group = command.add_argument_group("the generator")
    # Two arguments, because argparse takes "-1,1" for an option.
    group.add_argument(
        "--value-range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="of float images: 0 1, or -1 1, or 0 255"
    )
    group.add_argument(
        "--layout", choices=("NCHW", "NHWC", "NHW"), help="of arrays whose shape can be read in two ways"
    )
    group.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE", help="for a factory or class")
    group.add_argument("--weights", metavar="FILE", help="state dict of a torch.nn.Module")
    group.add_argument("--latent", metavar="SHAPE", help="what a network takes: 128, 128:uniform, 3x8x8")
    group.add_argument("--trust-code", action="store_true", help="run a source that is a program")
    group.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=N",
        help="what a file may ask for: pixels (64M an image), members (2M), expanded_bytes (64G), array_bytes (8G)",
    )
    group.add_argument("--workers", type=int, default=0, metavar="N", help="processes that decode image files")


def source_of(args: argparse.Namespace) -> dict[str, Any]:
    """Return what `add_source` asked, as arguments of `genbench.score`."""
    from genbench.files.limits import parse_limits
    from genbench.load import parse_args

    return {
        "value_range": None if args.value_range is None else (args.value_range[0], args.value_range[1]),
        "layout": args.layout,
        "args": parse_args(args.arg),
        "weights": args.weights,
        "latent": args.latent,
        "trust_code": args.trust_code,
        "workers": args.workers,
        "limits": parse_limits(args.limit),
    }


def settings(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Read the options of data, and of extractors by name.

    Raises
    ------
    UsageError
        If one has another form.
    """
    data: dict[str, Any] = {} if args.data_root is None else {"root": args.data_root}
    extractors: dict[str, dict[str, Any]] = {}
    for text in args.set:
        key, equals, value = text.partition("=")
        kind, _, rest = key.partition(".")
        name, dot, option = rest.rpartition(".")
        if equals and kind == "data" and rest and not dot:
            data[rest] = toml_value(value)
        elif equals and kind == "extractors" and name and option:
            extractors.setdefault(name, {})[option] = toml_value(value)
        else:
            raise UsageError(
                f"--set: data.OPTION=VALUE or extractors.NAME.OPTION=VALUE expected, got {text!r}; 'genbench list "
                "extractors' has the names."
            )
    return data, extractors


def toml_value(text: str) -> Any:
    """Read a value as TOML has it; what is none is text, so that words and paths need no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def configured(benchmark: Benchmark, args: argparse.Namespace) -> Benchmark:
    """Return the benchmark with the options of data and extractors that the command line gives."""
    from genbench.benchmarks import with_options

    data, extractors = settings(args)
    found = with_options(benchmark, data=data, extractors=extractors)
    if args.download:
        from genbench.requirements import with_download

        found = with_download(found)
    return found


def positive(name: str, value: int | None) -> int | None:
    """Refuse a number below 1.

    Raises
    ------
    UsageError
    """
    if value is not None and value < 1:
        raise UsageError(f"{name}: a whole number of at least 1 expected, got {value}.")
    return value


def cache_folder(args: argparse.Namespace) -> Place | None:
    """Return where features are kept, None for nowhere."""
    from genbench.atomic import feature_cache_folder

    return None if args.no_cache else feature_cache_folder()


def print_timings(runs: Sequence[Run]) -> None:
    """Print where the time of scoring went, on stderr, where records say."""
    if any(run.profile for run in runs):
        from genbench.markdown import timings_markdown

        print(timings_markdown(runs), file=sys.stderr)


def print_tables(benchmark: Benchmark, runs: Sequence[Run], out: Place) -> None:
    """Print the three tables of a benchmark."""
    from genbench.publish import markdown_tables

    for text in markdown_tables(benchmark, runs).values():
        print(text)
    print(f"Report: {out / benchmark.id / 'report.html'}; tables, records and pictures beside it")
