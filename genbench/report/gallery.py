"""The pictures beside the records, inside the page: as data, because the page asks nobody for anything."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from genbench.storage import Place

BUDGET = 2_500_000
"""Bytes of PNG that a page takes in; one seed of every model comes first, the rest as far as they fit."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SEED = re.compile(r"(?P<name>.+)-seed(?P<seed>\d+)(?:-(?P<kind>nearest|influence))?")


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG as a data URI, empty where it did not fit; ``width`` and ``height`` in pixels."""

    file: str
    seed: str
    uri: str
    width: int
    height: int


@dataclass(slots=True)
class Album:
    """The pictures of one sampler by kind, in the order of its seeds."""

    name: str
    samples: list[Picture] = field(default_factory=list)
    nearest: list[Picture] = field(default_factory=list)
    influence: list[Picture] = field(default_factory=list)
    control: bool = False

    def kind(self, name: str) -> list[Picture]:
        """Return the pictures of a kind."""
        kinds = {"samples": self.samples, "nearest": self.nearest, "influence": self.influence}
        return kinds[name]


def pictures_in(folder: Place) -> dict[str, Place]:
    """Return the pictures of a benchmark's folder ``grids`` by name, such as ``NAME-seedK-nearest``."""
    return {path.stem: path for path in folder.glob("*.png")}


def read_albums(pictures: Mapping[str, Place], order: Sequence[str], controls: Sequence[str]) -> list[Album]:
    """Read pictures by name, as of `pictures_in`: real data first, then models, then controls.

    Files that are no PNG are left out, as are pictures of samplers that have no record.
    """
    albums = {name: Album(name, control=name in controls) for name in dict.fromkeys(["real", *order, *controls])}
    found: dict[str, list[tuple[int, str, Place]]] = {}
    for stem, path in pictures.items():
        match = _SEED.fullmatch(stem)
        name, kind = (match["name"], match["kind"] or "samples") if match else (stem, "samples")
        if name in albums:
            found.setdefault(name, []).append((int(match["seed"]) if match else -1, kind, path))
    left = BUDGET
    for name, seed, kind, path in _most_wanted_first(found, albums):
        content = path.read_bytes()
        picture = _picture(path.name, content, seed, inside=len(content) <= left)
        if picture is not None:
            left -= len(content) if picture.uri else 0
            albums[name].kind(kind).append(picture)
    return [album for album in albums.values() if album.samples or album.nearest or album.influence]


def _most_wanted_first(
    found: dict[str, list[tuple[int, str, Place]]], albums: dict[str, Album]
) -> Iterator[tuple[str, int, str, Place]]:
    """Go through the first seed of every sampler, then the second of every one, and so on."""
    ranked = []
    for place, name in enumerate(albums):
        seeds = sorted({seed for seed, _, _ in found.get(name, [])})
        for seed, kind, path in found.get(name, []):
            ranked.append((seeds.index(seed), kind != "samples", place, kind, name, seed, path))
    for _, _, _, kind, name, seed, path in sorted(ranked):
        yield name, seed, kind, path


def _picture(file: str, content: bytes, seed: int, *, inside: bool) -> Picture | None:
    if not content.startswith(SIGNATURE) or len(content) < 24:
        return None
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}" if inside else ""
    return Picture(file, "" if seed < 0 else str(seed), uri, width, height)
