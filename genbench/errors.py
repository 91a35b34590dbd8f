"""What can go wrong, and the exit code that each kind of failure ends in.

Every message is one sentence that says who complains, what was expected, what was got and what to do.
"""

EXIT_OK = 0
EXIT_REGRESSION = 1
EXIT_USAGE = 2
EXIT_NOT_EVALUABLE = 3
EXIT_ENVIRONMENT = 4
EXIT_INTERRUPTED = 130


class GenbenchError(Exception):
    """Base of every error that genbench raises on purpose."""

    exit_code = EXIT_USAGE


class UsageError(GenbenchError):
    """The call or the configuration is wrong: an option, a range that was not declared, a malformed benchmark."""


class UnknownNameError(UsageError):
    """A name that no registry knows."""


class DeclarationError(UsageError):
    """A metric, extractor, dataset, baseline or benchmark is declared in a way that cannot work."""


class SampleError(GenbenchError):
    """Samples that cannot be scored: none, too few, not finite, of the wrong shape, or unreadable."""

    exit_code = EXIT_NOT_EVALUABLE


class ConvergenceError(GenbenchError):
    """A solver did not prove that its answer is the answer."""

    exit_code = EXIT_NOT_EVALUABLE


class ProtocolError(GenbenchError):
    """Numbers that were made under unlike protocols and must not be compared or mixed."""

    exit_code = EXIT_NOT_EVALUABLE


class TrainingError(GenbenchError):
    """A training run that diverged; it becomes a failed record."""

    exit_code = EXIT_NOT_EVALUABLE


class SetupError(GenbenchError):
    """The machine lacks something: weights, an extra, a device, a place that can be written to."""

    exit_code = EXIT_ENVIRONMENT
