"""Scores on their way through `fairseq-generate`: as tokens, as text, back to the same number."""

from typing import Any

import numpy as np
import pytest
import torch
from fairseq import utils
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sls_plugin.tasks.generator import TrialDictionary, TrialGenerator, score_batch

FLOAT32 = np.finfo(np.float32)
EDGES = [0.0, -0.0, 1.0, -1.0, 0.1, -17.58, -1.2e-7, 3e38, -3e38, 1e-45, -1e-45, 1e-40, 2.0, 16_777_217.0]
EDGES += [float(FLOAT32.max), float(FLOAT32.min), float(FLOAT32.tiny), float(FLOAT32.eps), float("inf"), float("-inf")]


class Detector(nn.Module):
    """Scores that are the first two samples of a clip, as log-probabilities of bona fide and spoof."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.dropout = nn.Dropout(0.5)

    def forward(self, source: Tensor) -> Tensor:
        return self.dropout(self.gain * source[:, :2])

    def scores(self, output: Tensor) -> Tensor:
        return output[:, 1]

    def log_likelihood_ratios(self, output: Tensor) -> Tensor:
        return output[:, 1] - output[:, 0]


def text_of(score: Tensor) -> str:
    """What `fairseq-generate` hands to its scorer."""
    dictionary = TrialDictionary()
    hypothesis = TrialGenerator(dictionary)._hypothesis(score)
    _, text, _ = utils.post_process_prediction(
        hypo_tokens=hypothesis["tokens"].int().cpu(),
        src_str="",
        alignment=hypothesis["alignment"],
        align_dict=None,
        tgt_dict=dictionary,
        extra_symbols_to_ignore=TrialGenerator.symbols_to_strip_from_output,
    )
    return text


def assert_survives(value: float) -> None:
    expected = np.float32(value)
    read = np.float32(text_of(torch.tensor(value, dtype=torch.float32)))
    assert read.tobytes() == expected.tobytes()  # also -0.0 differs from 0.0


@pytest.mark.parametrize("value", EDGES)
def test_scores_at_the_edges_survive(value: float) -> None:
    assert_survives(value)


@given(st.floats(width=32, allow_nan=False))
def test_every_score_survives(value: float) -> None:
    assert_survives(value)


def test_scores_whose_bits_are_tokens_of_the_dictionary_survive() -> None:
    for bits in range(12):
        assert_survives(torch.tensor(bits, dtype=torch.int32).view(torch.float32).item())


def test_a_score_that_is_no_number_stays_one() -> None:
    assert np.isnan(float(text_of(torch.tensor(float("nan")))))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_scores_of_other_precisions(dtype: torch.dtype) -> None:
    score = torch.tensor(-1.2345678901234567, dtype=dtype)
    assert float(text_of(score)) == pytest.approx(score.float().item(), rel=1e-8)


# Targets


def test_targets_are_the_names_of_the_classes() -> None:
    dictionary = TrialDictionary()
    targets = dictionary.target_tokens(torch.tensor([1, 0, -1, 0]))
    assert targets.shape == (4, 1)
    texts = [
        dictionary.string(utils.strip_pad(target, dictionary.pad()).int(), None, escape_unk=True, extra_symbols_to_ignore=set())
        for target in targets
    ]
    assert texts[:2] == ["bonafide", "spoof"]
    assert texts[3] == "spoof"
    assert texts[2] not in ("bonafide", "spoof")


def test_targets_of_a_whole_batch_as_text() -> None:
    dictionary = TrialDictionary()
    for labels in ([1, 0], [0], [0, 0, 1]):
        names = [("spoof", "bonafide")[label] for label in labels]
        assert dictionary.string(dictionary.target_tokens(torch.tensor(labels))).split("\n") == names


def test_no_score_is_mistaken_for_a_class() -> None:
    dictionary = TrialDictionary()
    assert dictionary.score_token not in (*dictionary.class_tokens, dictionary.unk(), dictionary.pad(), dictionary.eos())
    assert len(set(dictionary.class_tokens)) == 2


# Batches


def sample(n_clips: int = 3) -> dict[str, Any]:
    source = torch.from_numpy(np.random.default_rng(0).standard_normal((n_clips, 5), dtype=np.float32))
    return {"net_input": {"source": source}}


def test_one_hypothesis_per_trial_in_the_order_of_the_batch() -> None:
    dictionary = TrialDictionary()
    hypotheses = TrialGenerator(dictionary).generate([Detector().train()], sample())
    expected = sample()["net_input"]["source"][:, 1]
    assert [len(alternatives) for alternatives in hypotheses] == [1, 1, 1]
    for (hypothesis,), score in zip(hypotheses, expected, strict=True):
        assert hypothesis["score"] == score.item()
        assert np.float32(dictionary.string(hypothesis["tokens"].int())) == score.item()
        torch.testing.assert_close(hypothesis["positional_scores"], score.view(1))


def test_several_models_give_their_mean() -> None:
    (alone,) = TrialGenerator(TrialDictionary()).generate([Detector(1.0)], sample(1))
    (together,) = TrialGenerator(TrialDictionary()).generate([Detector(1.0), Detector(3.0), Detector(5.0)], sample(1))
    assert together[0]["score"] == pytest.approx(3 * alone[0]["score"], rel=1e-6)


def test_scores_and_ratios_of_a_batch() -> None:
    source = sample()["net_input"]["source"]
    model = Detector().train()
    torch.testing.assert_close(score_batch(model, source), source[:, 1], rtol=0, atol=0)
    torch.testing.assert_close(score_batch(model, source, llr=True), source[:, 1] - source[:, 0], rtol=0, atol=0)
    assert not model.training
    assert score_batch(model, source.double()).dtype == torch.float32
    assert score_batch(model, source.bfloat16()).dtype == torch.float32
