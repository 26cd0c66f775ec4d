"""Translate a command of the original authors to commands of this project: see recipes/original/README.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # where it is even if PYTHONSAFEPATH is set
from original.translate import main

if __name__ == "__main__":
    sys.exit(main())
