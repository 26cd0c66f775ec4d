"""A chain of channels: how an option spells it, and what it does to an utterance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from protocols import SettingError

from .band_pass import BandPass
from .clipping import Clipping
from .codec import Codec
from .dropout import Dropout
from .level import Level
from .noise import Noise
from .packet_loss import PacketLoss
from .parameters import parsed
from .phase import Phase
from .pitch import Pitch
from .rawboost import RawBoost, RawBoostConfig
from .resampling import Resampling
from .reverberation import Reverberation
from .silence import Silence
from .speed import Speed

Channel = Callable[[np.ndarray, np.random.RandomState], np.ndarray]
CHANNELS: dict[str, type] = {  # by the name of their file
    "band_pass": BandPass, "clipping": Clipping, "codec": Codec, "dropout": Dropout, "level": Level, "noise": Noise,
    "packet_loss": PacketLoss, "phase": Phase, "pitch": Pitch, "resampling": Resampling, "reverberation": Reverberation,
    "silence": Silence, "speed": Speed,
}  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A channel, and the share of the utterances that it changes."""

    channel: Channel
    p: float = 1.0


class Chain:
    """Channels one after the other.

    >>> augment = parse_chain("noise:white,snr=10-20 | codec:mp3,p=0.5")
    >>> waveform = np.sin(np.arange(16_000, dtype=np.float32))
    >>> augment(waveform, np.random.RandomState(1)).shape
    (16000,)
    """

    def __init__(self, links: Sequence[Link]) -> None:
        self.links = links

    def __call__(self, waveform: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """A changed float32 copy of a waveform at 16 kHz (samples,), perhaps of another length."""
        for link in self.links:
            if link.p == 1 or rng.rand() < link.p:
                waveform = link.channel(waveform, rng)
        return waveform.astype(np.float32)


def parse_chain(text: str, rawboost: RawBoostConfig | None = None) -> Chain:
    """The chain that `text` spells, such as `rawboost:3 | noise:snr=5-20,dir=MUSAN | codec:mp3/opus,p=0.5`.

    A part is the name of a channel, after a colon its parameters: the first may stand without its name; ranges are written
    `5-20`, choices `mp3/opus`; `p` is the share of the utterances that the channel changes. `rawboost` holds the other settings
    of RawBoost. Raises SettingError, which names the part.
    """
    return Chain([_link(part.strip(), rawboost or RawBoostConfig()) for part in text.split("|")])


def _link(part: str, rawboost: RawBoostConfig) -> Link:
    name, _, rest = part.partition(":")
    try:
        words = [word.strip() for word in rest.split(",") if word.strip()]
        pairs = [word.split("=", 1) for word in words if "=" in word]
        given = dict(pairs)
        if len(given) < len(pairs):
            raise SettingError("a parameter is given twice: keep one of the two")
        p = parsed(Link.__dataclass_fields__["p"], given.pop("p", "1"))
        if not 0 <= p <= 1:
            raise SettingError(f"p={p:g}: must lie between 0 and 1")
        unnamed = [word for word in words if "=" not in word]
        if not name:
            raise SettingError("an empty part: name a channel, or leave out the `|`")
        if name == "rawboost":
            return Link(_rawboost(unnamed, given, rawboost), p)
        if name not in CHANNELS:
            raise SettingError(f"no such channel: choose from {', '.join(['rawboost', *CHANNELS])}")
        return Link(_channel(CHANNELS[name], unnamed, given), p)
    except SettingError as error:
        raise SettingError(f"augmentation {part!r}: {error}") from None


def _channel(kind: type, unnamed: list[str], given: dict[str, str]) -> Any:
    known = {field.name: field for field in fields(kind)}
    if unnamed:
        first = next(iter(known))
        given = {first: unnamed[0]} | given
    if unknown := [*unnamed[1:], *(given.keys() - known)]:
        raise SettingError(f"no parameter {unknown[0]!r}: it has {', '.join(known)} and p")
    return kind(**{name: parsed(known[name], text) for name, text in given.items()})


def _rawboost(unnamed: list[str], given: dict[str, str], settings: RawBoostConfig) -> RawBoost:
    if given or len(unnamed) > 1 or not "".join(unnamed or ["3"]).isdecimal():
        raise SettingError("rawboost takes the number of an algorithm: the rest are the options --rawboost-...")
    chosen = {field.name: getattr(settings, field.name) for field in fields(RawBoostConfig)}
    return RawBoost(RawBoostConfig(**chosen | ({"rawboost_algorithm": int(unnamed[0])} if unnamed else {})))
