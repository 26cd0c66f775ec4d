"""`fairseq-generate` for detectors: scores a batch of trials and returns them as hypotheses."""

from collections.abc import Sequence
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor, nn

from sls_plugin.data.clip_dataset import CLASSES
from sls_plugin.inference.engine import score_batch
from sls_plugin.inference.half_precision import check_half_precision


class TrialDictionary(Dictionary):
    """The tokens of fairseq's generation: the two classes as targets, scores as hypotheses.

    fairseq passes hypotheses on as integers only, so a score is a marker followed by the bits of its float32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.class_tokens = [self.add_symbol(name) for name in CLASSES]
        self.score_token = self.add_symbol("<score>")

    def target_tokens(self, label: Tensor) -> Tensor:
        """Labels (B) as targets (B x 1); an unknown label (-1) is the unknown token."""
        return torch.tensor([*self.class_tokens, self.unk()])[label].unsqueeze(1)

    def score_tokens(self, score: Tensor) -> Tensor:
        return torch.stack([torch.tensor(self.score_token, dtype=torch.int32), score.float().cpu().view(torch.int32)])

    def string(self, tensor: Tensor, *args: Any, **kwargs: Any) -> str:
        if len(tensor) == 2 and tensor[0] == self.score_token:
            return format(tensor[1].int().view(torch.float32).item(), ".9g")
        return super().string(tensor, *args, **kwargs)


class TrialGenerator:
    """Scores of one or several models (their mean), in the form that `fairseq-generate` prints."""

    symbols_to_strip_from_output = frozenset()  # read by fairseq-generate

    def __init__(self, dictionary: TrialDictionary) -> None:
        self.dictionary = dictionary
        self.is_checked = False

    def generate(self, models: Sequence[nn.Module], sample: dict[str, Any], **_: Any) -> list[list[dict[str, Any]]]:
        """One hypothesis per trial of the batch: its `score`, and `tokens` that the dictionary reads back as the score."""
        source = sample["net_input"]["source"]
        if not self.is_checked:
            for model in models:
                check_half_precision(model, source)
            self.is_checked = True
        scores = torch.stack([score_batch(model, source) for model in models]).mean(dim=0)
        return [[self._hypothesis(score)] for score in scores.cpu()]

    def _hypothesis(self, score: Tensor) -> dict[str, Any]:
        tokens = self.dictionary.score_tokens(score)
        return {"tokens": tokens, "score": score.item(), "alignment": None, "positional_scores": score.clone().view(1)}
