"""Files of samples: every layout and range that is accepted, and one clear sentence for everything else."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import SampleError, UsageError
from genbench.sampling import images as images_module
from genbench.sampling.files import ArraySampler, load_samples

DIGIT = (1, 4, 5)
"""C, H, W, all different, so that a swap shows."""

PHOTO = (3, 4, 5)


def pixels(n=6, event_shape=DIGIT):
    return np.random.default_rng(0).integers(0, 256, size=(n, *event_shape)).astype(np.uint8)


def npy(folder, array):
    np.save(folder / "samples.npy", array)
    return folder / "samples.npy"


def refusal(kind, path, event_shape=DIGIT, **options):
    with pytest.raises(kind) as caught:
        load_samples(path, event_shape=event_shape, **options)
    assert caught.type is kind
    message = str(caught.value)
    assert message.endswith((".", "?"))
    assert "\n" not in message
    return message


# --- layouts


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
def test_uint8_channels_first_is_read_as_it_is(tmp_path, event_shape):
    images = pixels(event_shape=event_shape)
    sampler = load_samples(npy(tmp_path, images), event_shape=event_shape)
    assert (sampler.name, len(sampler)) == ("samples", 6)
    assert sampler.samples.dtype == torch.uint8
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
def test_channels_last_is_turned(tmp_path, event_shape):
    images = pixels(event_shape=event_shape)
    sampler = load_samples(npy(tmp_path, images.transpose(0, 2, 3, 1)), event_shape=event_shape)
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


def test_one_channel_may_be_left_out(tmp_path):
    images = pixels()
    sampler = load_samples(npy(tmp_path, images[:, 0]), event_shape=DIGIT)
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


def test_fortran_order_is_honoured(tmp_path):
    images = pixels()
    sampler = load_samples(npy(tmp_path, np.asfortranarray(images)), event_shape=DIGIT)
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


def test_a_shape_that_fits_no_layout_names_them_all(tmp_path):
    message = refusal(SampleError, npy(tmp_path, pixels(event_shape=(1, 5, 4))))
    assert "(n, 1, 4, 5), (n, 4, 5, 1), (n, 4, 5) expected, got (6, 1, 5, 4)" in message
    assert "(n, 3, 4, 5), (n, 4, 5, 3) expected, got (6, 4, 5)" in refusal(
        SampleError, npy(tmp_path, pixels()[:, 0]), PHOTO
    )


def test_a_shape_that_fits_two_layouts_is_refused(tmp_path):
    message = refusal(SampleError, npy(tmp_path, pixels(event_shape=(3, 3, 3))), (3, 3, 3))
    assert "(n, C, H, W) or (n, H, W, C)" in message


def test_vectors_of_any_number_type_become_float32(tmp_path):
    for dtype in (np.float16, np.float32, ">f4", np.float64, np.longdouble, np.int64, np.uint8):
        vectors = np.array([[1, 2], [3, 4], [5, 6]], dtype=dtype)
        sampler = load_samples(npy(tmp_path, vectors), event_shape=(2,))
        assert sampler.samples.dtype == torch.float32
        assert sampler.samples.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_vectors_of_another_shape_or_kind_are_refused(tmp_path):
    assert "(n, 2) expected, got (3, 5)" in refusal(SampleError, npy(tmp_path, np.zeros((3, 5))), (2,))
    assert "(n, 2) expected, got (3,)" in refusal(SampleError, npy(tmp_path, np.zeros(3)), (2,))
    assert "got bool" in refusal(SampleError, npy(tmp_path, np.zeros((3, 2), bool)), (2,))


# --- ranges


@pytest.mark.parametrize(
    ("value_range", "dtype"),
    [((0, 1), np.float32), ((-1, 1), np.float32), ((0, 255), np.float64), ((0, 255), np.int64), ((0, 1), ">f8")],
)
def test_a_declared_range_gives_back_the_bytes(tmp_path, value_range, dtype):
    """Float32 resolves steps of 1/255 by a factor of 30,000, so rounding finds the byte it came from."""
    images = pixels()
    low, high = value_range
    stored = (images / 255 * (high - low) + low).round(9).astype(dtype)
    sampler = load_samples(npy(tmp_path, stored), event_shape=DIGIT, value_range=value_range)
    assert sampler.samples.dtype == torch.uint8
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


def test_conversion_rounds_and_does_not_truncate(tmp_path):
    stored = np.full((1, *DIGIT), 0.9999)
    assert load_samples(npy(tmp_path, stored), event_shape=DIGIT, value_range=(0, 1)).samples.min() == 255


def test_conversion_in_chunks_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("genbench.sampling.files.CHUNK", 45)  # two rows of twenty values at a time
    images = pixels(n=7)
    sampler = load_samples(npy(tmp_path, images / 255), event_shape=DIGIT, value_range=(0, 1))
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


@pytest.mark.parametrize(
    ("low", "high", "readings"),
    [
        (0, 1, "[0.00, 1.00]: [0, 1] or [-1, 1]? pass --value-range 0,1 or --value-range -1,1."),
        (-0.9, 0.8, "[-0.90, 0.80]: [-1, 1]? pass --value-range -1,1."),
        (0, 200, "[0.00, 200.00]: [0, 255]? pass --value-range 0,255."),
        (-3, 3, "[-3.00, 3.00], which is none of [0, 1], [-1, 1] and [0, 255]; rescale them to one of those."),
    ],
)
def test_an_undeclared_range_is_a_usage_error_that_names_the_readings(tmp_path, low, high, readings):
    images = np.linspace(low, high, 40).reshape(2, *DIGIT)
    message = refusal(UsageError, npy(tmp_path, images))
    assert message.endswith(f"float64 images need a declared range; values lie in {readings}")
    assert UsageError.exit_code == 2


def test_integers_other_than_uint8_need_a_range_too(tmp_path):
    assert "int64 images need a declared range" in refusal(UsageError, npy(tmp_path, pixels().astype(np.int64)))


def test_values_outside_the_declared_range_are_refused_beyond_a_thousandth_of_its_width(tmp_path):
    inside = np.array([-1.0019, 1.0019]).repeat(10).reshape(1, *DIGIT)
    sampler = load_samples(npy(tmp_path, inside), event_shape=DIGIT, value_range=(-1, 1))
    assert sampler.samples.unique().tolist() == [0, 255]
    for outside in (-1.0021, 1.0021):
        message = refusal(SampleError, npy(tmp_path, np.full((1, *DIGIT), outside)), value_range=(-1, 1))
        assert "declared range [-1, 1] expected" in message
        assert f"{outside:g}" in message


def test_a_range_that_does_not_exist_or_does_not_apply_is_a_usage_error(tmp_path):
    assert "value range 0,1 or -1,1 or 0,255 expected" in refusal(
        UsageError, npy(tmp_path, pixels()), value_range=(0, 2)
    )
    assert "for images only" in refusal(UsageError, npy(tmp_path, np.zeros((3, 2))), (2,), value_range=(0, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_by_sample(tmp_path, value):
    vectors = np.zeros((300, 2))
    vectors[[3, 9, 11]] = value
    assert "3 of 300 samples are not finite" in refusal(SampleError, npy(tmp_path, vectors), (2,))
    images = np.zeros((5, *DIGIT))
    images[2, 0, 1, 1] = value
    assert "1 of 5 samples are not finite" in refusal(SampleError, npy(tmp_path, images), value_range=(0, 1))
    assert "1 of 5 samples are not finite" in refusal(SampleError, npy(tmp_path, images))


def test_vectors_beyond_float32_are_not_finite(tmp_path):
    assert "1 of 2 samples are not finite" in refusal(SampleError, npy(tmp_path, np.array([[1e39], [0]])), (1,))


# --- arrays that must not be trusted


def test_a_header_that_declares_more_than_the_file_holds_takes_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 1)})
    (tmp_path / "lie.npy").write_bytes(header.getvalue() + bytes(64))
    message = refusal(SampleError, tmp_path / "lie.npy", (1,))
    assert "declares 8,000,000,000,000 bytes" in message
    assert "64 bytes follow" in message


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0"], ids=["cut off", "too long"])
def test_a_file_of_another_length_than_declared_is_refused(tmp_path, change):
    path = npy(tmp_path, pixels())
    path.write_bytes(change(path.read_bytes()))
    assert "its header declares 120 bytes" in refusal(SampleError, path)


def test_pickled_objects_are_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle ran",))

    array = np.empty(1, dtype=object)
    array[0] = Bomb()
    np.save(tmp_path / "bomb.npy", array, allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", array)
    for name in ("bomb.npy", "bomb.npz"):
        assert "pickled Python objects, which are never loaded" in refusal(SampleError, tmp_path / name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, *DIGIT), np.uint8), "holds no samples"),
        (np.array(3.0), "holds no samples"),
        (np.zeros((2, 2), complex), "numbers expected, got complex128"),
        (np.array([["a"]]), "numbers expected, got <U1"),
        (np.zeros(2, dtype=[("x", "f4")]), "numbers expected"),
        (np.zeros(2, dtype=[("\u2713", "f4")]), "format version 1 or 2 expected, got 3"),
    ],
    ids=["zero rows", "scalar", "complex", "text", "structured", "version 3"],
)
@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_arrays_that_hold_no_samples_are_refused(tmp_path, array, message):
    assert message in refusal(SampleError, npy(tmp_path, array))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"hello", b"PK\x05\x06"], ids=repr)
def test_what_is_no_array_file_is_refused(tmp_path, suffix, content):
    (tmp_path / f"x{suffix}").write_bytes(content)
    assert f"not readable as {suffix}" in refusal(SampleError, tmp_path / f"x{suffix}")


def test_more_than_the_limit_is_refused(tmp_path):
    images = pixels()  # 120 bytes
    np.savez_compressed(tmp_path / "x.npz", images)
    for path in (npy(tmp_path, images), tmp_path / "x.npz"):
        assert len(load_samples(path, event_shape=DIGIT, max_bytes=120)) == 6
        assert "at most 119 bytes are read, got 120" in refusal(SampleError, path, max_bytes=119)


# --- npz


@pytest.mark.parametrize("key", ["arr_0", "images", "samples", "anything"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_only_array_of_an_npz_is_taken(tmp_path, key, save):
    save(tmp_path / "x.npz", **{key: pixels()})
    np.testing.assert_array_equal(load_samples(tmp_path / "x.npz", event_shape=DIGIT).samples.numpy(), pixels())


def test_the_named_array_is_taken_among_several(tmp_path):
    np.savez(tmp_path / "x.npz", pixels(), np.zeros(6, dtype=np.int64))  # arr_0 and arr_1, images and labels
    np.testing.assert_array_equal(load_samples(tmp_path / "x.npz", event_shape=DIGIT).samples.numpy(), pixels())


@pytest.mark.parametrize("keys", [("mu", "sigma"), ("images", "samples", "z"), ()])
def test_an_npz_that_leaves_a_choice_lists_its_keys(tmp_path, keys):
    np.savez(tmp_path / "x.npz", **{key: pixels() for key in keys})
    assert f"got {', '.join(keys) or 'no array'};" in refusal(SampleError, tmp_path / "x.npz")


def test_an_npz_member_that_lies_about_its_size_is_refused(tmp_path):
    """Header and central directory agree on 10**9 bytes, and ten are there."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(10))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    content[at : at + 4] = struct.pack("<I", 10**9 + len(header.getvalue()))
    (tmp_path / "x.npz").write_bytes(content)
    assert "1,000,000,000 bytes expected, got 10" in refusal(SampleError, tmp_path / "x.npz", (1,))


# --- folders


def save_images(folder, images, suffix=".png"):
    for row, image in enumerate(images):
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(folder / f"{row:03}{suffix}")


@pytest.mark.parametrize("event_shape", [DIGIT, PHOTO])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_a_folder_of_images_is_read_in_order_of_names(tmp_path, event_shape, suffix):
    images = pixels(event_shape=event_shape)
    save_images(tmp_path, images, suffix)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._000.png").write_text("not an image either")
    sampler = load_samples(tmp_path, event_shape=event_shape)
    assert sampler.name == tmp_path.name
    np.testing.assert_array_equal(sampler.samples.numpy(), images)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_formats_are_read_as_pil_decodes_them(tmp_path, suffix):
    save_images(tmp_path, pixels(2, PHOTO), suffix)
    expected = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in sorted(tmp_path.iterdir())]
    np.testing.assert_array_equal(load_samples(tmp_path, event_shape=PHOTO).samples.numpy(), expected)


def test_subfolders_are_read_too(tmp_path):
    images = pixels()
    for name, rows in (("cat", slice(0, 2)), ("dog", slice(2, 6))):
        (tmp_path / name).mkdir()
        save_images(tmp_path / name, images[rows])
    np.testing.assert_array_equal(load_samples(tmp_path, event_shape=DIGIT).samples.numpy(), images)


def test_an_image_of_another_size_or_mode_is_named(tmp_path):
    save_images(tmp_path, pixels())
    odd = tmp_path / "odd.png"
    Image.new("L", (6, 4)).save(odd)
    assert "odd.png: 4 x 5 pixels (H x W) expected, got 4 x 6" in refusal(SampleError, tmp_path)
    for mode in ("RGB", "RGBA", "P", "1", "LA"):
        Image.new(mode, (5, 4)).save(odd)
        message = refusal(SampleError, tmp_path)
        assert f"odd.png: mode L expected for 1 channel(s), got {mode}; convert it with" in message


def test_grey_images_are_not_spread_over_three_channels(tmp_path):
    save_images(tmp_path, pixels())
    assert "mode RGB expected for 3 channel(s), got L" in refusal(SampleError, tmp_path, PHOTO)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert "holds no images (.bmp, .jpeg, .jpg, .png, .webp)" in refusal(SampleError, tmp_path)


@pytest.mark.parametrize("event_shape", [(2,), (4, 8, 8)])
def test_a_folder_cannot_hold_other_events(tmp_path, event_shape):
    assert "save an .npy file instead" in refusal(UsageError, tmp_path, event_shape)


def test_a_folder_beyond_the_limit_is_refused_before_it_is_read(tmp_path):
    for row in range(3):
        (tmp_path / f"{row}.png").write_bytes(b"never opened")
    assert "at most 59 bytes are read, got 60" in refusal(SampleError, tmp_path, max_bytes=59)


def tiny_png_of(width, height):
    """A PNG of a hundred bytes whose header declares any size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(8193, 8192), (10_000, 10_000), (60_000, 60_000)])
def test_an_image_too_large_is_refused_from_its_header(tmp_path, size):
    """The second is beyond PIL's warning, the third beyond its error."""
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(*size))
    message = refusal(SampleError, tmp_path, (1, size[1], size[0]), max_bytes=10**10)
    assert "bomb.png" in message
    assert "pixels" in message


def test_the_limit_holds_when_pil_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "bomb.png").write_bytes(tiny_png_of(60_000, 60_000))
    assert "at most 67,108,864 pixels" in refusal(SampleError, tmp_path, (1, 60_000, 60_000), max_bytes=10**10)


def test_a_cut_off_image_is_refused(tmp_path):
    save_images(tmp_path, pixels(1, (3, 4, 5)))
    path = tmp_path / "000.png"
    path.write_bytes(path.read_bytes()[:-30])
    assert "000.png: not readable as .png" in refusal(SampleError, tmp_path, PHOTO)


def test_other_formats_behind_a_known_suffix_are_not_opened(tmp_path):
    """PIL would hand PostScript to Ghostscript."""
    (tmp_path / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 4\n%%EndComments\n")
    assert images_module.FORMATS == ("PNG", "JPEG", "BMP", "WEBP")
    assert "x.png: not readable as .png" in refusal(SampleError, tmp_path)


# --- paths


def test_missing_paths_and_unknown_kinds_are_usage_errors(tmp_path):
    assert "which does not exist" in refusal(UsageError, tmp_path / "missing.npy")
    (tmp_path / "x.pt").write_bytes(b"")
    assert ".npy, .npz or a folder of images expected" in refusal(UsageError, tmp_path / "x.pt")


def test_exit_codes_tell_usage_from_contents():
    assert (UsageError.exit_code, SampleError.exit_code) == (2, 3)


def test_a_name_and_a_path_as_text_are_accepted(tmp_path):
    path = npy(tmp_path, pixels())
    assert load_samples(str(path), event_shape=list(DIGIT), name="mine").name == "mine"


# --- the sampler


def pool(n=50):
    return ArraySampler("file", torch.arange(n))


def test_the_same_seed_takes_the_same_samples_and_another_seed_others():
    assert pool().take(20, seed=1).tolist() == pool().sample(20, seed=1).tolist()
    assert pool().take(20, seed=1).tolist() != pool().take(20, seed=2).tolist()


def test_samples_are_taken_without_replacement_and_a_larger_take_continues_a_smaller():
    everything = pool().take(50, seed=0).tolist()
    assert sorted(everything) == list(range(50))
    assert everything != list(range(50))
    assert pool().take(30, seed=0).tolist() == everything[:30]


def test_every_sample_is_equally_likely_to_be_taken():
    """Taking 10 of 50 under 2,000 seeds takes each sample 400 times, deviation sqrt(2000 * .2 * .8) = 17.9; five
    deviations for all 50 samples fail with probability 3e-5 under other seeds."""
    counts = torch.zeros(50)
    for seed in range(2000):
        counts[pool().take(10, seed=seed)] += 1
    assert (counts - 400).abs().max() < 5 * 17.9


def test_more_than_the_file_holds_is_refused():
    with pytest.raises(SampleError, match="file: 51 samples expected, got 50; generate more"):
        pool().take(51, seed=0)
