"""Write a detector that takes clips of another length; its weights stay.

python recipes/xlsr_mamba/clip_length.py CHECKPOINT SAMPLES OUT
"""

import sys

from fairseq_ckpt import CheckpointError
from fairseq_ckpt.detector import read_detector
from fairseq_ckpt.writing import fairseq_dictionary, write_pickled


def main() -> int:
    """Exit status 0 when OUT is written, 1 on a problem with the checkpoint, told in one line."""
    checkpoint, n_samples, out = sys.argv[1:]
    try:
        detector = read_detector(checkpoint)
        detector.config["task"]["max_samples"] = int(n_samples)
        write_pickled(fairseq_dictionary(detector.config, detector.tensors), out)
    except CheckpointError as error:
        print(f"clip_length.py: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
