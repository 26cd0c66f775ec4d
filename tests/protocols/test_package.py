"""The package as a whole: what it imports."""

import pkgutil
import subprocess
import sys

import protocols

MODULES = [module.name for module in pkgutil.walk_packages(protocols.__path__, "protocols.") if "__main__" not in module.name]


def test_it_imports_nothing_heavy_and_no_other_package_of_the_project() -> None:
    unwanted = {"torch", "soundfile", "librosa", "scipy", "tqdm", "fairseq", "fairseq_ckpt", "sls_plugin"}
    program = f"import sys; import {', '.join(MODULES)}; print(sorted({unwanted} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
