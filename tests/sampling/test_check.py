"""The door: what passes, what does not, and what the message says."""

import pytest
import torch

from genbench.errors import SampleError
from genbench.sampling.check import check_samples


def images(*shape):
    return torch.zeros(shape, dtype=torch.uint8)


def refusal(samples, event_shape, n=4):
    with pytest.raises(SampleError) as caught:
        check_samples(samples, event_shape=event_shape, n=n, who="gan")
    message = str(caught.value)
    assert message.startswith("gan: ")
    assert message.endswith(".")
    return message


def test_images_pass_unchanged():
    samples = torch.arange(4 * 64, dtype=torch.int64).to(torch.uint8).reshape(4, 1, 8, 8)
    checked = check_samples(samples, event_shape=(1, 8, 8), n=4, who="gan")
    assert checked.dtype == torch.uint8
    assert torch.equal(checked, samples)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_vectors_of_any_floating_dtype_become_float32(dtype):
    samples = torch.tensor([[0.1, 2.0], [-3.0, 4.5]], dtype=dtype)
    checked = check_samples(samples, event_shape=(2,), n=2, who="gan")
    assert checked.dtype == torch.float32
    assert torch.equal(checked, samples.to(torch.float32))


def test_gradient_history_is_left_behind():
    samples = torch.ones(2, 2, requires_grad=True) * 2
    assert not check_samples(samples, event_shape=(2,), n=2, who="gan").requires_grad


def test_shape_may_be_given_as_a_list():
    assert check_samples(torch.zeros(2, 3), event_shape=[3], n=2, who="gan").shape == (2, 3)


def test_count_is_compared():
    assert "4 samples expected, got 3" in refusal(torch.zeros(3, 2), (2,))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_samples_that_are_not_finite_are_counted_by_row(value):
    samples = torch.zeros(300, 2)
    samples[5] = value
    samples[7, 1] = value
    assert "2 of 300 samples are not finite" in refusal(samples, (2,), n=300)


def test_values_beyond_float32_are_not_finite():
    assert "1 of 4 samples" in refusal(torch.tensor([[1e39], [0], [0], [0]], dtype=torch.float64), (1,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_images_of_another_dtype_are_refused(dtype):
    assert f"must be uint8 in [0, 255], got {dtype}" in refusal(torch.zeros(4, 1, 8, 8, dtype=dtype), (1, 8, 8))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.complex64])
def test_vectors_of_another_dtype_are_refused(dtype):
    assert f"must be floating point, got {dtype}" in refusal(torch.zeros(4, 2, dtype=dtype), (2,))


def test_wrong_shapes_are_named_for_what_they_are():
    assert "images of 1 channels expected, got 3" in refusal(images(4, 3, 8, 8), (1, 8, 8))
    assert "8 x 8 pixels (H x W) expected, got 28 x 30" in refusal(images(4, 1, 28, 30), (1, 8, 8))
    assert "channels last, (4, 8, 8, 3); use .permute(0, 3, 1, 2)" in refusal(images(4, 8, 8, 3), (3, 8, 8))
    assert "shape (4, 1, 8, 8) expected, got (4, 64)" in refusal(images(4, 64), (1, 8, 8))
    assert "shape (4, 2) expected, got (4, 3)" in refusal(torch.zeros(4, 3), (2,))
    assert "shape (4, 2) expected, got ()" in refusal(torch.tensor(0.0), (2,))


def test_what_is_no_tensor_is_refused():
    assert "a torch tensor expected, got ndarray" in refusal(torch.zeros(4, 2).numpy(), (2,))
