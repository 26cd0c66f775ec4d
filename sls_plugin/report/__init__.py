"""Scores and keys to figures: a table for the terminal, one HTML file for the reader."""
