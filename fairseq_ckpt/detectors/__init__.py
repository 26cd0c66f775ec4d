"""The published detectors, one file each.

A file holds all that is known of a detector outside its network, as the object `DETECTOR`. A new file is found by itself.
"""

import pkgutil
from importlib import import_module

from fairseq_ckpt.published_detector import Card, PublishedDetector

__all__ = ["CARDS", "DETECTORS", "find_detector"]

# The largest first, as `sls models` lists them.
DETECTORS: tuple[PublishedDetector, ...] = tuple(
    sorted(
        (import_module(f"{__name__}.{module.name}").DETECTOR for module in pkgutil.iter_modules(__path__)),
        key=lambda detector: -detector.cards[0].n_parameters,
    )
)
CARDS: dict[str, Card] = {card.arch: card for detector in DETECTORS for card in detector.cards}


def find_detector(name: object) -> PublishedDetector | None:
    """The detector with this name of a model or architecture; None when there is none.

    >>> find_detector("aasist_l").title
    'AASIST or AASIST-L'
    """
    return next((detector for detector in DETECTORS if isinstance(name, str) and name in detector.names), None)
