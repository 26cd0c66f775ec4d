"""The fairseq task and everything that only fairseq uses; importing this package registers the whole plugin with fairseq.

fairseq imports tasks/ and models/ of a `--user-dir` itself, but not if the plugin is already imported: our own commands that
call fairseq import this package first.
"""

import importlib
import pkgutil

import sls_plugin.criterions
import sls_plugin.models
import sls_plugin.optim  # noqa: F401  (imported to be registered, like the two above)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
