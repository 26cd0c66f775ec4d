"""From recordings to the fixed-length waveforms that the models take."""
