"""Estimate the running statistics of BatchNorm again, for a detector whose weights are a mean."""

from collections.abc import Iterator
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader

from sls_plugin.data.loader import iterate
from sls_plugin.data.trial_dataset import TrialDataset
from sls_plugin.inference.load import load_detector
from sls_plugin.tasks.asvspoof import AsvspoofConfig, AsvspoofTask


def with_batch_norm_estimated(checkpoint: Path, config: DictConfig) -> nn.Module:
    """The detector of a checkpoint with the statistics of one more epoch of its training data, as torchcontrib's `bn_update`.

    `config` is that of the run. Clips are cropped, augmented and shuffled as in training, dropout is on, and the last, smaller
    batch is left out: each statistic is the mean over the batches.
    """
    model = load_detector(checkpoint).model
    dataset = training_data(config)
    dataset.set_epoch(config.optimization.max_epoch + 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(config.common.seed)
    update_bn(clips_of(dataset, config.dataset.batch_size, config.dataset.num_workers), model.to(device), device)
    return model


def training_data(config: DictConfig) -> TrialDataset:
    """The training split of a run, cropped, augmented and shuffled as there."""
    split = config.dataset.get("train_subset", "train")
    settings = {name: value for name, value in config.task.items() if name != "_name"}
    whole = AsvspoofConfig(**settings | {"seed": config.common.seed, "train_subset": split, "results_path": None})
    task = AsvspoofTask.setup_task(OmegaConf.structured(whole), from_checkpoint=True)
    task.load_dataset(split)
    return task.datasets[split]


def clips_of(dataset: TrialDataset, batch_size: int, num_workers: int) -> Iterator[Tensor]:
    """The clips of an epoch (B x samples) in its order, in whole batches."""
    order = dataset.ordered_indices()
    batches = [order[start : start + batch_size] for start in range(0, len(order) - batch_size + 1, batch_size)]
    for batch in iterate(DataLoader(dataset, batch_sampler=batches, collate_fn=dataset.collater, num_workers=num_workers)):
        yield batch["net_input"]["source"]
