"""Faster updates on a GPU: mixed precision, settings of the libraries, and a recorded update that is replayed.

Whatever is switched on here is switched on around updates alone and off again before anybody samples or scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.training.health import networks_of

PRECISIONS = ("float32", "bf16")

EAGER = 3
"""Updates that are made one operation at a time before one is recorded: libraries choose their algorithms in them."""

_UPDATING: ContextVar[bool] = ContextVar("updating", default=False)

Update = Callable[..., Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How updates are computed; part of a training's identity, as each choice changes the last bits or more.

    Attributes
    ----------
    precision : {"float32", "bf16"}
        ``bf16``: a network that the trainer calls multiplies and convolves in bfloat16, by torch's autocast, and gives
        float32. Losses, densities, weights, optimizers and averages stay in float32.
    fast : bool
        On CUDA: channels last for images, TF32, the library's choice of the quickest algorithm; and where the trainer
        says that it is ``recordable``, the update is recorded as a CUDA graph and replayed. Elsewhere nothing.
    """

    precision: str = "float32"
    fast: bool = False

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision: one of {', '.join(PRECISIONS)} expected, got {self.precision!r}.")

    def identity(self) -> dict[str, Any]:
        """Return what differs from the default: nothing where nothing does."""
        chosen: dict[str, Any] = {} if self.precision == "float32" else {"precision": self.precision}
        return {**chosen, "fast": True} if self.fast else chosen

    @contextmanager
    def settings(self, device: torch.device) -> Iterator[None]:
        """Set up torch for updates on a device; everything is as before on leaving."""
        token = _UPDATING.set(True)
        try:
            with _quick(on=self.fast and device.type == "cuda"):
                yield
        finally:
            _UPDATING.reset(token)

    def prepare(self, trainer: Any, device: torch.device) -> None:
        """Lay out the weights of a trainer's networks for the device, and let them compute in the precision."""
        if self.fast and device.type == "cuda":
            for network in networks_of(trainer, averages=True).values():
                network.to(memory_format=torch.channels_last)
        if self.precision == "bf16":
            for network in networks_of(trainer).values():
                _compute_in_bf16(network, device)

    def wrap(self, update: Update, trainer: Any, device: torch.device) -> Update:
        """Return the update, or one that records it and replays it, where that can be done."""
        if self.fast and device.type == "cuda" and getattr(trainer, "recordable", False):
            return Replayed(update, CudaGraph(device))
        return update


def _compute_in_bf16(network: nn.Module, device: torch.device) -> None:
    """Let a network compute in bfloat16 inside of updates; copies of it that draw samples are outside of them."""
    entered: list[torch.autocast] = []

    def enter(network: nn.Module, inputs: Any) -> None:
        if _UPDATING.get():
            # Without the cache of cast weights: a recorded update must cast them anew.
            entered.append(torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False))
            entered[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(network: nn.Module, inputs: Any, outputs: Any) -> Any:
        if not _UPDATING.get():
            return outputs
        entered.pop().__exit__(None, None, None)
        return _float32(outputs)

    network.register_forward_pre_hook(enter)
    network.register_forward_hook(leave, always_call=True)


def _float32(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.dtype == torch.bfloat16 else outputs
    if type(outputs) in (tuple, list):
        return type(outputs)(_float32(part) for part in outputs)
    return outputs


@contextmanager
def _quick(*, on: bool) -> Iterator[None]:
    """Let float32 products be made in TF32 and let cuDNN search for its quickest algorithm, where asked to."""
    if not on:
        yield
        return
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


class Recorder(Protocol):
    """What records an update."""

    def warm(self, update: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """Make an update that is not recorded, where recording will take place."""
        ...

    def record(self, update: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        """Record an update without making it: where its results will be, and what makes it."""
        ...


class CudaGraph:
    """Records the kernels of an update, all of which one launch replays.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def warm(self, update: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """Make an update on a stream of its own, as torch asks for before a recording."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            losses = update()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
        return losses

    def record(self, update: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        """Record an update; torch seeds the random numbers of a replay from the generator as it is then.

        Raises
        ------
        UsageError
            If the update waits for the device, or does something else that cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        try:
            # On the stream of the warm-up, where libraries have their handles and workspaces by now and what is left of
            # an autograd graph belongs. Other threads of the process may go on using CUDA.
            recording = torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local")
            with torch.cuda.device(self._device), recording:
                losses = update()
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"fast: the update cannot be recorded as a CUDA graph ({reason}); train without it."
            ) from error
        return losses, graph.replay


class Replayed:
    """An update that is recorded at its fourth call and replayed from then on.

    A recording holds addresses, not values: inputs are copied to where they were when it was made. All that changes
    from one update to the next must be on the device; a number of Python's would stay what it was. By declaring itself
    ``recordable`` a trainer says that this is so.

    Parameters
    ----------
    update : callable
        Takes tensors of unchanging shapes; returns the losses.
    recorder : Recorder
    """

    def __init__(self, update: Update, recorder: Recorder) -> None:
        self._update, self._recorder = update, recorder
        self._calls = 0
        self._inputs: tuple[Tensor, ...] = ()
        self._losses: Mapping[str, Tensor] = {}
        self._replay: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> Mapping[str, Tensor]:
        """Make one update; the losses are overwritten by the next."""
        if self._calls < EAGER:
            self._calls += 1
            return self._recorder.warm(lambda: self._update(*inputs))
        if self._replay is None:
            self._inputs = tuple(given.clone() for given in inputs)
            self._losses, self._replay = self._recorder.record(lambda: self._update(*self._inputs))
        for held, given in zip(self._inputs, inputs, strict=True):
            held.copy_(given)
        self._replay()
        return self._losses
