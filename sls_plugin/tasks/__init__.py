"""The fairseq task; importing this package registers everything that the plugin offers.

fairseq imports tasks/ and models/ of a `--user-dir` by itself, unless the plugin was imported before: commands of ours that
call into fairseq import this package first.
"""

from sls_plugin.models import aasist, prosody_encoder, rawgat_st, rawnet2, sls, xlsr_aasist, xlsr_linear, xlsr_mamba
from sls_plugin.tasks import asvspoof

__all__ = ["aasist", "asvspoof", "prosody_encoder", "rawgat_st", "rawnet2", "sls", "xlsr_aasist", "xlsr_linear", "xlsr_mamba"]
