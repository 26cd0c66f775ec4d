"""An evaluation as the figures of a JSON file: rates are fractions, in full precision."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from protocols.corpora import find_corpus
from sls_plugin.evaluation.breakdown import GroupResult
from sls_plugin.evaluation.evaluation import Evaluation


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """Every figure under the name that scripts rely on; None where it is unknown or undefined."""
    scored, table = evaluation.scored, evaluation.table
    asv = find_corpus(scored.keys.corpus).keys.asv
    return {
        "corpus": scored.keys.corpus,
        "phase": scored.keys.phase,
        "n_bonafide": scored.bonafide.size,
        "n_spoof": scored.spoof.size,
        "n_missing": scored.n_missing,
        "negated": evaluation.negated,
        "eer": evaluation.eer,
        "eer_threshold": evaluation.eer_threshold,
        "eer_tie_aware": evaluation.eer_tie_aware,
        "eer_ci": list(evaluation.eer_ci) if evaluation.eer_ci else None,
        "min_tdcf": evaluation.min_tdcf,
        "min_tdcf_2019": evaluation.min_tdcf_2019,
        "tdcf_form": asv.tdcf_form if asv else None,
        "min_dcf": evaluation.min_dcf,
        "act_dcf": evaluation.act_dcf,
        "cllr": evaluation.cllr,
        "per_attack": _eers(evaluation.per_attack),
        "per_condition": _eers(evaluation.per_condition),
        "table": table and {
            "rows": list(table.rows),
            "columns": list(table.columns),
            "eer": _cells(table.eer),
            "min_tdcf": None if table.min_tdcf is None else _cells(table.min_tdcf),
        },
        "warnings": list(evaluation.warnings),
    }  # fmt: skip


def _eers(results: Mapping[str, GroupResult]) -> dict[str, float | None]:
    return {name: None if math.isnan(result.eer) else result.eer for name, result in results.items()}


def _cells(cells: np.ndarray) -> list[list[float | None]]:
    return [[None if math.isnan(cell) else cell for cell in row] for row in cells.tolist()]
