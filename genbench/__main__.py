"""``python -m genbench``; also what torchrun starts."""

import sys

from genbench.cli import main
from genbench.distributed.leading import as_one

if __name__ == "__main__":
    sys.exit(as_one(main))
