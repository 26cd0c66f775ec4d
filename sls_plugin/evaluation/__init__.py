"""Scores against keys: error rates, breakdowns by condition, paired comparisons."""
