"""Optimisers that fairseq lacks."""
