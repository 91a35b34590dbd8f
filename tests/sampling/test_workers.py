"""Images decoded in worker processes: the same samples and errors, and processes that end when they should."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from genbench.errors import SampleError, SetupError, UsageError
from genbench.load import load_sampler
from genbench.sampling.blocks import draw_blocks
from tests.files.conftest import encoded, everything

DIGIT = (1, 4, 5)
ROOT = Path(__file__).parents[2]


def test_any_number_of_workers_gives_the_same_samples_in_the_same_order(folder, packed, pixels):
    images = pixels(70)
    contents = {f"{row:03}.png": encoded(image) for row, image in enumerate(images)}
    order = np.random.default_rng(0).permutation(70)
    for source in (folder(images), packed(contents), packed(contents, "images.tar")):
        sampler = load_sampler(source, event_shape=DIGIT, workers=2)
        np.testing.assert_array_equal(sampler.rows(order).numpy(), images[order])
        np.testing.assert_array_equal(sampler.rows(order[:3]).numpy(), images[order[:3]])
        assert sampler.rows(order[:0]).shape == (0, *DIGIT)
        sampler.close()
        np.testing.assert_array_equal(sampler.rows(order[:1]).numpy(), images[order[:1]])  # starts new ones
        sampler.close()


def test_an_error_in_a_worker_is_the_error_without_workers(folder, pixels):
    path = folder(pixels(20))
    (path / "013.png").write_bytes(b"damaged")
    said = []
    for workers in (0, 2):
        sampler = load_sampler(path, event_shape=DIGIT, workers=workers)
        with pytest.raises(SampleError) as caught:
            everything(sampler)
        said.append(str(caught.value))
        assert everything_but(sampler, 13).shape == (19, *DIGIT)  # the workers live on
        if workers:
            sampler.close()
    assert said[0] == said[1]
    assert "013.png: not readable as an image" in said[0]


def everything_but(sampler, row):
    return sampler.rows(np.delete(np.arange(len(sampler)), row))


def test_the_next_block_is_decoded_while_this_one_is_used(folder, pixels):
    images = pixels(40)
    sampler = load_sampler(folder(images), event_shape=DIGIT, workers=1)
    sampler.decode_ahead(np.arange(5))
    assert [piece.result().shape[1:] for piece in sampler._ahead[1]] == [DIGIT] * 3  # two rows, two rows, one row
    under_way = sampler._ahead[1]
    np.testing.assert_array_equal(sampler.rows(np.arange(5)).numpy(), images[:5])
    assert sampler._ahead == ([], [])
    sampler.decode_ahead(np.arange(5))
    np.testing.assert_array_equal(sampler.rows(np.arange(5, 9)).numpy(), images[5:9])  # not what was prepared
    np.testing.assert_array_equal(sampler.rows(np.arange(5)).numpy(), images[:5])
    assert all(piece.done() for piece in under_way)
    sampler.close()


def test_without_workers_nothing_is_decoded_ahead(folder, pixels):
    sampler = load_sampler(folder(pixels(10)), event_shape=DIGIT)
    sampler.decode_ahead(np.arange(5))
    assert sampler._ahead == ([], [])


def test_drawing_decodes_one_block_ahead_and_gives_the_same_samples(folder, pixels):
    images = pixels(40)
    drawn = []
    for workers in (0, 1):
        sampler = load_sampler(folder(images), event_shape=DIGIT, workers=workers)
        ahead = []
        parts = []
        for part in draw_blocks(sampler, 23, seed=3, event_shape=DIGIT, block=10):
            parts.append(part.numpy())
            ahead.append(len(sampler._ahead[0]))
        drawn.append(np.concatenate(parts))
        assert ahead == ([10, 3, 0] if workers else [0, 0, 0])
        sampler.close()
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_an_error_ahead_is_told_when_its_block_is_asked_for(folder, pixels):
    path = folder(pixels(20))
    (path / "013.png").write_bytes(b"damaged")
    sampler = load_sampler(path, event_shape=DIGIT, workers=1)
    sampler.decode_ahead(np.arange(10, 20))
    assert len(sampler.rows(np.arange(10))) == 10
    sampler.decode_ahead(np.arange(10, 20))
    with pytest.raises(SampleError, match=r"013\.png: not readable as an image"):
        sampler.rows(np.arange(10, 20))
    sampler.close()


def test_a_negative_number_is_refused(folder, pixels, refusal):
    assert "workers: a number from 0 expected, got -1" in refusal(UsageError, folder(pixels()), workers=-1)


def test_a_worker_that_is_killed_is_an_error_and_not_a_hang(folder, pixels):
    sampler = load_sampler(folder(pixels(40)), event_shape=DIGIT, workers=1)
    everything(sampler)
    (process,) = sampler._pool._processes.values()
    process.kill()
    process.join()
    sampler.decode_ahead(np.arange(3))  # says nothing yet
    with pytest.raises(SetupError, match="images: a process that decodes images died"):
        everything(sampler)
    np.testing.assert_array_equal(everything(sampler), pixels(40))  # and the next block starts a new one
    sampler.close()


SCRIPT = """
    import sys, time

    def main():
        import numpy as np
        from genbench.load import load_sampler

        sampler = load_sampler(sys.argv[1], event_shape=(1, 4, 5), workers=2)
        assert len(sampler.rows(np.arange(len(sampler)))) == 40
        print(*sampler._pool._processes, flush=True)
        {end}

    if __name__ == "__main__":
        main()
"""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def run(tmp_path, source, end):
    """Start a program that decodes with two workers, and return it with the ids of the workers."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(end=end))
    process = subprocess.Popen(
        [sys.executable, str(script), str(source)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, [int(pid) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize("end", ["pass", "sampler.close()", "raise SystemExit(0)"])
def test_no_process_outlives_the_program_and_it_does_not_hang(tmp_path, end, folder, pixels):
    process, workers = run(tmp_path, folder(pixels(40)), end)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(workers) == 2
    assert not any(alive(pid) for pid in workers)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_workers_end_when_the_program_is_killed(tmp_path, folder, pixels):
    process, workers = run(tmp_path, folder(pixels(40)), "time.sleep(600)")
    assert all(alive(pid) for pid in workers)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    for _ in range(600):
        if not any(alive(pid) for pid in workers):
            return
        time.sleep(0.05)
    pytest.fail(f"workers {workers} outlive the program that started them")


def test_an_unguarded_script_is_told_what_to_do(tmp_path, folder, pixels):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, numpy as np\nfrom genbench.load import load_sampler\n"
        "load_sampler(sys.argv[1], event_shape=(1, 4, 5), workers=1).rows(np.arange(3))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), str(folder(pixels()))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "put the call under if __name__ == '__main__'" in done.stderr
