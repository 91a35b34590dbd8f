"""JUnit XML: what did not pass is never green, every number is there, and any text can be parsed back."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from genbench.gate.junit import junit_error, junit_xml
from tests.gate.shown import HOSTILE, make_result, make_row, three_verdicts


def cases(xml: str) -> dict[str, ElementTree.Element]:
    """Parse a document from bytes, as servers do; test cases by name."""
    return {str(case.get("name")): case for case in ElementTree.fromstring(xml.encode()).iter("testcase")}


def test_every_metric_is_a_test_and_only_a_pass_is_green() -> None:
    found = cases(junit_xml(three_verdicts()))
    assert {name: [child.tag for child in case if child.tag != "properties"] for name, case in found.items()} == {
        "fd@digits-cnn.pool": ["failure"],
        "recall@digits-cnn.pool": ["error"],
        "entropy_knn@digits-cnn.pool": [],
    }
    assert {case.get("classname") for case in found.values()} == {"genbench.digits@1"}


def test_counts_agree_with_the_cases() -> None:
    suite = next(ElementTree.fromstring(junit_xml(three_verdicts(), seconds=1.5)).iter("testsuite"))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")] == [
        "3",
        "1",
        "1",
        "0",
        "1.500",
    ]


def test_an_inconclusive_metric_is_skipped_only_where_that_is_allowed() -> None:
    found = cases(junit_xml(three_verdicts(), allow_inconclusive=True))
    assert found["recall@digits-cnn.pool"].find("skipped") is not None
    assert found["fd@digits-cnn.pool"].find("failure") is not None


def test_an_improvement_that_was_asked_for_is_a_failure_of_its_own_type() -> None:
    (case,) = cases(junit_xml(make_result(make_row(verdict="improvement"), two_sided=True))).values()
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("type") == "improvement"


def test_properties_hold_every_number_to_the_last_digit() -> None:
    row = make_row(difference=0.1 + 0.2, low=None)
    (case,) = cases(junit_xml(make_result(row))).values()
    facts = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert float(str(facts["difference"])) == 0.1 + 0.2
    assert "low" not in facts
    assert facts["n_new"] == "4000"


def test_a_message_says_what_to_look_at_without_the_properties() -> None:
    message = str(cases(junit_xml(three_verdicts()))["fd@digits-cnn.pool"].find("failure").get("message"))  # type: ignore[union-attr]
    assert message == (
        "REGRESSION: wgan-gp against baselines/digits.json (baseline: gan), digits@1: fd@digits-cnn.pool (lower is "
        "better): regression: 5.5, baseline 3.214, margin 0.2847"
    )


def test_a_check_that_could_not_be_evaluated_is_an_error() -> None:
    (case,) = cases(junit_error("check: no such baseline")).values()
    error = case.find("error")
    assert error is not None
    assert error.get("message") == "check: no such baseline"


def test_any_text_gives_a_document_that_can_be_parsed() -> None:
    row = make_row(HOSTILE, verdict="regression")
    found = make_result(row, benchmark=HOSTILE, name_new=HOSTILE, against=HOSTILE, notes=(HOSTILE,))
    (name,) = cases(junit_xml(found))
    # What XML cannot write is escaped; all else comes back as it was.
    expected = HOSTILE.replace("\x1b", "\\x1b").replace("\x00", "\\x00")
    assert name == expected.replace("\ud800", "\\ud800").replace("\ufffe", "\\ufffe")
    assert len(cases(junit_error(HOSTILE))) == 1


def test_junitparser_reads_it(tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    path = tmp_path / "junit.xml"
    path.write_bytes(junit_xml(three_verdicts()).encode())
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    kinds = [[type(result).__name__ for result in case.result] for case in suite]
    assert kinds == [["Failure"], ["Error"], []]
