"""Channels and noises for training and for tests of robustness: a waveform in, a waveform of the same utterance out."""
