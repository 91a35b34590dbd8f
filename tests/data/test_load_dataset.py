"""Options of datasets are checked against their signatures before anything is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest

from genbench.data import load_dataset
from genbench.data.digits import digits
from genbench.definitions import Dataset
from genbench.errors import DeclarationError, UnknownNameError, UsageError

ME = f"{__name__}:"


def made(
    *,
    size: int,
    share: float | None = None,
    word: Literal["a", "b"] = "a",
    pair: Sequence[float] = (),
    on: bool = False,
) -> Dataset:
    points = np.full((size, 2), share or 0.0, dtype=np.float32)
    return Dataset(name=f"{word}{len(pair)}{on}", train=points, test=points)


def open_ended(**anything: Any) -> Dataset:
    return made(size=len(anything))


def no_dataset() -> int:
    return 3


def test_a_name_gives_what_its_function_gives() -> None:
    assert load_dataset("digits") is digits()


def test_options_are_passed_on() -> None:
    data = load_dataset(f"{ME}made", size=3, share=0.5, word="b", pair=[0, 1], on=True)
    assert (data.name, data.train.shape, data.train[0, 0]) == ("b2True", (3, 2), 0.5)
    assert len(load_dataset(f"{ME}open_ended", x=1, y=2).train) == 2


def test_whole_numbers_are_numbers() -> None:
    assert load_dataset(f"{ME}made", size=3, share=1).train[0, 0] == 1


def test_an_unknown_option_is_refused_with_advice() -> None:
    with pytest.raises(UnknownNameError, match=r"option of dataset .*'shar'\. Did you mean 'share'"):
        load_dataset(f"{ME}made", size=3, shar=0.2)


@pytest.mark.parametrize(("key", "flag"), [("root", "--data-root"), ("download", "--download")])
def test_data_without_published_files_take_no_root(key: str, flag: str) -> None:
    with pytest.raises(UsageError, match=f"'digits': has no published files .*{flag} out"):
        load_dataset("digits", **{key: True})


@pytest.mark.parametrize(
    "wrong",
    [{"size": 2.5}, {"size": True}, {"share": "0.2"}, {"share": False}, {"word": "c"}, {"on": 1}, {"pair": 3}],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(wrong: dict[str, Any]) -> None:
    (key,) = wrong
    with pytest.raises(UsageError, match=f"{key} must be .*, got {next(iter(wrong.values()))!r}"):
        load_dataset(f"{ME}made", **{"size": 3, **wrong})


def test_a_missing_option_is_named() -> None:
    with pytest.raises(UsageError, match="the option 'size' is missing"):
        load_dataset(f"{ME}made")


def test_what_is_no_dataset_is_refused() -> None:
    with pytest.raises(DeclarationError, match="a genbench Dataset expected, got int"):
        load_dataset(f"{ME}no_dataset")


def test_a_name_that_does_not_exist_gets_advice() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        load_dataset("digitts")
