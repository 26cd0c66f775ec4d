"""Every measure once more, in plain loops after its definition: what the tests and the benchmark compare with."""

import math
from itertools import pairwise


def det_points(bonafide, spoof):
    """One point per trial: (false rejection, false acceptance, threshold)."""
    trials = [(score, True) for score in bonafide] + [(score, False) for score in spoof]
    trials.sort(key=lambda trial: trial[0])  # stable: bona fide first among equal scores
    points = [(0.0, 1.0, trials[0][0] - 0.001)]
    n_bonafide = n_spoof = 0
    for score, is_bonafide in trials:
        if is_bonafide:
            n_bonafide += 1
        else:
            n_spoof += 1
        points.append((n_bonafide / len(bonafide), (len(spoof) - n_spoof) / len(spoof), score))
    return points


def eer(bonafide, spoof):
    """The EER and its threshold."""
    rejection, acceptance, threshold = min(det_points(bonafide, spoof), key=lambda point: abs(point[0] - point[1]))
    return (rejection + acceptance) / 2, threshold


def tie_aware_eer(bonafide, spoof):
    """Try every score as the threshold, counting what is at or below it."""
    points = [(0.0, 1.0)]
    for threshold in sorted({*bonafide, *spoof}):
        points.append((
            sum(score <= threshold for score in bonafide) / len(bonafide),
            sum(score > threshold for score in spoof) / len(spoof),
        ))  # fmt: skip
    rejection, acceptance = min(points, key=lambda point: abs(point[0] - point[1]))
    return (rejection + acceptance) / 2


def interpolated_eer(bonafide, spoof):
    """Accept what is at or above each score; the line from the last threshold with too many acceptances to the next."""
    points = [
        (sum(score < threshold for score in bonafide) / len(bonafide), sum(score >= threshold for score in spoof) / len(spoof))
        for threshold in sorted({*bonafide, *spoof})
    ]
    for (rejection, acceptance), (next_rejection, next_acceptance) in pairwise(points):
        if next_acceptance <= next_rejection:
            step_of_rejection, step_of_acceptance = next_rejection - rejection, next_acceptance - acceptance
            way = (acceptance - rejection) / (step_of_rejection - step_of_acceptance)
            return (rejection + way * step_of_rejection + acceptance + way * step_of_acceptance) / 2
    return sum(points[-1]) / 2


def share(conditions):
    conditions = list(conditions)
    return sum(conditions) / len(conditions)


def asv_rates(target, nontarget, spoof):
    """Miss, false acceptance and spoof acceptance at the threshold of the EER."""
    _, threshold = eer(target, nontarget)
    return (
        share(score < threshold for score in target),
        share(score >= threshold for score in nontarget),
        share(score >= threshold for score in spoof),
    )


def coefficients(miss, false_acceptance, spoof_acceptance):
    """C0, C1 and C2 of 2021, priors and costs as ASVspoof sets them."""
    c0 = 0.95 * 0.99 * 1 * miss + 0.95 * 0.01 * 10 * false_acceptance
    return c0, 0.95 * 0.99 * 1 - c0, 0.05 * 10 * spoof_acceptance


def tdcf_2021(point, rates):
    rejection, acceptance, _ = point
    c0, c1, c2 = coefficients(*rates)
    return (c0 + c1 * rejection + c2 * acceptance) / (c0 + min(c1, c2))


def tdcf_2019(point, rates):
    rejection, acceptance, _ = point
    miss, false_acceptance, spoof_acceptance = rates
    c1 = 0.95 * 0.99 * (1 - 1 * miss) - 0.95 * 0.01 * 10 * false_acceptance
    c2 = 10 * 0.05 * spoof_acceptance
    return (c1 * rejection + c2 * acceptance) / min(c1, c2)


def dcf(point):
    rejection, acceptance, _ = point
    return (0.95 * rejection + 0.5 * acceptance) / 0.5


def act_dcf(bonafide, spoof):
    threshold = -math.log(1.9)
    return dcf((share(score < threshold for score in bonafide), share(score >= threshold for score in spoof), threshold))


def cllr(bonafide, spoof):
    of_bonafide = sum(math.log2(1 + math.exp(-score)) for score in bonafide) / len(bonafide)
    of_spoof = sum(math.log2(1 + math.exp(score)) for score in spoof) / len(spoof)
    return (of_bonafide + of_spoof) / 2


def cells(is_bonafide, row, column, n_rows, n_columns):
    """Every cell of a table with the places of its bona fide trials and of its spoofs; the last of each is pooled."""
    for i in range(n_rows + 1):
        for j in range(n_columns + 1):
            bonafide, spoof = [], []
            for place, of_bonafide in enumerate(is_bonafide):
                if j not in (column[place], n_columns):
                    continue
                if of_bonafide:
                    bonafide.append(place)
                elif i in (row[place], n_rows):
                    spoof.append(place)
            yield (i, j), bonafide, spoof


def eer_table(scores, is_bonafide, row, column, n_rows, n_columns):
    """The EER of every cell by its place; NaN where a class is missing."""
    return {
        cell: eer([scores[k] for k in bonafide], [scores[k] for k in spoof])[0] if bonafide and spoof else math.nan
        for cell, bonafide, spoof in cells(is_bonafide, row, column, n_rows, n_columns)
    }
