"""The registered models, one file each; fairseq imports them all."""
