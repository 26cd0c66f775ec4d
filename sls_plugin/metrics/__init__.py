"""The measures of the field: arrays in, numbers out, no files."""
