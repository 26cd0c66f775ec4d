"""A trial: an utterance to be classified as bona fide or spoof."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LABELS = ("bonafide", "spoof")

# How corpora spell them.
LABEL_SPELLINGS = {"bonafide": "bonafide", "bona-fide": "bonafide", "spoof": "spoof"}
PHASE_SPELLINGS = {"progress": "progress", "eval": "eval", "hidden": "hidden", "hidden_track": "hidden"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One utterance with its label, as a protocol or manifest lists it.

    `audio` is a path, `label` is `bonafide`, `spoof` or empty when unknown, `n_frames` is the length in samples at
    16 kHz (0: not read), `facts` is what else the corpus knows (speaker, attack, codec, ...) in its own words; trials
    with the same facts may share one mapping.

    >>> trial = Trial("LA_E_2834763", "flac/LA_E_2834763.flac", "spoof", facts={"speaker": "LA_0039", "attack": "A11"})
    >>> trial.label, trial.facts["attack"]
    ('spoof', 'A11')
    """

    id: str
    audio: str
    label: str = ""
    n_frames: int = 0
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
