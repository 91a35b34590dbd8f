"""``genbench cache``: look at, check and clear the features that are kept on disk."""

from __future__ import annotations

import argparse
from typing import Any

from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    cache = verbs.add_parser("cache", help="list, verify or prune the features kept on disk")
    actions = cache.add_subparsers(dest="action", required=True, metavar="ls|verify|prune")
    for name, text in (
        ("ls", "list the files, the largest first"),
        ("verify", "read every file, and set the damaged ones aside"),
        ("prune", "remove damaged files, and those older than --older-than days"),
    ):
        action = actions.add_parser(name, help=text)
        if name == "prune":
            action.add_argument("--older-than", type=float, default=30.0, metavar="DAYS", help="default 30; 0 is all")
        action.set_defaults(call=_cache)


def _cache(args: argparse.Namespace) -> int:
    from genbench.atomic import feature_cache_folder
    from genbench.cache import FeatureCache

    cache = FeatureCache(feature_cache_folder())
    if args.action == "ls":
        files = cache.files()
    elif args.action == "verify":
        files = cache.verify()
    else:
        files = cache.prune(older_than_days=args.older_than)
    for file in files:
        state = "removed" if args.action == "prune" else file.state
        print(f"{file.size / 2**20:9.1f} MiB  {file.age_days:6.1f} days  {state:9}  {file.path.name}")
    print(f"{len(files)} files, {sum(file.size for file in files) / 2**20:.1f} MiB in {cache.folder}")
    damaged = args.action == "verify" and any(file.state == "damaged" for file in files)
    return EXIT_NOT_EVALUABLE if damaged else EXIT_OK
