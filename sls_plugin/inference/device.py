"""Where a model computes."""

import os

import torch

from protocols import SettingError


def usable_device(name: str | None) -> str:
    """The device named, or the best there is: `cuda` where there is one, else `cpu`. SettingError when it is not there."""
    device = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun starts one process for each GPU
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=device)
        if torch.device(device).index:
            torch.cuda.set_device(device)  # otherwise pinned memory would belong to the first one
    except (RuntimeError, AssertionError, ValueError):
        raise SettingError(f"--device {device}: there is none here") from None
    return device
