"""torch-fidelity's extractors: Inception-v3, VGG16, CLIP and DINOv2, with weights that are checked on every load.

Each is registered by name as a factory, ``partial(FidelityExtractor, network)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError, SetupError
from genbench.extractors.blocks import block_size, run_in_blocks
from genbench.extractors.fidelity_catalogue import NETWORKS, Network
from genbench.extractors.images import GREY, as_rgb, check_images, check_samples
from genbench.extractors.weight_files import Verified, find_weights, read_state
from genbench.registry import unknown_name

DTYPES = {"float32": torch.float32, "float64": torch.float64}


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
    dtype : {"float32", "float64"}
        In which the network computes; published scores are float32. Features are float32 either way.

    Attributes
    ----------
    published : bool
        Whether the weights are the published ones. Names such as FID stand for those alone.
    weights_sha256 : str

    Raises
    ------
    DeclarationError
        If the events are no such images, or an option does not exist.
    SetupError
        If the weights are missing, of another digest or another network, or torch-fidelity cannot be imported.

    Notes
    -----
    Inception-v3 takes about 0.2 s an image on one core. The first call needs the time to hash the file.
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
        dtype: str = "float32",
    ) -> None:
        self.name = network.name
        self.event_shape = check_images(self.name, event_shape)
        self.device = device
        if dtype not in DTYPES:
            raise DeclarationError(f"{self.name}: dtype 'float32' or 'float64' expected, got {dtype!r}.")
        wanted = tuple(layers) if layers is not None else network.default
        if not wanted:
            raise DeclarationError(f"{self.name}: at least one of the layers {', '.join(network.layers)} expected.")
        for layer in wanted:
            if layer not in network.layers:
                raise unknown_name(f"layer of {self.name}", layer, network.layers)
        self._names = [layer for layer in network.layers if layer in wanted]
        file = find_weights(self.name, network.published, weights=weights, sha256=sha256, download=download)
        self.published, self.weights_sha256 = file.published, file.sha256
        self.network = _build(network, self._names, file, DTYPES[dtype]).to(device)
        self.fingerprint = fingerprint(network, file.sha256, dtype)
        probe = self._forward(torch.zeros(1, *self.event_shape, dtype=torch.uint8, device=device))
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
        return run_in_blocks(self._forward, samples, block=block_size(self.device), device=self.device)

    def _forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self._names, self.network(as_rgb(images)), strict=True))


def fingerprint(network: Network, weights_sha256: str, dtype: str) -> str:
    """Sha256 of a network's name, weights and preprocessing, and of the release of torch-fidelity that holds its code.

    Which layers are computed is not part of it: a layer's features do not depend on the others.
    """
    text = (
        f"{network.registered} of torch-fidelity {version('torch-fidelity')}; weights {weights_sha256}; {GREY}; "
        f"{network.preprocessing}; {dtype}"
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _build(network: Network, names: Sequence[str], file: Verified, dtype: torch.dtype) -> nn.Module:
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
    state = read(file.path)
    try:
        with torch.random.fork_rng(devices=[]):  # a network starts at random before it is filled
            return build(network.registered, [network.layers[name] for name in names], state, dtype=dtype)
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
