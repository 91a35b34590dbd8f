"""The ranks of one evaluation: rank 0 leads, the others do what it calls for until it ends."""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from genbench.distributed.line import Line, describe, told_error
from genbench.distributed.places import Place
from genbench.distributed.rows import Share, message_tag
from genbench.errors import GenbenchError, SetupError

TRANSFER = 5.0
"""Seconds in which a block of rows that was announced must arrive at least; more if silence may last longer."""

Handlers = Mapping[str, Callable[..., Any]]


class Finished(BaseException):
    """Rank 0 is through: raised on the other ranks, past everything that only rank 0 does."""

    def __init__(self, result: Any, error: GenbenchError | None) -> None:
        super().__init__()
        self.result, self.error = result, error


class Team:
    """A process's part in the evaluation.

    Attributes
    ----------
    main : bool
        Whether this is rank 0.
    led : bool
        Whether somebody takes care that the others hear of the end.
    joined : bool
        Whether the ranks share an evaluation now.
    orphaned : bool
        Whether rank 0 is lost.
    at_success, at_end : list of callable
        What to do when this evaluation has its scores, and when it is over in any way.
    """

    def __init__(self, place: Place) -> None:
        self.line = Line(place)
        self.main = place.rank == 0
        self.led = self.joined = self.orphaned = False
        self.at_success: list[Callable[[], None]] = []
        self.at_end: list[Callable[[], None]] = []
        self._said = 0
        self._group: dist.ProcessGroup | None = None

    @property
    def place(self) -> Place:
        """Rank and number of ranks."""
        return self.line.place

    @property
    def others(self) -> range:
        """The ranks besides rank 0."""
        return range(1, self.place.world)

    def join(self) -> None:
        """Begin to share: on rank 0, let the others begin too. Every rank of a machine takes a GPU of its own."""
        self.joined = True
        if torch.cuda.is_available():
            torch.cuda.set_device(self.place.local % torch.cuda.device_count())
        self.call("join")
        if self.main and not self.led:
            atexit.register(self._end_at_exit)

    def call(self, do: str, **given: Any) -> None:
        """Let every rank do something; rank 0 calls, on others this does nothing, as they were called."""
        if self.main:
            self.line.put(f"say/{self._said}", {"do": do, **given})
            self._said += 1

    def answers(self, what: str) -> dict[int, Any]:
        """Wait for what the other ranks found when they were called last, by rank."""
        return {rank: self.answer(rank, what) for rank in self.others}

    def answer(self, rank: int, what: str) -> Any:
        """Wait for what one of them found."""
        return self.line.get(f"answer/{self._said}/{rank}", of=rank, what=what)

    def listen(self) -> dict[str, Any]:
        """Wait for the next call.

        Raises
        ------
        Finished
            If it was the end.
        """
        heard: dict[str, Any] = self.line.get(f"say/{self._said}", of=0, what="what to do", keep=True, heed=False)
        self._said += 1
        if heard["do"] == "end":
            self._close(success=heard["success"])
            raise Finished(heard["result"], None if heard["error"] is None else told_error(heard["error"]))
        return heard

    def serve(self, handlers: Handlers) -> NoReturn:
        """Do what rank 0 calls for, until it ends; a failure is told, and ends the evaluation everywhere.

        Raises
        ------
        Finished
        """
        while True:
            heard = self.listen()
            do = heard.pop("do")
            if do == "join":
                continue
            try:
                answer = handlers[do](**heard)
            except Exception as error:
                self.fail(error)
            else:
                if answer is not None:
                    self.line.put(f"answer/{self._said}/{self.place.rank}", answer)

    def fail(self, error: Exception) -> NoReturn:
        """Tell that this rank cannot go on, and wait for the end.

        Raises
        ------
        Finished
        GenbenchError
            If rank 0 is lost: then the error is this rank's own to report.
        """
        if not isinstance(error, GenbenchError):
            traceback.print_exception(error, file=sys.stderr)
        try:
            self.line.fail(error)
            while True:  # not `serve`: what is called for now would fail again
                self.listen()
        except SetupError as lost:
            self.orphaned = True
            raise (error if isinstance(error, GenbenchError) else lost) from lost

    def end(self, result: Any = None, *, error: BaseException | None = None, success: bool = True) -> None:
        """Let the other ranks go, with a result that JSON has; on rank 0."""
        success = success and error is None
        told = None if error is None else describe(error)
        with suppress(SetupError):  # the store is gone: there is nobody to be told
            if not success:
                self.line.fail(error or SetupError("has ended"))  # for who waits for something else than the end
            self.call("end", result=result, error=told, success=success)
        self._close(success=success)

    def _end_at_exit(self) -> None:
        self.end(success=not hasattr(sys, "last_value"))

    def share(self, n: int, block: int) -> Share:
        """Return this rank's share of one pass over n samples; every rank must ask for it."""
        return Share(self.line, self.group, call=self._said, n=n, block=block)

    @property
    def group(self) -> dist.ProcessGroup:
        """What tables go through; every rank must ask for it."""
        if self._group is None:
            self._group = self._connect()
        return self._group

    @property
    def tag(self) -> int:
        """A number of this call's messages: those of an evaluation that was broken off are not taken."""
        return message_tag(self.line, self._said)

    def next_number(self) -> int:
        """Return the next number from 0 that no rank has had since the last call."""
        return self.line.count(f"number/{self._said}")

    def _connect(self) -> dist.ProcessGroup:
        """Make the group that rows go through, once all ranks are known to be there."""
        if self.place.local_world == self.place.world and "lo" in {name for _, name in socket.if_nameindex()}:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one machine: nothing has to leave it
        self.line.put(f"here/{self.place.rank}", True)
        for rank in range(self.place.world):
            self.line.get(f"here/{rank}", of=rank, what="that it begins", keep=True)
        # A rank that freezes while it sends is as lost as one that is silent.
        timeout = timedelta(seconds=max(TRANSFER, self.line.patience))
        if dist.is_initialized():  # by the program that scoring is a part of
            group = dist.new_group(backend="gloo", timeout=timeout)
            assert isinstance(group, dist.ProcessGroup)
            return group
        store = dist.PrefixStore("rows", self.line.store)  # type: ignore[attr-defined]
        dist.init_process_group("gloo", store=store, rank=self.place.rank, world_size=self.place.world, timeout=timeout)
        everybody = dist.group.WORLD
        assert everybody is not None
        return everybody

    def _close(self, *, success: bool) -> None:
        """Forget this evaluation, so that another can begin."""
        for then in self.at_success if success else ():
            then()
        for then in self.at_end:
            then()
        self.at_success.clear()
        self.at_end.clear()
        if self.main:
            atexit.unregister(self._end_at_exit)
        self.joined = False
        self._said = 0
        self.line.session += 1


def let_go(team: Team, *, within: float = 10.0) -> None:
    """On rank 0, before the process ends: where it holds the store itself, wait for the others to have heard."""
    until = time.monotonic() + within
    while os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and time.monotonic() < until:
        if not any(team.line.alive(rank) for rank in team.others):
            return
        time.sleep(0.05)
