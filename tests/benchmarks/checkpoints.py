"""Figures that need files of the true size.

    PYTHONPATH=.:tests python tests/benchmarks/checkpoints.py FOLDER    5 GB, about two minutes

Peak memory of the commands beside that of `import torch`, hashes of a round trip, and the difference between the scores of a
random original of SLS with all 24 layers and those of the naive reference.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

COMMAND = (sys.executable, "-m", "fairseq_ckpt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    original, xlsr = folder / "original.pth", folder / "xlsr.pt"
    # In a process of its own: commands would begin with the memory of this one.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
        largest = other.submit(difference, original).result()
    run(*COMMAND, "make-random", "--preset", "300m", xlsr)
    base = run(sys.executable, "-c", "import torch")
    print(f"{'import torch':45} {base / 1e6:7.0f} MB")
    for file, *command in [
        (original, "inspect", original),
        (xlsr, "inspect", xlsr),
        (original, "convert", original, folder / "a.pt", "--to", "fairseq"),
        (folder / "a.pt", "convert", folder / "a.pt", folder / "a.safetensors", "--to", "safetensors"),
        (folder / "a.safetensors", "convert", folder / "a.safetensors", folder / "back.pth", "--to", "original"),
        (xlsr, "convert", xlsr, folder / "hf", "--to", "huggingface"),
        (folder / "hf" / "model.safetensors", "convert", folder / "hf", folder / "back.pt", "--to", "fairseq"),
        (folder / "back.pth", "verify", folder / "back.pth"),
    ]:
        n_bytes = file.stat().st_size
        peak = run(*COMMAND, *command)
        what = " ".join([command[0], file.name, *map(str, command[4:])])
        print(f"{what:45} {peak / 1e6:7.0f} MB, {(peak - base) / 1e6:7.0f} MB above; file {n_bytes / 1e6:,.0f} MB")
    print(f"24 layers, 1024 features: largest difference from the reference {largest:.1e}")


def run(*command: str | Path) -> int:
    """Peak memory of a command, in bytes; what it says about hashes is printed."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said
    print(*(f"  {line}" for line in said.splitlines() if "SHA-256" in line), sep="\n", end="\n" if "SHA-256" in said else "")
    return usage.ru_maxrss * 1024


def difference(original: Path) -> float:
    """Of log-probabilities, over two clips of noise; writes the original's checkpoint."""
    import torch
    from made_checkpoints import write_original_sls

    from fairseq_ckpt.wav2vec.spec import XLSR_300M
    from sls_plugin.inference.load import load_detector

    reference = write_original_sls(original, config=XLSR_300M, n_frames=201)
    waveforms = 0.1 * torch.randn(2, 64_600, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = reference(waveforms)
        detector = load_detector(original).model
        return (detector.eval()(waveforms) - expected).abs().max().item()


if __name__ == "__main__":
    main()
