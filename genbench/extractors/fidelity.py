"""torch-fidelity's extractors: Inception-v3, VGG16, CLIP and DINOv2, with weights that are checked on every load.

Each is registered by name as a factory, ``partial(FidelityExtractor, network)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError, SetupError
from genbench.extractors.blocks import ACCELERATOR_BLOCK, cuda_block, run_in_blocks
from genbench.extractors.fidelity_catalogue import NETWORKS, Network
from genbench.extractors.images import GREY, as_rgb, check_images, check_samples
from genbench.extractors.weight_files import Verified, find_weights, read_state
from genbench.registry import unknown_name

PRECISIONS = {
    "float32": "float32",
    "float64": "float64",
    "bf16": "float32, with convolutions and matrix products in bfloat16",
}
"""What a network may compute in, and how a fingerprint says it."""


class FidelityExtractor:
    """A network of torch-fidelity as a feature space.

    Parameters
    ----------
    network : Network
    event_shape : tuple of int
        (1, H, W) or (3, H, W), of any size: images are resized as the network's authors do. One channel is repeated
        to three.
    device : torch.device
    layers : sequence of str or None
        Which of the network's layers to compute; fewer of the early ones save work. None takes the default ones.
    weights : str, Path or None
        The weights file; None looks in ``$GENBENCH_WEIGHTS``, then in ``$TORCH_HOME/hub/checkpoints``.
    sha256 : str or None
        Of a file that is not the published one: without it, such a file is refused. It must be a state dict.
    download : bool
        Fetch the published file if it is missing.
    precision : {"float32", "float64", "bf16"}
        In which the network computes; published scores are float32. Features are float32 in any case. ``"bf16"`` runs
        convolutions and matrix products in bfloat16. It is another feature space, with another fingerprint: see Notes.
    compiled : bool
        Let ``torch.compile`` write kernels for the network, which takes a minute and moves features by rounding. It
        is part of the fingerprint too.
    batch_size : int or None
        How many images a network on an accelerator takes at a time; others are other last bits of features. None
        measures, on CUDA, what is quickest when the first images come, and keeps it while the process runs. A CPU takes
        four for Inception-v3 and one for the other networks in any case: no more are quicker, and bits stay the same.

    Attributes
    ----------
    published : bool
        Whether the weights are the published ones, and compute in float32 or float64. Names such as FID stand for
        those alone.
    weights_sha256 : str

    Raises
    ------
    DeclarationError
        If the events are no such images, or an option does not exist.
    SetupError
        If the weights are missing, of another digest or another network, or torch-fidelity cannot be imported.

    Notes
    -----
    Inception-v3 takes 0.13 s an image on one core, 0.07 s in bfloat16 where the CPU has instructions for it. The first
    call needs the time to hash the file. Memory, for Inception-v3: 96 MB of weights, at most 16 MB for each image that
    is in the network, and 12 kB for each row that is returned with the default layers.

    Bfloat16 moves scores: between sets of 256 images, with random weights, ``fd`` by up to 0.8 % and ``kd`` by 0.5 %.
    And features of unlike precision must never be compared: one set of images, seen in float32 and in bfloat16, is
    0.7 away from itself in ``fd``, an eighth of what two sets of one distribution are. Hence the other fingerprint, and
    ``published`` is false.
    """

    def __init__(
        self,
        network: Network,
        *,
        event_shape: tuple[int, ...],
        device: torch.device,
        layers: Sequence[str] | None = None,
        weights: str | Path | None = None,
        sha256: str | None = None,
        download: bool = False,
        precision: str = "float32",
        compiled: bool = False,
        batch_size: int | None = None,
    ) -> None:
        self.name = network.name
        self.event_shape = check_images(self.name, event_shape)
        self.device = device
        if precision not in PRECISIONS:
            raise DeclarationError(
                f"{self.name}: precision 'float32', 'float64' or 'bf16' expected, got {precision!r}."
            )
        if batch_size is not None and batch_size < 1:
            raise DeclarationError(f"{self.name}: batch_size must be at least 1, got {batch_size}.")
        wanted = tuple(layers) if layers is not None else network.default
        if not wanted:
            raise DeclarationError(f"{self.name}: at least one of the layers {', '.join(network.layers)} expected.")
        for layer in wanted:
            if layer not in network.layers:
                raise unknown_name(f"layer of {self.name}", layer, network.layers)
        self._names = [layer for layer in network.layers if layer in wanted]
        file = find_weights(self.name, network.published, weights=weights, sha256=sha256, download=download)
        self.published, self.weights_sha256 = file.published and precision != "bf16", file.sha256
        self.network = _build(network, self._names, file, event_shape=self.event_shape, precision=precision, at=device)
        self.fingerprint = fingerprint(network, file.sha256, precision, compiled=compiled)
        self._compute: Callable[[Tensor], Sequence[Tensor]] = self.network
        self._block = self._block_size(batch_size, network.at_once, compiled=compiled)
        if compiled:
            self._compute = torch.compile(self.network, dynamic=False)
        probe = self._probe(self._block if compiled and self._block else 1)
        self.layers: Mapping[str, int] = {layer: values.shape[1] for layer, values in probe.items()}

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Compute the layers in one pass.

        Parameters
        ----------
        samples : (n, C, H, W) tensor, uint8
            Images in [0, 255] on any device.

        Returns
        -------
        {layer: (n, width)} tensors, float32, on the samples' device
            A row depends on nothing but its image.

        Raises
        ------
        SampleError
            If the samples are of another shape or dtype.
        """
        check_samples(self.name, samples, self.event_shape)
        if self._block is None:
            key = (self.fingerprint, self.event_shape, tuple(self._names), self.device)
            self._block = cuda_block(key, self._forward, self.event_shape, self.device)
        return run_in_blocks(self._forward, samples, block=self._block, device=self.device)

    def _forward(self, images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            return dict(zip(self._names, self._compute(as_rgb(images)), strict=True))

    def _block_size(self, asked: int | None, at_once: int, *, compiled: bool) -> int | None:
        """Return how many images the network takes at a time; None leaves it to a measurement."""
        if self.device.type == "cpu":
            return at_once
        if asked is None and self.device.type == "cuda" and not compiled:  # each size would be compiled anew
            return None
        return asked or ACCELERATOR_BLOCK

    def _probe(self, n: int) -> dict[str, Tensor]:
        """Run blank images, once, for the layers' widths and for the compiler."""
        try:
            return self._forward(torch.zeros(n, *self.event_shape, dtype=torch.uint8, device=self.device))
        except Exception as error:
            if self._compute is self.network:
                raise
            raise SetupError(
                f"{self.name}: torch.compile fails on this machine ({str(error).splitlines()[0]}); leave compiled out."
            ) from error


def fingerprint(network: Network, weights_sha256: str, precision: str, *, compiled: bool = False) -> str:
    """Sha256 of a network's name, weights, preprocessing and precision, and of the release that holds its code.

    Which layers are computed is not part of it: a layer's features do not depend on the others. Nor is the order of
    sums, which decides rounding alone, but for a compiler's, which nobody here has chosen.
    """
    text = (
        f"{network.registered} of torch-fidelity {version('torch-fidelity')}; weights {weights_sha256}; {GREY}; "
        f"{network.preprocessing}; {PRECISIONS[precision]}{'; compiled' if compiled else ''}"
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _build(
    network: Network,
    names: Sequence[str],
    file: Verified,
    *,
    event_shape: tuple[int, ...],
    precision: str,
    at: torch.device,
) -> nn.Module:
    try:
        from genbench.extractors.fidelity_networks import build, read_archive
    except (ImportError, RuntimeError, OSError) as error:  # a torchvision of another build raises RuntimeError
        raise SetupError(
            f"{network.name}: cannot import torch-fidelity ({error}); install torch and torchvision from one index, "
            "for example: pip install --force-reinstall torch torchvision --index-url "
            "https://download.pytorch.org/whl/cpu"
        ) from error
    # Only the published archive, every byte of which is known, is opened as what it is.
    read = read_archive if network.archive and file.published else partial(read_state, network.name)
    state, layers = read(file.path), [network.layers[name] for name in names]
    _, height, width = event_shape
    try:
        with torch.random.fork_rng(devices=[]):  # a network starts at random before it is filled
            return build(network.registered, layers, state, size=(height, width), precision=precision, device=at)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise SetupError(
            f"{network.name}: the weights in {file.path} are not of this network "
            f"({str(error).splitlines()[0]}); name the file that belongs to it."
        ) from error


INCEPTION_V3 = partial(FidelityExtractor, NETWORKS["inception-v3"])
VGG16 = partial(FidelityExtractor, NETWORKS["vgg16"])
CLIP_RN50 = partial(FidelityExtractor, NETWORKS["clip-rn50"])
CLIP_RN101 = partial(FidelityExtractor, NETWORKS["clip-rn101"])
CLIP_RN50X4 = partial(FidelityExtractor, NETWORKS["clip-rn50x4"])
CLIP_RN50X16 = partial(FidelityExtractor, NETWORKS["clip-rn50x16"])
CLIP_RN50X64 = partial(FidelityExtractor, NETWORKS["clip-rn50x64"])
CLIP_VIT_B_32 = partial(FidelityExtractor, NETWORKS["clip-vit-b-32"])
CLIP_VIT_B_16 = partial(FidelityExtractor, NETWORKS["clip-vit-b-16"])
CLIP_VIT_L_14 = partial(FidelityExtractor, NETWORKS["clip-vit-l-14"])
CLIP_VIT_L_14_336PX = partial(FidelityExtractor, NETWORKS["clip-vit-l-14-336px"])
DINOV2_VIT_S_14 = partial(FidelityExtractor, NETWORKS["dinov2-vit-s-14"])
DINOV2_VIT_B_14 = partial(FidelityExtractor, NETWORKS["dinov2-vit-b-14"])
DINOV2_VIT_L_14 = partial(FidelityExtractor, NETWORKS["dinov2-vit-l-14"])
DINOV2_VIT_G_14 = partial(FidelityExtractor, NETWORKS["dinov2-vit-g-14"])
