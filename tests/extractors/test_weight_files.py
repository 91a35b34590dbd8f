"""Weights files: found where promised, checked to the last byte, read as data."""

import hashlib
import urllib.error

import pytest
import torch

from genbench.errors import SetupError, UsageError
from genbench.extractors.weight_files import Published, file_sha256, find_weights, read_state
from tests.extractors.networks import save_state

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PUBLISHED = Published(file="net.pth", sha256=DIGEST, url="https://example.org/net.pth")


@pytest.fixture(autouse=True)
def empty_places(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GENBENCH_WEIGHTS", raising=False)
    monkeypatch.delenv("GENBENCH_OFFLINE", raising=False)


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_file_is_found_in_torchs_folder_and_is_published(tmp_path):
    path = put(tmp_path / "torch" / "hub" / "checkpoints" / "net.pth")
    found = find_weights("net", PUBLISHED)
    assert (found.path, found.sha256, found.published) == (path, DIGEST, True)


def test_own_folder_goes_before_torchs(tmp_path, monkeypatch):
    put(tmp_path / "torch" / "hub" / "checkpoints" / "net.pth")
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(tmp_path / "own"))
    assert find_weights("net", PUBLISHED).path.parent.name == "checkpoints"
    put(tmp_path / "own" / "net.pth")
    assert find_weights("net", PUBLISHED).path.parent.name == "own"


def test_missing_file_is_an_error_that_says_all_that_is_needed(tmp_path):
    with pytest.raises(SetupError) as caught:
        find_weights("net", PUBLISHED)
    assert caught.value.exit_code == 4
    told = (
        "net.pth",
        DIGEST,
        "https://example.org/net.pth",
        "--download",
        "--set extractors.net.weights=PATH",
        "'digits-cnn'",
        "'pca'",
    )
    for part in (*told, "$GENBENCH_WEIGHTS", str(tmp_path / "torch" / "hub" / "checkpoints")):
        assert part in str(caught.value)


def test_other_bytes_are_refused_unless_their_digest_is_declared(tmp_path):
    path = put(tmp_path / "other.pth", b"other")
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(SetupError, match=f"{DIGEST} of the published file expected, got {other}.*sha256={other}"):
        find_weights("net", PUBLISHED, weights=path)
    found = find_weights("net", PUBLISHED, weights=path, sha256=other.upper())
    assert (found.sha256, found.published) == (other, False)


def test_same_first_digits_are_not_enough(tmp_path):
    lookalike = Published(file="net.pth", sha256=DIGEST[:8] + 56 * "0", url="")
    with pytest.raises(SetupError, match="of the published file expected"):
        find_weights("net", lookalike, weights=put(tmp_path / "net.pth"))


def test_declared_digest_must_match_even_for_the_published_file(tmp_path):
    with pytest.raises(SetupError, match=r"the declared 0{64} expected"):
        find_weights("net", PUBLISHED, weights=put(tmp_path / "net.pth"), sha256=64 * "0")


@pytest.mark.parametrize("digest", ["6726825d", 64 * "g", ""])
def test_digest_that_is_none_is_a_usage_error(tmp_path, digest):
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        find_weights("net", PUBLISHED, weights=put(tmp_path / "net.pth"), sha256=digest)


def test_named_file_that_is_missing_is_not_looked_for_elsewhere(tmp_path):
    put(tmp_path / "torch" / "hub" / "checkpoints" / "net.pth")
    with pytest.raises(SetupError, match=r"cannot read the weights file .*elsewhere\.pth"):
        find_weights("net", PUBLISHED, weights=tmp_path / "elsewhere.pth")


def test_digest_of_several_blocks_is_that_of_all_bytes(tmp_path):
    content = bytes(range(256)) * 5000
    assert file_sha256("net", put(tmp_path / "long", content)) == hashlib.sha256(content).hexdigest()


def test_download_goes_through_torch_with_the_full_digest(tmp_path, monkeypatch):
    asked = []

    def fetch(url, target, hash_prefix, progress):
        asked.append((url, hash_prefix))
        with open(target, "wb") as file:
            file.write(CONTENT)

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert find_weights("net", PUBLISHED, download=True).published
    assert find_weights("net", PUBLISHED, download=True).published
    assert asked == [("https://example.org/net.pth", DIGEST)]


def test_download_is_forbidden_offline(monkeypatch):
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    with pytest.raises(SetupError, match="GENBENCH_OFFLINE forbids"):
        find_weights("net", PUBLISHED, download=True)


def test_failed_download_says_what_to_do(monkeypatch):
    def fail(*args, **options):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(SetupError, match=r"cannot download .*no route.*by hand"):
        find_weights("net", PUBLISHED, download=True)


def test_state_dict_comes_back(tmp_path):
    state = {"a.weight": torch.arange(3.0), "n": torch.tensor(2)}
    found = read_state("net", save_state(state, tmp_path / "net.pth").path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_state_dict_beside_an_optimizer_comes_back(tmp_path):
    found = read_state("net", save_state({"state_dict": {"a": torch.ones(1)}, "step": 3}, tmp_path / "net.pth").path)
    assert found == {"a": torch.ones(1)}


def test_state_dict_of_an_old_torch_comes_back(tmp_path):
    """Many published weights are no archives, and cannot be mapped."""
    torch.save({"a": torch.arange(3.0)}, tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_state("net", tmp_path / "net.pth")["a"], torch.arange(3.0))


def test_safetensors_file_comes_back(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file({"a": torch.arange(3.0)}, tmp_path / "net.safetensors")
    assert torch.equal(read_state("net", tmp_path / "net.safetensors")["a"], torch.arange(3.0))
    (tmp_path / "net.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(SetupError, match=r"not readable as \.safetensors"):
        read_state("net", tmp_path / "net.safetensors")


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return open, (str(self.witness), "w")


def test_pickle_that_would_run_is_refused_and_not_run(tmp_path):
    file = save_state({"a": Payload(tmp_path / "witness")}, tmp_path / "net.pth")
    with pytest.raises(SetupError, match=r"holds Python objects, .* when they are loaded and never are"):
        read_state("net", file.path)
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x02}"])
def test_damaged_file_is_a_setup_error(tmp_path, content):
    with pytest.raises(SetupError, match=r"not readable as \.pth|, or is damaged"):
        read_state("net", put(tmp_path / "net.pth", content))


@pytest.mark.parametrize(("value", "told"), [({"optimizer": {"a": torch.ones(1)}, "step": 3}, "dict"), ([1], "list")])
def test_file_of_something_else_says_what_it_holds(tmp_path, value, told):
    with pytest.raises(SetupError, match=f"a state dict.* expected, got {told}"):
        read_state("net", save_state(value, tmp_path / "net.pth").path)
