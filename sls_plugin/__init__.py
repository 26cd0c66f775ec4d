"""The fairseq user directory: detectors of synthetic speech.

Light on purpose. fairseq itself imports every file of `tasks/` and `models/` of a `--user-dir`;
`sls evaluate` and `sls report` must start without torch.
"""
