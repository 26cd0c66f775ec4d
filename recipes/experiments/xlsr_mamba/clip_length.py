"""Write a copy of a detector that takes clips of another length; its weights stay the same.

python -m recipes.experiments.xlsr_mamba.clip_length CHECKPOINT SAMPLES OUT
"""

import sys

from fairseq_ckpt.detector import read_detector
from fairseq_ckpt.writing import fairseq_dictionary, write_pickled
from recipes.tools.command import exit_status


def set_clip_length(checkpoint: str, n_samples: int, out: str) -> None:
    """Raises CheckpointError when the file is not a detector."""
    detector = read_detector(checkpoint)
    detector.config["task"]["max_samples"] = n_samples
    write_pickled(fairseq_dictionary(detector.config, detector.tensors), out)


if __name__ == "__main__":
    checkpoint, n_samples, out = sys.argv[1:]
    sys.exit(exit_status("clip_length.py", set_clip_length, checkpoint, int(n_samples), out))
