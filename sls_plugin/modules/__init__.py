"""Building blocks that several detectors share; none is registered with fairseq."""
