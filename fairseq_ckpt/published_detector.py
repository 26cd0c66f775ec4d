"""What a file of `fairseq_ckpt/detectors` says about a published detector."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .layout import Layout
from .shapes import Shapes

LONGEST_CLIP = 3600 * 16_000  # samples: an hour
PADDINGS = ("tile", "zero", "zero_normalized")
CLIP = 64_600  # samples at 16 kHz, 4.04 s: what most published detectors take


@dataclass(frozen=True)
class Card:
    """One architecture at its published size, for those who have to choose one.

    `gflop` counts a multiplication and an addition as two, for one clip of 64,600 samples. `clips` are the lengths that the
    model takes, in samples at 16 kHz; after a semicolon the published length. Each `eer` is the authors' own figure in
    percent, trained on ASVspoof 2019 LA, phase eval; None where they give none.
    """

    arch: str  # of `fairseq-train --arch`
    title: str
    n_parameters: int
    gflop: float
    clips: str
    eer_2019_la: float | None = None
    eer_2021_la: float | None = None
    eer_2021_df: float | None = None
    eer_in_the_wild: float | None = None


@dataclass(frozen=True)
class PublishedDetector:
    """A published detector outside its network: its cards, and how to read the original authors' checkpoints.

    The second half describes these checkpoints. `tensors` is None where the authors published none.
    """

    name: str  # of the registered model and of the layout
    cards: tuple[Card, ...]
    citation: str
    trained_on: str  # by the authors
    licence: str | None = None  # of the authors' code, where it is known

    tensors: Callable[[Shapes], Shapes] | None = None  # as in Layout
    prefix: str = ""
    unused: str = "$."
    max_samples: int = CLIP
    padding: str = "tile"
    # The settings of this project's model that the tensors show; the second argument names the file in errors.
    model_settings: Callable[[Shapes, object], dict[str, Any]] = lambda shapes, source: {}
    # The largest values of settings that tensors of these shapes allow; a greater one would take memory for nothing.
    largest: Callable[[Shapes], dict[str, int]] = lambda shapes: {}
    # With other values of these settings this project's model has other tensors than the published one.
    variant: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return " or ".join(card.title for card in self.cards)

    @property
    def names(self) -> set[str]:
        """All names that a configuration may have for the model."""
        return {self.name, *(card.arch for card in self.cards)}

    @property
    def layout(self) -> Layout | None:
        """The layout of the original authors' checkpoints."""
        return Layout(self.name, self.title, self.tensors, self.prefix, self.unused) if self.tensors else None

    def original_config(self, shapes: Shapes, source: object) -> dict[str, Any]:
        """fairseq's `cfg` for an original checkpoint, as if this project had trained it.

        Raises CheckpointError, naming `source`, when the tensors do not show all that is needed.
        """
        model = self.model_settings(shapes, source)
        task = {"_name": "asvspoof", "data": "", "seed": 1, "train_subset": "train", "results_path": None}
        clips = {"max_samples": model.get("max_samples", self.max_samples), "crop": "start", "padding": self.padding}
        return {
            "task": task | clips,
            "model": {"_name": self.name} | model,
            "criterion": {"_name": "weighted_cross_entropy", "class_weights": "0.1,0.9"},  # for the loss of fairseq-validate
        }
