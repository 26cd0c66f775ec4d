"""The commands of `python -m fairseq_ckpt`, one file each."""
