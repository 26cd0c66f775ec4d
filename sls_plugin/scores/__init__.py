"""The files that hold scores: score files, timelines, the journal and metadata of a run."""
