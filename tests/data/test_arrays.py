"""Arrays and tables as datasets: reading, splits, units, and refusals."""

import contextlib
import io
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.data.arrays import array
from genbench.definitions import Standardization
from genbench.errors import GenbenchError, SampleError, SetupError, UsageError
from genbench.files.limits import Limits
from tests.data.published import images


def points(n=20, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * [2, 30, 0.1][:d] + [5, -100, 0][:d]


def saved(path, content):
    np.save(path, content)
    return path


def written(path, text):
    path.write_text(text)
    return path


def test_vectors_from_two_files(tmp_path):
    first, second = points(), points(7, seed=1).astype(np.float32)
    data = array(train=saved(tmp_path / "a.npy", first), test=saved(tmp_path / "b.npy", second))
    assert (data.train.dtype, data.event_shape) == (np.float32, (3,))
    np.testing.assert_array_equal(data.train, first.astype(np.float32))
    np.testing.assert_array_equal(data.test, second)
    assert data.standardization is None


def test_a_share_of_one_file_is_held_out(tmp_path):
    whole = points(50)
    data = array(path=saved(tmp_path / "a.npy", whole), held_out=0.2)
    assert (len(data.train), len(data.test)) == (40, 10)
    found = np.concatenate([data.train, data.test])
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(whole.astype(np.float32), axis=0))


def test_the_held_out_rows_do_not_depend_on_the_order_of_the_file(tmp_path):
    whole = points(50)
    first = array(path=saved(tmp_path / "a.npy", whole), held_out=0.2)
    second = array(path=saved(tmp_path / "b.npy", whole[::-1]), held_out=0.2)
    assert set(map(bytes, first.test)) == set(map(bytes, second.test))


def test_one_value_changes_the_fingerprint_and_the_name_does_not(tmp_path):
    whole = points(50)
    first = array(path=saved(tmp_path / "a.npy", whole), held_out=0.2).fingerprint
    assert array(path=saved(tmp_path / "b.npy", whole), held_out=0.2).fingerprint == first
    whole[3, 1] += 0.1
    assert array(path=saved(tmp_path / "a.npy", whole), held_out=0.2).fingerprint != first


def test_npz_with_labels(tmp_path):
    np.savez(tmp_path / "a.npz", arr_0=points(30), labels=np.repeat([5, 2, 10], 10), other=np.zeros(3))
    data = array(path=tmp_path / "a.npz", held_out=0.3)
    assert np.bincount(data.test_labels).tolist() == [3, 3, 3]
    assert np.bincount(data.train_labels).tolist() == [7, 7, 7]


def test_npz_with_a_single_array_and_with_labels_by_another_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=points())
    np.savez(tmp_path / "b.npz", x=points(seed=1), labels=np.zeros(20))
    np.savez(tmp_path / "c.npz", samples=points(seed=2), y=np.arange(20) % 2)
    assert array(train=tmp_path / "a.npz", test=tmp_path / "c.npz").train_labels is None
    data = array(train=tmp_path / "c.npz", test=tmp_path / "c.npz", label="y")
    assert data.train_labels.tolist() == [0, 1] * 10
    with pytest.raises(SampleError, match="labels in both files"):
        array(train=tmp_path / "a.npz", test=tmp_path / "b.npz")


# ---- standardization


def test_standardization_is_fitted_on_the_training_split_alone(tmp_path):
    first, second = points(200), points(50, seed=1) + 3
    data = array(train=saved(tmp_path / "a.npy", first), test=saved(tmp_path / "b.npy", second), standardize=True)
    np.testing.assert_allclose(data.train.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.std(axis=0), 1, rtol=1e-6)
    expected = (second - first.mean(axis=0)) / first.std(axis=0)
    np.testing.assert_allclose(data.test, expected, rtol=1e-6)  # float32 keeps 6e-8
    np.testing.assert_allclose(data.standardization.undo(data.test), second, rtol=1e-5)
    np.testing.assert_array_equal(data.standardization.apply(second), data.test)


def test_a_constant_column_keeps_its_unit(tmp_path):
    """0.1 is no binary fraction: the deviation of its copies comes out as rounding, not as 0."""
    whole = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    second = whole + np.array([2, 0])
    data = array(train=saved(tmp_path / "a.npy", whole), test=saved(tmp_path / "b.npy", second), standardize=True)
    assert data.standardization.scale[0] == 1
    assert (data.train[:, 0] == 0).all()
    np.testing.assert_allclose(data.test[:, 0], 2, rtol=1e-6)


def test_large_offsets_lose_nothing_when_standardized(tmp_path):
    """Seconds since 1970 differ by less than float32's steps of 128 there."""
    whole = 1.6e9 + np.arange(100.0)[:, None]
    data = array(path=saved(tmp_path / "a.npy", whole), held_out=0.2, standardize=True)
    assert len(np.unique(np.concatenate([data.train, data.test]))) == 100


def test_standardization_of_rows_of_another_width_is_refused():
    fitted = Standardization(mean=np.zeros(3), scale=np.ones(3))
    with pytest.raises(SampleError, match=r"\(n, 3\) expected, got \(4, 1\)"):
        fitted.apply(np.zeros((4, 1)))


def test_images_are_not_standardized(tmp_path):
    with pytest.raises(UsageError, match="standardize is for vectors"):
        array(path=saved(tmp_path / "a.npy", images(9, 3, 4)), held_out=0.2, standardize=True)


# ---- tables of text


CSV = "a,b,kind\n1,2.5,x\n3,4,y\n-5,6e3,x\n7,8,y\n"


def test_a_csv_with_a_header_and_labels(tmp_path):
    path = written(tmp_path / "t.csv", CSV)
    data = array(train=path, test=path, label="kind")
    np.testing.assert_array_equal(data.train, np.array([[1, 2.5], [3, 4], [-5, 6000], [7, 8]], dtype=np.float32))
    assert data.train_labels.tolist() == [0, 1, 0, 1]


def test_a_csv_without_a_header_calls_columns_by_number(tmp_path):
    path = written(tmp_path / "t.csv", "1,2,10\n3,4,9\n5,6,10\n")
    data = array(train=path, test=path, label="2")
    assert data.train.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert data.train_labels.tolist() == [1, 0, 1]  # 9 before 10


def test_a_tsv_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes("\ufeff1\t2\n3\t4\n".encode())
    assert array(train=path, test=path).train.tolist() == [[1, 2], [3, 4]]


def test_a_first_line_of_words_and_numbers_needs_a_declaration(tmp_path):
    path = written(tmp_path / "t.csv", "a,1\n2,3\n4,5\n")
    with pytest.raises(UsageError, match="header = true or header = false"):
        array(train=path, test=path)
    assert array(train=path, test=path, header=True).train.tolist() == [[2, 3], [4, 5]]
    with pytest.raises(SampleError, match="a number expected in row 1, column '0', got 'a'"):
        array(train=path, test=path, header=False)


def test_numbers_can_be_names_if_declared(tmp_path):
    path = written(tmp_path / "t.csv", "2019,2020\n1,2\n3,4\n")
    assert len(array(train=path, test=path).train) == 3
    assert len(array(train=path, test=path, header=True).train) == 2


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "inf", "-inf"])
def test_what_is_not_finite_is_named_by_row_and_column(tmp_path, cell):
    path = written(tmp_path / "t.csv", f"a,b\n1,2\n3,{cell}\n5,{cell}\n")
    with pytest.raises(SampleError, match=r"in row 2, column 'b' \(2 such rows\)"):
        array(train=path, test=path)


def test_words_among_numbers_are_named_by_row_and_column(tmp_path):
    path = written(tmp_path / "t.csv", "a,b\n1,2\n3,NA\n5,6\n")
    with pytest.raises(SampleError, match="a number expected in row 2, column 'b', got 'NA'"):
        array(train=path, test=path)


def test_what_is_not_finite_in_an_array_is_named_too(tmp_path):
    whole = points()
    whole[4, 2] = np.nan
    with pytest.raises(SampleError, match=r"got nan in row 5, column 2 \(1 such rows\)"):
        array(path=saved(tmp_path / "a.npy", whole), held_out=0.2)


def test_a_missing_label_is_named(tmp_path):
    path = written(tmp_path / "t.csv", "a,kind\n1,x\n2,\n")
    with pytest.raises(SampleError, match="row 2 has no label in 'kind'"):
        array(train=path, test=path, label="kind")
    with pytest.raises(UsageError, match="no column 'knd'; it has a, kind"):
        array(train=path, test=path, label="knd")


def test_columns_must_be_the_same_in_both_files(tmp_path):
    first, second = written(tmp_path / "a.csv", "a,b\n1,2\n"), written(tmp_path / "b.csv", "b,a\n1,2\n")
    with pytest.raises(SampleError, match="got a, b in the one file and b, a in the other"):
        array(train=first, test=second)


def test_a_csv_that_is_none_is_refused(tmp_path):
    for text in ("", "a,b\n", "1,2\n3\n4,5,6\n"):
        path = written(tmp_path / "t.csv", text)
        with pytest.raises(SampleError):
            array(train=path, test=path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SampleError, match=r"not readable as \.csv"):
        array(train=path, test=path)


def test_parquet_is_a_table_or_says_what_it_needs(tmp_path, monkeypatch):
    path = written(tmp_path / "t.parquet", "whatever")
    monkeypatch.setattr(pd, "read_parquet", lambda path: pd.DataFrame({"a": [1, 2], "kind": ["y", "x"]}))
    data = array(train=path, test=path, label="kind")
    assert (data.train.tolist(), data.train_labels.tolist()) == ([[1], [2]], [1, 0])

    def missing(path):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(SetupError, match="pip install pyarrow"):
        array(train=path, test=path)


# ---- images


@pytest.mark.parametrize("channels", [1, 3])
def test_the_layout_is_taken_from_an_unambiguous_shape(tmp_path, channels):
    whole = images(10, channels, 8)
    first = array(path=saved(tmp_path / "a.npy", whole), held_out=0.2)
    second = array(path=saved(tmp_path / "b.npy", whole.transpose(0, 2, 3, 1)), held_out=0.2)
    assert first.event_shape == (channels, 8, 8)
    assert first.fingerprint == second.fingerprint


def test_greyscale_images_may_lack_the_axis_of_channels(tmp_path):
    whole = images(10, 1, 8)
    data = array(path=saved(tmp_path / "a.npy", whole[:, 0]), held_out=0.2)
    assert data.fingerprint == array(path=saved(tmp_path / "b.npy", whole), held_out=0.2).fingerprint


@pytest.mark.parametrize("shape", [(5, 3, 8, 3), (5, 8, 8, 8)])
def test_an_ambiguous_layout_names_both_readings(tmp_path, shape):
    path = saved(tmp_path / "a.npy", np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8))
    with pytest.raises(SampleError, match=r"\(n, C, H, W\) or \(n, H, W, C\); pass layout = 'NCHW' or layout = 'NHWC'"):
        array(path=path, held_out=0.4)
    _, a, b, c = shape
    assert array(path=path, held_out=0.4, layout="NCHW").event_shape == (a, b, c)
    assert array(path=path, held_out=0.4, layout="NHWC").event_shape == (c, a, b)


def test_a_layout_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(SampleError, match="layout NHW does not fit"):
        array(path=saved(tmp_path / "a.npy", images(5, 3, 8)), held_out=0.4, layout="NHW")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
def test_a_declared_range_becomes_bytes(tmp_path, low, high):
    whole = images(10, 3, 8)
    stored = (low + (high - low) * (whole / 255)).astype(np.float32)
    data = array(path=saved(tmp_path / "a.npy", stored), held_out=0.2, value_range=[low, high])
    assert sorted(map(bytes, [*data.train, *data.test])) == sorted(map(bytes, whole))


def test_a_range_that_is_not_declared_is_asked_for(tmp_path):
    path = saved(tmp_path / "a.npy", images(10, 3, 8) / 255)
    with pytest.raises(UsageError, match=r"float64 images need a declared range.*pass value_range = \[0, 1\]"):
        array(path=path, held_out=0.2)
    with pytest.raises(UsageError, match=r"value range .* expected, got \(0, 2\)"):
        array(path=path, held_out=0.2, value_range=[0, 2])


@pytest.mark.parametrize("value", [1.01, -0.01, np.nan, np.inf])
def test_values_outside_the_declared_range_are_refused(tmp_path, value):
    whole = images(10, 3, 8) / 255
    whole[3, 1, 2, 2] = value
    told = r"values in the declared range \[0, 1\] expected" if np.isfinite(value) else "1 of 10 samples are not finite"
    with pytest.raises(SampleError, match=told):
        array(path=saved(tmp_path / "a.npy", whole), held_out=0.2, value_range=(0, 1))


def test_words_for_images_are_refused_of_vectors(tmp_path):
    path = saved(tmp_path / "a.npy", points())
    with pytest.raises(UsageError, match="value range and a layout are declared for images only"):
        array(path=path, held_out=0.2, value_range=(0, 1))
    with pytest.raises(UsageError, match="layout are declared for images only"):
        array(path=path, held_out=0.2, layout="NHW")
    with pytest.raises(SampleError, match="images in both files"):
        array(train=path, test=saved(tmp_path / "b.npy", images(4, 3, 8)))


# ---- files that are not trusted


def npy(**header):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, **header})
    return stream.getvalue()


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SampleError):
        array(path=path, held_out=0.2)
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(SampleError):
        array(path=path, held_out=0.2)


def test_a_header_that_declares_more_than_there_is_takes_no_memory(tmp_path):
    lie = npy(shape=(10**12, 8)) + bytes(64)
    (tmp_path / "a.npy").write_bytes(lie)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("arr_0.npy", lie)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(SampleError):
            array(path=tmp_path / name, held_out=0.2)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("genbench.data.files.LIMITS", Limits(array_bytes=100_000))
    np.savez_compressed(tmp_path / "a.npz", np.zeros((10_000, 3)))
    with pytest.raises(SampleError, match="at most 100,000 bytes are read, got 240,000"):
        array(path=tmp_path / "a.npz", held_out=0.2)


@pytest.mark.parametrize("content", [np.zeros((0, 3)), np.float64(3), np.zeros((3, 0)), np.array(["a", "b"])])
def test_arrays_that_hold_no_samples_are_refused(tmp_path, content):
    with pytest.raises(SampleError):
        array(path=saved(tmp_path / "a.npy", content), held_out=0.2)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4, 5, 6)])
def test_other_numbers_of_axes_are_refused(tmp_path, shape):
    with pytest.raises(SampleError, match=r"images \(n, C, H, W\) or vectors \(n, d\) expected"):
        array(path=saved(tmp_path / "a.npy", np.zeros(shape)), held_out=0.2)


def test_what_float32_cannot_hold_is_refused(tmp_path):
    whole = points()
    whole[0, 0] = 1e300
    with pytest.raises(SampleError, match="float32 can hold"):
        array(path=saved(tmp_path / "a.npy", whole), held_out=0.2)


def test_other_files_and_misplaced_options_are_refused(tmp_path):
    path = saved(tmp_path / "a.npy", points())
    with pytest.raises(UsageError, match=r"use the dataset 'folder'"):
        array(path=tmp_path, held_out=0.2)
    with pytest.raises(UsageError, match=r"a file that ends in \.npy"):
        array(path=written(tmp_path / "a.txt", "1"), held_out=0.2)
    with pytest.raises(UsageError, match=r"header is declared for \.csv"):
        array(path=path, held_out=0.2, header=True)
    with pytest.raises(UsageError, match="no place for labels"):
        array(path=path, held_out=0.2, label="y")


def seeds():
    """The bytes of a good file of each kind."""
    arrays, archive = io.BytesIO(), io.BytesIO()
    np.save(arrays, points())
    np.savez(archive, arr_0=points(), labels=np.arange(20) % 2)
    return {".npy": arrays.getvalue(), ".npz": archive.getvalue(), ".csv": CSV.replace(",kind", ",3").encode()}


GOOD = seeds()


@settings(max_examples=300, deadline=None)
@given(
    suffix=st.sampled_from(sorted(GOOD)),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 10**6) | st.none(),
)
def test_any_damage_ends_in_a_dataset_or_a_refusal(tmp_path_factory, suffix, edits, cut):
    content = bytearray(GOOD[suffix])
    for position, value in edits:
        content[position % len(content)] = value
    path = tmp_path_factory.mktemp("arrays") / f"a{suffix}"
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    with contextlib.suppress(GenbenchError):  # and nothing else
        assert array(path=path, held_out=0.3).train.dtype in (np.float32, np.uint8)
