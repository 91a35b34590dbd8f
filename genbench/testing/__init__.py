"""The contract tests of genbench, for the metrics, baselines, datasets, samplers and extractors of other packages.

In a test file of a plug-in, one class runs the whole contract::

    from genbench.testing import MetricContract

    class TestMyMetric(MetricContract):
        part = "my_package:MY_METRIC"

From the command line, without a test file, and with ``baseline``, ``dataset``, ``sampler`` or ``extractor`` too::

    pytest --pyargs genbench.testing --genbench-part metric:my_package:MY_METRIC

Without ``--genbench-part``, every part that an installed plug-in has registered is held to its contract. The parts that
come with genbench keep the same contracts. Every failure is one sentence that says what was expected and what was got.
"""

from genbench.testing.baselines import BaselineContract as BaselineContract
from genbench.testing.datasets import DatasetContract as DatasetContract
from genbench.testing.extractors import ExtractorContract as ExtractorContract
from genbench.testing.metrics import MetricContract as MetricContract
from genbench.testing.samplers import SamplerContract as SamplerContract
