"""The networks of torch-fidelity: names, layers, preprocessing, and the weights files that the names stand for.

The digests of CLIP's files are in torch-fidelity's own source, and those of Inception-v3 and VGG16 begin as the files'
names say; the digests are of the files at the given addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genbench.extractors.weight_files import Published

RELEASES = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0"
CLIP_HOST = "https://openaipublic.azureedge.net/clip/models"
DINO_HOST = "https://dl.fbaipublicfiles.com/dinov2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of torch-fidelity's registry.

    Attributes
    ----------
    name : str
        Here.
    registered : str
        There.
    layers : mapping of str to str
        Our name of a layer to torch-fidelity's, in the order of the network.
    default : tuple of str
        The layers that are taken unless others are asked for.
    preprocessing : str
        In words, for the fingerprint.
    published : Published
        The weights that the name stands for.
    archive : bool
        Whether the published file is a TorchScript archive.
    at_once : int
        Images that it takes at a time on a CPU, the quickest number as measured.
    """

    name: str
    registered: str
    layers: Mapping[str, str]
    default: tuple[str, ...]
    preprocessing: str
    published: Published
    archive: bool = False
    at_once: int = 1


def _resized(size: str, then: str) -> str:
    return f"uint8 resized to {size} by TensorFlow 1's bilinear interpolation without antialiasing; {then}"


IMAGENET = "normalized by ImageNet's mean and deviation"

NETWORKS = {
    network.name: network
    for network in (
        Network(
            name="inception-v3",
            registered="inception-v3-compat",
            layers={
                "64": "64",
                "192": "192",
                "768": "768",
                "pool": "2048",
                "logits": "logits_unbiased",
                "logits-biased": "logits",
            },
            default=("pool", "logits"),
            preprocessing=_resized("299x299", "(x - 128) / 128"),
            at_once=4,
            published=Published(
                file="weights-inception-2015-12-05-6726825d.pth",
                sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
                url=f"{RELEASES}/weights-inception-2015-12-05-6726825d.pth",
            ),
        ),
        Network(
            name="vgg16",
            registered="vgg16",
            layers={"fc2": "fc2", "pool": "fc2_relu"},
            default=("pool",),
            preprocessing=_resized("224x224", IMAGENET),
            published=Published(
                file="vgg16-397923af.pth",
                sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
                url="https://download.pytorch.org/models/vgg16-397923af.pth",
            ),
        ),
        *(
            Network(
                name=name,
                registered=name,
                layers={"pool": "clip"},
                default=("pool",),
                preprocessing=_resized("the network's own size", "normalized by CLIP's mean and deviation"),
                published=Published(
                    file=f"{name}-{sha256}.pt", sha256=sha256, url=f"{CLIP_HOST}/{sha256}/{original}.pt"
                ),
                archive=True,
            )
            for name, original, sha256 in (
                ("clip-rn50", "RN50", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
                ("clip-rn101", "RN101", "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
                ("clip-rn50x4", "RN50x4", "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
                ("clip-rn50x16", "RN50x16", "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
                ("clip-rn50x64", "RN50x64", "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
                ("clip-vit-b-32", "ViT-B-32", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
                ("clip-vit-b-16", "ViT-B-16", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
                ("clip-vit-l-14", "ViT-L-14", "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
                (
                    "clip-vit-l-14-336px",
                    "ViT-L-14-336px",
                    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
                ),
            )
        ),
        *(
            Network(
                name=f"dinov2-vit-{letter}-14",
                registered=f"dinov2-vit-{letter}-14",
                layers={"pool": "dinov2"},
                default=("pool",),
                preprocessing=_resized("224x224", f"{IMAGENET}; positions interpolated bicubically, offset 0.1"),
                published=Published(
                    file=f"dinov2_vit{letter}14_pretrain.pth",
                    sha256=sha256,
                    url=f"{DINO_HOST}/dinov2_vit{letter}14/dinov2_vit{letter}14_pretrain.pth",
                ),
            )
            for letter, sha256 in (
                ("s", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
                ("b", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
                ("l", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
                ("g", "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3"),
            )
        ),
    )
}
"""Every network by its name."""
