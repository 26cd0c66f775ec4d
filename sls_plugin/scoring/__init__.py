"""From batches of waveforms to scores, and the files that hold them."""
