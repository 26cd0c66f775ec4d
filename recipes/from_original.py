"""Translate a command of the original authors to commands of this project: see recipes/original/README.md."""

import sys

from original.translate import main

if __name__ == "__main__":
    sys.exit(main())
