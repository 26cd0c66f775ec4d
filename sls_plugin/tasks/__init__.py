"""The fairseq task and all that only fairseq uses; importing this package registers everything that the plugin offers.

fairseq imports tasks/ and models/ of a `--user-dir` by itself, unless the plugin was imported before: commands of ours that
call into fairseq import this package first.
"""

import importlib
import pkgutil

import sls_plugin.criterions
import sls_plugin.models
import sls_plugin.optim  # noqa: F401  (imported to be registered, like the two above)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
