"""What `download.sh` knows: where each corpus lies, how large it is, its licence, and how to tell that it arrived whole.

Sizes and hashes are those that the publishers name; where none stands here, none is published or none could be confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fairseq_ckpt.published import PUBLISHED, Published


@dataclass(frozen=True)
class Part:
    """Files that make a usable part of a corpus, and the arguments of `sls prepare` that write and check its manifests.

    An argument that begins with `./` is a path in the folder of the corpus, with the wildcards of a glob.
    """

    gigabytes: float  # to download, at times rounded
    files: Sequence[Published]
    manifests: Sequence[str] = ()


@dataclass(frozen=True)
class Corpus:
    """A corpus or pre-trained model; `page` tells more of it, and where its files are should they have moved."""

    title: str
    page: str
    licence: str
    parts: dict[str, Part]
    folder: str = "."  # below --dest


@dataclass(frozen=True)
class HubCorpus:
    """A corpus on the Hugging Face Hub, whose parts are the folders of languages."""

    title: str
    repository: str
    licence: str
    gigabytes: float
    folder: str
    manifests: Sequence[str] = ()

    @property
    def page(self) -> str:
        """Where its terms are accepted."""
        return f"https://huggingface.co/datasets/{self.repository}"


def _file(url: str, n_bytes: int | None = None, md5: str | None = None, name: str | None = None) -> Published:
    name = name or url.rpartition("/")[2]
    return Published(name, url, name, n_bytes, md5=md5)


def _zenodo(record: int, name: str, n_bytes: int | None = None, md5: str | None = None) -> Published:
    return _file(f"https://zenodo.org/records/{record}/files/{name}", n_bytes, md5)


def _model(name: str, gigabytes: float) -> Corpus:
    page = "https://github.com/facebookresearch/fairseq/tree/main/examples/wav2vec"
    return Corpus(PUBLISHED[name].title, page, "MIT, as fairseq", {"model": Part(gigabytes, [PUBLISHED[name]])})


def _manifest_2019(split: str, protocol: str) -> str:
    protocol = f"./LA/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{protocol}.txt"
    return f"asvspoof2019 --audio ./LA/ASVspoof2019_LA_{split} --protocol {protocol} --split {split} --check"


def _asvspoof5(split: str, letter: str, gigabytes: float, protocol: str, audio: str, md5s: Sequence[str]) -> Part:
    archives = [_zenodo(14498691, f"flac_{letter}_a{chr(ord('a') + index)}.tar", md5=md5) for index, md5 in enumerate(md5s)]
    protocols = _zenodo(14498691, "ASVspoof5_protocols.tar.gz", md5="865d0e894ea9f686f0f37e5ae3ae3616")
    manifest = f"asvspoof5 --audio ./{audio} --protocol ./**/{protocol} --split {split} --check"
    return Part(gigabytes, [protocols, *archives], [manifest])


def _librispeech(subset: str, gigabytes: float, md5: str) -> Part:
    archive = _file(f"https://www.openslr.org/resources/12/{subset}.tar.gz", md5=md5)
    return Part(gigabytes, [archive], [f"librispeech --audio ./LibriSpeech/{subset} --split {subset} --check"])


CORPORA: dict[str, Corpus | HubCorpus] = {
    "asvspoof2019-la": Corpus(
        "ASVspoof 2019, logical access",
        "https://datashare.ed.ac.uk/handle/10283/3336",
        "ODC-By 1.0",
        {
            "LA": Part(
                7.6,
                [
                    _file(
                        "https://datashare.ed.ac.uk/server/api/core/bitstreams/a9f87c35-f055-4015-80e2-2fdff0d46269/content",
                        7_640_952_520,
                        "30c98f11d8b2bc21f2c257bfd78bb5c5",
                        "LA.zip",
                    )
                ],
                [_manifest_2019("train", "train.trn"), _manifest_2019("dev", "dev.trl"), _manifest_2019("eval", "eval.trl")],
            )
        },
    ),
    "asvspoof2021-la": Corpus(
        "ASVspoof 2021, logical access, with its keys",
        "https://zenodo.org/records/4837263",
        "ODC-By 1.0",
        {
            "LA": Part(
                7.8,
                [
                    _zenodo(4837263, "ASVspoof2021_LA_eval.tar.gz", md5="2abee34d8b0b91159555fc4f016e4562"),
                    _file(
                        "https://www.asvspoof.org/asvspoof2021/LA-keys-full.tar.gz", md5="037592a0515971bbd0fa3bff2bad4abc"
                    ),
                ],
                ["asvspoof2021-la --audio ./ASVspoof2021_LA_eval --keys ./keys --check"],
            )
        },
    ),
    "asvspoof2021-df": Corpus(
        "ASVspoof 2021, deepfake, with its keys",
        "https://zenodo.org/records/4835108",
        "ODC-By 1.0",
        {
            "DF": Part(
                34.5,
                [
                    _zenodo(
                        4835108, "ASVspoof2021_DF_eval_part00.tar.gz", 8_637_050_238, "4f2cbae07cf3ede2a1dde3b8d2ee55ea"
                    ),
                    _zenodo(
                        4835108, "ASVspoof2021_DF_eval_part01.tar.gz", 8_624_944_890, "1578c89ab433c2b60b1dce93bdf8fbec"
                    ),
                    _zenodo(
                        4835108, "ASVspoof2021_DF_eval_part02.tar.gz", 8_616_337_195, "5497a35f0126e94a1d7a7d26db57b4f7"
                    ),
                    # Copies of its MD5 differ by a digit: the one on the page could not be looked up.
                    _zenodo(4835108, "ASVspoof2021_DF_eval_part03.tar.gz", 8_656_151_261),
                    _file(
                        "https://www.asvspoof.org/asvspoof2021/DF-keys-full.tar.gz", md5="dabbc5628de4fcef53036c99ac7ab93a"
                    ),
                ],
                ["asvspoof2021-df --audio ./ASVspoof2021_DF_eval --keys ./keys --check"],
            )
        },
    ),
    "in-the-wild": Corpus(
        "In-the-Wild",
        "https://deepfake-total.com/in_the_wild",
        "CC BY-SA 4.0",
        {
            "release": Part(
                8.2,
                [_file("https://huggingface.co/datasets/mueller91/In-The-Wild/resolve/main/release_in_the_wild.zip")],
                ["in-the-wild --audio ./release_in_the_wild --check"],
            )
        },
    ),
    "asvspoof5": Corpus(
        "ASVspoof 5, track 1",
        "https://zenodo.org/records/14498691",
        "ODC-By 1.0; its bona fide speech CC BY 4.0",
        {
            "train": _asvspoof5(
                "train", "T", 37, "ASVspoof5.train.tsv", "flac_T",
                [
                    "b0cc86b14826a7701b52aad4f53daf9c", "d05be3f4be7a343fdbdd0ed29fdff2e1",
                    "70d1ba4ad75a20aef3dae541fbd321e3", "c9bb56af2cc410d98338d74babcb95c9",
                    "a3969816982f3e52300d6147ad796df7",
                ],
            ),
            "dev": _asvspoof5(
                "dev", "D", 20, "ASVspoof5.dev.track_1.tsv", "flac_D",
                [
                    "df0be44957623991028cce59792beb17", "1e8cd685d89b64502692f1bcf1a13db3",
                    "5e0031f08c30e4bdbf0c59f91b2d662b",
                ],
            ),
            "eval": _asvspoof5(
                "eval", "E", 85, "ASVspoof5.eval.track_1.tsv", "flac_E_eval",
                [
                    "a8c800766f3d4ef87971e2b4f29663e2", "c35064188f54f07c87aba58de22534a0",
                    "ed7cbcd1b2847998b72472ddf6b445e3", "626a080e994b05df49c577d7b3dede8d",
                    "05f19a5e64fa556714ae1b38eb2ea70b", "2ca2f52a3bbf827f7ec155ecb47e85d6",
                    "671200b5de2fc1e74a563b07b057af8f", "eaf885b1299a61eb07f71e82e96dba37",
                    "b2625683bf440abae2af901a45542ad9", "c50281c8233af6f3b0899604d21ade44",
                ],
            ),
        },
        folder="ASVspoof5",
    ),
    "mlaad": HubCorpus(
        "MLAAD, gated: its terms must be accepted",
        "mueller91/MLAAD",
        "CC BY-NC 4.0",
        240,
        "MLAAD",
        ["mlaad --audio ./fake --split mlaad"],
    ),
    "librispeech": Corpus(
        "LibriSpeech",
        "https://www.openslr.org/12",
        "CC BY 4.0",
        {
            "train-clean-100": _librispeech("train-clean-100", 6.4, "2a93770f6d5c6c964bc36631d331a522"),
            "train-clean-360": _librispeech("train-clean-360", 23.0, "c0e676e450a7ff2f54aeade5171606fa"),
            "train-other-500": _librispeech("train-other-500", 30.6, "d1a0fd59409feb2c614ce4d30c387708"),
            "dev-clean": _librispeech("dev-clean", 0.3, "42e2234ba48799c1f50f24a7926300a1"),
            "dev-other": _librispeech("dev-other", 0.3, "c8d0bcc9cca99d4f8b62fcc847357931"),
            "test-clean": _librispeech("test-clean", 0.3, "32fa31d27d2e1cad72775fee3f4849a9"),
            "test-other": _librispeech("test-other", 0.3, "fb5a50374b501bb3bac4815ee91d3135"),
        },
    ),
    "xlsr_300m": _model("xlsr_300m", 3.8),
    "wav2vec_small": _model("wav2vec_small", 1.0),
}  # fmt: skip
