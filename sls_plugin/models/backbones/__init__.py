"""Self-supervised networks, one file each; every head of `sls_plugin.models` runs on every one of them.

A new backbone is a new file here, with a class that derives from `Backbone` and is decorated with `register_backbone`.
"""

import importlib
import pkgutil

from .backbone import Backbone
from .config import BackboneConfig
from .detector import BackboneDetector, BackboneDetectorConfig
from .registry import BACKBONES, build_backbone, register_backbone

__all__ = [
    "BACKBONES",
    "Backbone",
    "BackboneConfig",
    "BackboneDetector",
    "BackboneDetectorConfig",
    "build_backbone",
    "register_backbone",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
