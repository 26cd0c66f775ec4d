"""RawGAT-ST against the original's output and the naive reference; lengths; training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from detectors import (
    assert_published_names,
    build,
    float64_weights,
    golden_output,
    in_float64,
    in_half_precision,
    n_parameters,
    train,
    waveforms,
)
from reference import graph_reference
from reference.synthetic_weights import fill_outside_backbone
from torch import nn

from protocols import DataError
from sls_plugin.models import rawgat_st


def filled(n_samples: int) -> nn.Module:
    model = build("rawgat_st", "--max-samples", str(n_samples)).eval()
    fill_outside_backbone(model)
    return model


def test_names_shapes_and_number_of_parameters(shared: Path) -> None:
    assert_published_names(build("rawgat_st"), shared, "RawGATST_baseline")
    assert n_parameters(build("rawgat_st")) == 437_034


def test_synthetic_weights_give_the_originals_logits(shared: Path) -> None:
    clips = torch.from_numpy(0.05 * np.random.default_rng(5).standard_normal((2, 64_600), dtype=np.float32))
    with torch.no_grad():
        output = in_float64(filled(64_600))(clips[:1].double())  # the other takes as long again
    np.testing.assert_allclose(output, golden_output(shared, "rawgat_st", 5)[:1], rtol=0, atol=5e-5)


@pytest.mark.parametrize("n_samples", [4_502, 9_000])
def test_logits_are_the_references(n_samples: int) -> None:
    model = filled(n_samples)
    clips = waveforms(n_samples)
    expected = [graph_reference.rawgat_st(float64_weights(model), clip) for clip in clips.double().numpy()]
    with torch.no_grad():
        assert model(clips).dtype == torch.float32
        np.testing.assert_allclose(in_float64(model)(clips.double()), expected, rtol=2e-5, atol=2e-5)


def test_clips_of_as_many_frames_as_the_model_was_built_for() -> None:
    model = filled(11_100)  # five frames of 2,187 samples
    with torch.no_grad():
        for n_samples in (11_063, 13_249):
            assert model(waveforms(n_samples, 1)).isfinite().all()
        for n_samples in (11_062, 13_250):
            with pytest.raises(DataError, match=f"clips of {n_samples:,} samples: this RawGAT-ST takes 11,063 to 13,249"):
                model(waveforms(n_samples, 1))


def test_a_length_that_is_too_short_for_two_nodes() -> None:
    with pytest.raises(DataError, match="clips of 4,501 samples: RawGATST needs at least 4,502: raise --max-samples"):
        build("rawgat_st", "--max-samples", "4501")


def test_half_precision_gives_single_precision_scores_close_by() -> None:
    model = build("rawgat_st", "--max-samples", "5000").eval()
    with torch.no_grad():
        expected = model(waveforms(5_000))
        output = in_half_precision(model, torch.bfloat16, waveforms(5_000))(waveforms(5_000))
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0.1, atol=0.1)


def test_frequency_masking_is_off_unless_asked_for() -> None:
    assert not build("rawgat_st").filter_bank.frequency_masking
    assert build("rawgat_st", "--frequency-masking").filter_bank.frequency_masking


def test_all_but_the_norms_without_effect_is_trained() -> None:
    model = build("rawgat_st", "--max-samples", "5000").train()
    model(waveforms(5_000)).square().sum().backward()
    untrained = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untrained == {name for name, _ in model.named_parameters() if ".bn1." in name}
    assert untrained == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


def test_sixteen_clips_are_told_apart_after_26_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawgat_st, "N_FILTERS", 6)  # two bands instead of 23, to be quick
    loss, eer = train("rawgat_st", "--max-samples", "4800", n_samples=4_800, n_updates=26, lr=2e-2)
    assert loss < 0.6
    assert eer < 0.2


def test_scores_and_ratios() -> None:
    model = build("rawgat_st")
    output = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    assert model.scores(output).tolist() == [-1.0, 2.0]
    assert model.log_likelihood_ratios(output).tolist() == [-4.0, 1.5]
