"""Training: any `genbench.protocols.Baseline`, from any seed, to any stop, exactly resumable."""

from genbench.training.harness import WINDOW as WINDOW
from genbench.training.harness import Stop as Stop
from genbench.training.harness import train as train
from genbench.training.speed import Speed as Speed
