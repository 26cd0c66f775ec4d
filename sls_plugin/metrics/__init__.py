"""What the field measures detectors by: arrays in, numbers out, no files."""
