"""Inception-v3 with random weights, on images."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from tests.extractors.networks import WeightsFile, inception_state, pictures, save_state
from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes, Work

LAYERS = ("pool", "logits")
OPERATIONS = 11.4e9
"""Of an image of 299x299: 5.7e9 multiplications and as many additions, by the shapes of the convolutions."""


@cache
def _weights() -> WeightsFile:
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return save_state(inception_state(), Path(folder) / "weights.pth")


def _images(sizes: Sizes) -> Inputs:
    return {"images": pictures(sizes["images"], 32, seed=0)}


def _numbers(pool: torch.Tensor, logits: torch.Tensor) -> Numbers:
    return {"mean of pool": float(pool.double().mean()), "deviation of logits": float(logits.double().std())}


def _genbench(inputs: Inputs, **options: Any) -> Any:
    from genbench.extractors.fidelity import INCEPTION_V3

    shape = tuple(inputs["images"].shape[1:])
    extractor = INCEPTION_V3(
        event_shape=shape, device=torch.device("cpu"), layers=LAYERS, **_weights().declared, **options
    )
    return extractor, inputs["images"]


def _extract(prepared: Any) -> Numbers:
    extractor, images = prepared
    found = extractor.extract(images)
    return _numbers(found["pool"], found["logits"])


def _torch_fidelity(inputs: Inputs) -> Any:
    from torch_fidelity import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(_weights().path)
    )
    return network.eval(), inputs["images"]


def _forward(prepared: Any) -> Numbers:
    network, images = prepared
    with torch.inference_mode():
        parts = [network(part) for part in images.split(64)]
    return _numbers(*(torch.cat(layer) for layer in zip(*parts, strict=True)))


def _bf16(inputs: Inputs) -> Any:
    return _genbench(inputs, precision="bf16")


def _extract_bf16(prepared: Any) -> Numbers:
    return {f"{name}, bf16": value for name, value in _extract(prepared).items()}


CASES = (
    Case(
        name="inception",
        title="Inception-v3's pool and logits of {images:,} images of 32x32, random weights",
        sizes={"images": 96},
        make=_images,
        contenders=(
            Contender("genbench", _extract, _genbench, does="float32"),
            Contender("genbench, bf16", _extract_bf16, _bf16, does="convolutions in bf16, an option"),
            Contender(
                "torch-fidelity",
                _forward,
                _torch_fidelity,
                package="torch-fidelity",
                module="torch_fidelity",
                does="float32",
            ),
        ),
        work=lambda sizes: Work(float32=OPERATIONS * sizes["images"]),
        limit="the convolutions as float32 products",
        tolerance={"mean of pool": 1e-5, "deviation of logits": 1e-5},
    ),
)
