"""A learning rate schedule for training in two stages: the head on a frozen backbone, then both."""

from dataclasses import dataclass, field

from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

from protocols import SettingError


@dataclass
class TwoStageConfig(FairseqDataclass):
    """The warm-up; everything else follows from --freeze-backbone-updates, --max-update and --lr."""

    warmup_fraction: float = field(default=0.1, metadata={"help": "fraction of each stage in which the learning rate rises"})
    max_update: int = II("optimization.max_update")
    lr: list[float] = II("optimization.lr")


@register_lr_scheduler("two_stage", dataclass=TwoStageConfig)
class TwoStage(FairseqLRScheduler):
    """Linear warm-up from 0 and linear decay to 0 in each stage.

    The first stage lasts for --freeze-backbone-updates, the second until --max-update; --lr gives the peak of each.
    fairseq's `polynomial_decay` is the same with a single stage.
    """

    def __init__(self, cfg: TwoStageConfig, optimizer: FairseqOptimizer) -> None:
        super().__init__(cfg, optimizer)
        self.n_first = max(group.get("frozen_updates", 0) for group in optimizer.param_groups)
        if self.n_first == 0:
            raise SettingError(
                "--lr-scheduler two_stage: no backbone is frozen at first: give --freeze-backbone-updates, with an XLS-R model "
                "and --optimizer l2_adam or adamw"
            )
        if self.n_first >= cfg.max_update:
            raise SettingError(
                f"--lr-scheduler two_stage: the first stage lasts --freeze-backbone-updates ({self.n_first}) updates, the second "
                f"until --max-update ({cfg.max_update}): give a larger one"
            )
        if len(cfg.lr) != 2:
            raise SettingError("--lr-scheduler two_stage needs the peaks of both stages: --lr 5e-4,2e-5")
        if not 0 <= cfg.warmup_fraction < 1:
            raise SettingError(f"--warmup-fraction {cfg.warmup_fraction}: must be >= 0 and < 1")

    def step_update(self, num_updates: int) -> float:
        """Set and return the learning rate of the next update, after `num_updates` updates."""
        if num_updates < self.n_first:
            lr = self._stage_lr(self.cfg.lr[0], num_updates, self.n_first)
        else:
            lr = self._stage_lr(self.cfg.lr[1], num_updates - self.n_first, self.cfg.max_update - self.n_first)
        self.optimizer.set_lr(lr)
        return lr

    def _stage_lr(self, peak: float, done: int, length: int) -> float:
        warmup = int(self.cfg.warmup_fraction * length)
        return peak * (done / warmup if done < warmup else max(0, length - done) / (length - warmup))
