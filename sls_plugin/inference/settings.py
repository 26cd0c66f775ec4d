"""What a checkpoint builds: its settings with the types of our dataclasses, and one line for all that goes wrong."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fairseq_ckpt.errors import CheckpointError, first_misfit, is_out_of_memory
from protocols import SettingError, UserError


def typed_settings(kind: type, settings: Mapping[str, Any]) -> DictConfig:
    """The settings that a dataclass has, with its types and defaults; others are left out. OmegaConf's errors for wrong types."""
    known = {name: value for name, value in settings.items() if name in kind.__dataclass_fields__}
    return OmegaConf.merge(OmegaConf.structured(kind), OmegaConf.create(known, flags={"allow_objects": True}))


def model_settings(settings: Mapping[str, Any]) -> DictConfig:
    """The typed settings of one of our models, by the name of its class or architecture in `_name`."""
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY

    name = ARCH_MODEL_NAME_REGISTRY[settings["_name"]]
    with_defaults = OmegaConf.create(dict(settings), flags={"allow_objects": True})
    ARCH_CONFIG_REGISTRY[settings["_name"]](with_defaults)
    return typed_settings(MODEL_DATACLASS_REGISTRY[name], OmegaConf.to_container(with_defaults) | {"_name": name})


@contextmanager
def building(path: str | Path) -> Iterator[None]:
    """Raises CheckpointError, naming the file, when its settings and tensors make no model."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(str(error) if str(error).startswith(f"{path}: ") else f"{path}: {error}") from None
    except SettingError as error:
        raise CheckpointError(f"{path}: its settings make no model ({error}): name another file") from None
    except UserError:
        raise
    except Exception as error:  # what a wrong value leads to depends on where it is first used
        if is_out_of_memory(error):
            message = f"{path}: out of memory: close other programs, or use a machine with more memory"
        elif isinstance(error, RuntimeError):
            message = f"{path}: its tensors do not fit its configuration ({first_misfit(error)}): name another file"
        else:
            reason = textwrap.shorten(str(error).partition("\n")[0], 150)
            message = f"{path}: its settings make no model ({reason}): name another file"
        raise CheckpointError(message) from error


def require_finite(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raises CheckpointError when a weight is NaN or infinite: every score would be NaN, or wrong."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} has values that are NaN or infinite: name another checkpoint")


class SkipWeightInit(TorchFunctionMode):
    """Builds models without drawing random weights that a checkpoint replaces: this saves seconds for XLS-R 300M."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init" or function in (Tensor.uniform_, Tensor.normal_):
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)
