"""From waveforms to scores: detectors, batches, windows, shards."""
