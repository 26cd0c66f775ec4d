"""Presents evaluations: a table for the terminal, and one HTML file."""
