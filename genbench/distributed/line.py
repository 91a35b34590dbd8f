"""What ranks tell each other: small messages by key in torch's store, and signs of life."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from genbench import errors
from genbench.distributed.places import Place
from genbench.errors import GenbenchError, SetupError

BEAT = 2.0
"""Seconds between two signs of life."""

LOST = 60.0
"""Seconds of silence after which a rank is lost; ``GENBENCH_LOST_AFTER`` sets another number."""

BEGIN = 5
"""How many times longer a rank may take to be heard of at all: it has to load its libraries first."""

_LOOK = 0.25
"""Seconds between two looks at whether who is waited for is alive."""


class Line:
    """A line to all ranks, and a thread that says every `BEAT` seconds that this one lives.

    A rank that is at work lives, however long a block takes it; one that is killed, frozen or cut off does not.

    Raises
    ------
    SetupError
        If there is no store to be reached.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.patience = _patience()
        try:
            store, *_ = next(rendezvous("env://", place.rank, place.world, timeout=timedelta(seconds=BEGIN * LOST)))
        except (RuntimeError, ValueError) as error:
            raise SetupError(
                f"rank {place.rank}: the store of the other ranks expected at MASTER_ADDR and MASTER_PORT, got "
                f"{_first_line(error)!r}; start with torchrun."
            ) from error
        self.store: Store = PrefixStore("genbench", store)
        self.session = 0
        self._lives: dict[int, tuple[str, float]] = {}
        self._began = self._looked = time.monotonic()
        self._closed = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def put(self, key: str, message: Any) -> None:
        """Leave a message, anything that JSON has."""
        try:
            self.store.set(self._key(key), json.dumps(message))
        except RuntimeError as error:
            raise self._cut(error) from error

    def get(self, key: str, *, of: int, what: str, keep: bool = False, heed: bool = True) -> Any:
        """Wait for a message from a rank, and take it.

        Parameters
        ----------
        key : str
        of : int
            Who is to leave it.
        what : str
            For the error: what is waited for.
        keep : bool
            Whether others read it too.
        heed : bool
            Whether to stop waiting where another rank has failed.

        Raises
        ------
        SetupError
            If that rank gives no sign of life for too long, or the store is gone.
        GenbenchError
            That of a rank which failed meanwhile.
        """
        pause = 0.0005
        try:
            while not self.store.check([self._key(key)]):
                self._look(of, what, heed=heed)
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
            found = self.store.get(self._key(key))
            if not keep:
                self.store.delete_key(self._key(key))
        except RuntimeError as error:
            raise self._cut(error) from error
        return json.loads(found)

    def count(self, key: str) -> int:
        """Return how often a rank has asked this before: every number is given once."""
        try:
            return self.store.add(self._key(key), 1) - 1
        except RuntimeError as error:
            raise self._cut(error) from error

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits that this rank cannot go on; the first to say so is heard."""
        told = describe(error)
        try:
            if not self.store.check([self._key("failed")]):
                self.store.set(self._key("failed"), json.dumps({**told, "text": f"{self._me()}: {told['text']}"}))
        except RuntimeError as gone:
            raise self._cut(gone) from gone

    def alive(self, rank: int) -> bool:
        """Whether a rank has given a sign of life lately; False too for one that ended."""
        found = self._life(rank)
        return found is not None and not found[0].endswith("|end") and time.monotonic() - found[1] <= self.patience

    def close(self) -> None:
        """End the signs of life with a last one that says so."""
        self._closed.set()
        self._sign("end")

    def lost(self, rank: int, what: str, why: str) -> SetupError:
        """Return the error that names a rank that was lost."""
        life = self._lives.get(rank)
        who = "" if life is None else f" ({' process '.join(life[0].split('|')[:2])})"
        return SetupError(
            f"rank {rank}{who} {why} while {what} was waited for; see its own output, and start the same command "
            "again: it goes on from the blocks that are done."
        )

    def _look(self, of: int, what: str, *, heed: bool) -> None:
        """Raise if a rank has failed, or the one that is waited for is lost; looks now and then."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        if heed and self.store.check([self._key("failed")]):
            told = json.loads(self.store.get(self._key("failed")))
            raise told_error(told)
        life = self._life(of)
        silent = now - (self._began if life is None else life[1])
        if silent > self.patience * (BEGIN if life is None else 1):
            raise self.lost(of, what, f"gave no sign of life for {silent:.0f} s")
        if life is not None and life[0].endswith("|end"):
            raise self.lost(of, what, "has ended")

    def _life(self, rank: int) -> tuple[str, float] | None:
        """Return a rank's last sign and when it was first seen here, by this process's own clock."""
        if self.store.check([f"life/{rank}"]):
            sign = self.store.get(f"life/{rank}").decode()
            if self._lives.get(rank, ("", 0.0))[0] != sign:
                self._lives[rank] = (sign, time.monotonic())
        return self._lives.get(rank)

    def _beat(self) -> None:
        count = 0
        while self._sign(str(count)) and not self._closed.wait(min(BEAT, self.patience / 4)):
            count += 1

    def _sign(self, word: str) -> bool:
        try:
            self.store.set(f"life/{self.place.rank}", f"{socket.gethostname()}|{os.getpid()}|{word}")
        except RuntimeError:  # the store is gone, and with it whoever would listen
            return False
        return True

    def _me(self) -> str:
        return f"rank {self.place.rank} ({socket.gethostname()})"

    def _key(self, key: str) -> str:
        return f"{self.session}/{key}"

    def _cut(self, error: Exception) -> SetupError:
        return SetupError(
            f"{self._me()}: an answer of the ranks' store expected, got {_first_line(error)!r}: rank 0 or torchrun has "
            "ended; see its output."
        )


def describe(error: BaseException) -> dict[str, str]:
    """Return an error in words that JSON has; one that genbench did not raise is the machine's."""
    if isinstance(error, GenbenchError):
        return {"kind": type(error).__name__, "text": str(error)}
    return {"kind": SetupError.__name__, "text": f"{type(error).__name__}: {_first_line(error)}"}


def told_error(told: dict[str, str]) -> GenbenchError:
    """Return the error that another rank told of, of the same kind."""
    kind = getattr(errors, told["kind"], SetupError)
    found: GenbenchError = kind(told["text"])
    return found


def _patience() -> float:
    text = os.environ.get("GENBENCH_LOST_AFTER", str(LOST))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise SetupError(f"GENBENCH_LOST_AFTER: a number of seconds above 0 expected, got {text!r}.")
    return seconds


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
