"""The fairseq user directory: detectors of synthetic speech.

Light on purpose. fairseq itself imports every file of `tasks/` and `models/` of a `--user-dir`;
`sls evaluate` and `sls report` must start without torch.
"""

import os

# Layers' outputs are new memory for each batch, and on Linux large pages of it cost a tenth less time. torch reads this once.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
