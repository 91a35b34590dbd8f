"""Named seconds: what is charged to whom, by a clock that the test moves, and nothing where nobody collects."""

import contextvars
import subprocess
import sys
import threading

import pytest

from genbench.timing import collect, measure, measure_each


class Clock:
    """Time passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_part_is_charged_what_passes_inside_it_and_sums_over_its_visits(clock):
    with collect(clock=clock) as seconds:
        clock.now += 7
        for _ in range(3):
            with measure("sampling"):
                clock.now += 2
            clock.now += 5
        with measure("metric fd"):
            clock.now += 0.5
    assert seconds == {"sampling": 6, "metric fd": 0.5}


def test_a_part_within_a_part_is_taken_from_it_so_that_the_sum_is_the_whole(clock):
    with collect(clock=clock) as seconds, measure("outer"):
        clock.now += 1
        with measure("inner"):
            clock.now += 10
            with measure("outer"):
                clock.now += 100
        clock.now += 1000
    assert seconds == {"outer": 1101, "inner": 10}
    assert list(seconds) == ["outer", "inner"]


def test_a_part_that_fails_is_charged_and_the_one_around_it_goes_on(clock):
    def fail():
        clock.now += 3
        raise ValueError("on purpose")

    with collect(clock=clock) as seconds, measure("outer"):
        with pytest.raises(ValueError, match="on purpose"), measure("inner"):
            fail()
        clock.now += 4
    assert seconds == {"outer": 4, "inner": 3}


def test_nothing_is_kept_where_nobody_collects_or_nobody_collects_any_more(clock):
    with measure("before"):
        clock.now += 1
    with collect(clock=clock) as seconds:
        pass
    with measure("after"):
        clock.now += 1
    assert seconds == {}
    assert measure("a") is measure("b")  # one object that does nothing, made once


def test_an_error_ends_the_collecting(clock):
    with pytest.raises(ValueError, match="on purpose"), collect(clock=clock) as seconds:
        raise ValueError("on purpose")
    with measure("after"):
        clock.now += 1
    assert seconds == {}


def test_a_collector_inside_another_hands_its_seconds_on(clock):
    with collect(clock=clock) as whole:
        with measure("metric"):
            clock.now += 1
        with collect(clock=clock) as part, measure("metric"):
            clock.now += 2
        assert part == {"metric": 2}
        with measure("metric"):
            clock.now += 4
    assert part == {"metric": 2}
    assert whole == {"metric": 7}


def test_two_runs_one_after_the_other_do_not_add(clock):
    found = []
    for _ in range(2):
        with collect(clock=clock) as seconds, measure("sampling"):
            clock.now += 1
        found.append(seconds)
    assert found == [{"sampling": 1}, {"sampling": 1}]


def test_threads_and_contexts_do_not_add_to_each_other(clock):
    def elsewhere():
        with measure("elsewhere"):
            clock.now += 1

    with collect(clock=clock) as seconds:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        contextvars.Context().run(elsewhere)
        assert seconds == {}
        contextvars.copy_context().run(elsewhere)
    assert seconds == {"elsewhere": 1}


def test_items_are_charged_for_their_making_and_not_for_their_use(clock):
    def blocks():
        for block in "abc":
            clock.now += 2
            yield block
        clock.now += 1  # the end is waited for too

    with collect(clock=clock) as seconds:
        seen = []
        for block in measure_each("sampling", blocks()):
            seen.append(block)
            with measure("extraction"):
                clock.now += 10
    assert seen == ["a", "b", "c"]
    assert seconds == {"sampling": 7, "extraction": 30}


def test_items_are_passed_on_where_nobody_collects():
    assert list(measure_each("sampling", [None, 0, ()])) == [None, 0, ()]


def test_an_error_of_the_items_is_passed_on(clock):
    def blocks():
        yield 1
        raise ValueError("on purpose")

    with collect(clock=clock) as seconds, pytest.raises(ValueError, match="on purpose"):
        list(measure_each("sampling", blocks()))
    assert seconds == {"sampling": 0}


def test_work_that_goes_on_after_a_call_is_waited_for_where_a_part_begins_and_ends(clock):
    """A device that has been given 5 seconds of work by "extraction", whose call returns at once."""
    queued = []

    def settle():
        clock.now += sum(queued)
        queued.clear()

    for wait, expected in ((settle, {"extraction": 5, "metric": 0}), (None, {"extraction": 0, "metric": 5})):
        with collect(clock=clock, settle=wait) as seconds:
            with measure("extraction"):
                queued.append(5)
            with measure("metric"):
                settle()
        assert seconds == expected


def test_the_real_clock_is_in_seconds():
    with collect() as seconds, measure("sum"):
        sum(range(1000))
    assert 0 < seconds["sum"] < 60


def test_it_needs_the_standard_library_alone():
    code = "import sys; import genbench.timing; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
