"""DINOv2 without its authors' code: against another implementation, and its positions by hand."""

import pytest
import torch
from torch import nn

from genbench.extractors.dinov2 import DinoV2
from genbench.extractors.fidelity import DINOV2_VIT_S_14
from tests.extractors.networks import CPU, fill, pictures, save_state

WIDTH = 128


def state_dict(*, grid=16, gated=False, depth=2):
    """Random tensors under the names of the published files."""
    hidden = 176 if gated else 4 * WIDTH
    generator = torch.Generator().manual_seed(0)
    shapes = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, 1 + grid**2, WIDTH), "mask_token": (1, WIDTH)}
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, 14, 14), "patch_embed.proj.bias": (WIDTH,)}
    shapes |= {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}
    inner = {
        "norm1": (WIDTH,), "attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH), "norm2": (WIDTH,),
        **({"mlp.w12": (2 * hidden, WIDTH), "mlp.w3": (WIDTH, hidden)} if gated else {}),
        **({} if gated else {"mlp.fc1": (hidden, WIDTH), "mlp.fc2": (WIDTH, hidden)}),
    }  # fmt: skip
    for block in range(depth):
        for name, shape in inner.items():
            shapes[f"blocks.{block}.{name}.weight"] = shape
            shapes[f"blocks.{block}.{name}.bias"] = shape[:1]
        shapes |= {f"blocks.{block}.ls1.gamma": (WIDTH,), f"blocks.{block}.ls2.gamma": (WIDTH,)}
    return {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("gated", [False, True])
def test_network_is_timms(gated):
    """Float32 in another order: 2e-6 was measured on tokens of size about 0.5."""
    layers = pytest.importorskip("timm.layers")
    transformer = pytest.importorskip("timm.models.vision_transformer")
    state = state_dict(gated=gated)
    extra = {"mlp_layer": layers.SwiGLU, "mlp_ratio": 176 / WIDTH, "act_layer": nn.SiLU} if gated else {}
    theirs = transformer.VisionTransformer(
        img_size=224, patch_size=14, embed_dim=WIDTH, depth=2, num_heads=2, init_values=1.0, num_classes=0, **extra
    ).eval()
    renamed = {name: tensor for name, tensor in state.items() if name != "mask_token"}
    if gated:  # timm keeps the two halves apart
        for block in range(2):
            prefix = f"blocks.{block}.mlp"
            for kind in ("weight", "bias"):
                gate, value = renamed.pop(f"{prefix}.w12.{kind}").chunk(2)
                renamed |= {f"{prefix}.fc1_g.{kind}": gate, f"{prefix}.fc1_x.{kind}": value}
                renamed[f"{prefix}.fc2.{kind}"] = renamed.pop(f"{prefix}.w3.{kind}")
    theirs.load_state_dict(renamed)
    images = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(images), DinoV2(state).eval()(images)
    assert found.shape == (3, WIDTH)
    assert (found - expected).abs().max() < 2e-5


def test_positions_of_the_files_grid_are_taken_as_they_are():
    network = DinoV2(state_dict(grid=5))
    assert torch.equal(network.positions(5, 5), network.pos_embed)


def test_interpolated_positions_keep_the_class_token_and_constants():
    state = state_dict(grid=37)
    state["pos_embed"][:, 1:] = 3.0
    positions = DinoV2(state).positions(16, 16)
    assert positions.shape == (1, 1 + 16**2, WIDTH)
    assert torch.equal(positions[:, 0], state["pos_embed"][:, 0])
    assert (positions[:, 1:] - 3).abs().max() < 1e-5


def test_interpolated_positions_follow_the_authors_offset():
    """Cell i of 16 has its centre at (i + 0.5) / s - 0.5 of the 37, s = (16 + 0.1) / 37. Cubic interpolation of a
    ramp with coefficient a errs by (0.5 + a) 2 t (1 - t) (1 - 2 t) between two places: 0.048 at most for a = -0.75."""
    state = state_dict(grid=37)
    state["pos_embed"][:, 1:] = torch.arange(37.0).repeat_interleave(37)[None, :, None]
    rows = DinoV2(state).positions(16, 16)[0, 1:, 0].reshape(16, 16)[:, 8]
    expected = (torch.arange(16) + 0.5) / ((16 + 0.1) / 37) - 0.5
    assert (rows - expected)[2:-2].abs().max() < 0.05
    plain = (torch.arange(16) + 0.5) * 37 / 16 - 0.5
    assert (plain - expected).max() > 0.2


def test_extractor_reads_a_file_where_torch_fidelity_refuses_one(tmp_path):
    from torch_fidelity.utils import create_feature_extractor

    file = save_state(state_dict(grid=37), tmp_path / "dino.pth")
    extractor = DINOV2_VIT_S_14(event_shape=(1, 8, 8), device=CPU, **file.declared)
    images = pictures(3, size=8, channels=1, seed=0)
    found = extractor.extract(images)["pool"]
    assert extractor.layers == {"pool": WIDTH}
    assert torch.equal(found[1:2], extractor.extract(images[1:2])["pool"])
    assert (found[0] - found[1]).abs().max() > 1e-4
    with pytest.raises(NotImplementedError):  # when this fails, the defect is gone
        create_feature_extractor(
            "dinov2-vit-s-14", ["dinov2"], cuda=False, verbose=False, feature_extractor_weights_path=str(file.path)
        )


def test_tensors_that_are_missing_or_too_many_are_refused():
    state = state_dict()
    del state["norm.bias"]
    with pytest.raises(RuntimeError, match="Missing key"):
        DinoV2(state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        DinoV2({**state_dict(), "register_tokens": torch.zeros(1, 4, WIDTH)})


def test_filled_network_stays_finite():
    network = fill(DinoV2(state_dict()))
    with torch.no_grad():
        assert torch.isfinite(network(torch.randn(1, 3, 28, 42, generator=torch.Generator().manual_seed(0)))).all()
