"""The verb: from a network and a few labelled shots of a site to a network for that site.

Conventions
-----------
Only the network's last step is fitted anew (`gunshot.adaptation.last_step`). The new weights are then held against the
old: where a bound is broken, weights between the two are tried, the largest step first (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", CVPR: WiSE-FT), and where no step keeps the bounds, nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunshot.adaptation.checks import Change, CheckRows, compare_scores, worst_broken
from gunshot.adaptation.held import HeldRows, read_held
from gunshot.adaptation.kept import Adaptation, Kept, keep
from gunshot.adaptation.last_step import PENALTY, fit_last_step
from gunshot.adaptation.mixture import SITE_FIELD, Mixture, Pool
from gunshot.adaptation.site import Background, SiteRows, checked_rows, read_background, read_site
from gunshot.adaptation.synthetic import synthetic_clips
from gunshot.clips import features
from gunshot.errors import BundleError, ParameterError, RunError
from gunshot.evaluation.rules import parse_rule
from gunshot.models.batches import ArrayBatches, ahead
from gunshot.models.bundle import Bundle, load_bundle, scorer_of
from gunshot.models.catalogue import model_rule
from gunshot.models.native import without_greeting
from gunshot.models.splits import read_splits
from gunshot.progress import steps

if TYPE_CHECKING:
    from gunshot.models.fit import Fit

__all__ = ["DEFAULT_MAY_LOSE", "N_BATCHES", "STEPS", "adapt_model", "between", "check_parameters"]

N_BATCHES = 96
"""Batches of distorted draws that the new last step is fitted to, of 64 each."""

DEFAULT_MAY_LOSE = 0.01
"""Largest fall of the recall of any source."""

STEPS = (1.0, 0.75, 0.5, 0.25, 0.125)
"""How far from the old weights to the new ones; the first that keeps the bounds is taken."""

_BATCH_SIZE = 64
_PAST = 12.0  # share of rehearsal and synthetic sounds, where the site's shots have 1
_PAST_CLEAN = 0.6  # what is not to be forgotten is mostly clips as they are
_N_REHEARSED = 256
_N_CHECKED = 200
_REHEARSAL_SEED = 2_000_000
_CHECK_SEED = 1_215_000

Weights = list[NDArray[np.float32]]


class _Material(NamedTuple):
    """All that is known of the site and of the model's past."""

    site: SiteRows
    checks: NDArray[np.bool_]
    heard: Background | None
    held: HeldRows | None
    sets: tuple[CheckRows, ...]


def adapt_model(
    model: str,
    labels: str,
    out: str,
    *,
    background: Sequence[str] = (),
    store: str | None = None,
    operating_point: str | None = None,
    may_lose: float = DEFAULT_MAY_LOSE,
    seed: int = 0,
) -> Adaptation:
    """Adapt a network to a site and write it as a bundle of its own.

    Parameters
    ----------
    model : str
        The bundle to begin with; a network.
    labels : str
        Label table of the site: a few shots, and other sounds if there are any.
    out : str
        The new bundle's folder, another than the model's.
    background : sequence of str
        Files, folders, globs or prefixes of unlabelled sound of the site.
    store : str, optional
        The store that the model was trained on: its training rows are rehearsed, its others check.
    operating_point : str, optional
        What the new threshold keeps to, by `gunshot.evaluation.rules`. With `background` "10 a day" if not given,
        counted there; without, what the model's own threshold keeps to.
    may_lose : float
        Largest fall of the recall of any source, in [0, 1].
    seed : int
        Of the division and all draws.

    Returns
    -------
    Adaptation
        What was done, before and after.

    Raises
    ------
    ParameterError
        If a parameter is outside its range, or `out` is the model's own folder.
    BundleError
        If the model cannot be loaded, or is no network.
    ManifestError, TrainingError
        If the table, the background or the store does not hold what it must.
    RunError
        If no step keeps the bounds; nothing is written then.
    """
    check_parameters(model, out, operating_point, may_lose, seed)
    bundle = load_bundle(model)
    if bundle.input != "log_mel":
        raise BundleError(f"{model}: {bundle.name} is no network and cannot be adapted; train one, such as small-cnn")
    content = bundle.network()
    read_splits(bundle.uri)  # what is missing in the bundle is told before any work
    material = _gather(bundle, labels, background, store, seed)
    with without_greeting():
        from gunshot.models.fit import read_weights  # the one way to TensorFlow, which takes seconds to import

    old = read_weights(content)
    new = _fit(bundle, old, material, seed)
    step, fit, changes, refused = _largest_step(bundle, old, new, material, may_lose)
    how = {
        "seed": seed, "n_draws": N_BATCHES * _BATCH_SIZE, "penalty": PENALTY, "may_lose": may_lose, "step": step,
        "store": store, "n_rehearsed": 0 if material.held is None else len(material.held.rehearsed),
        "refused": list(refused),
    }  # fmt: skip
    kept = Kept(bundle, material.site, material.checks, material.heard, material.held, material.sets, changes)
    return keep(kept, fit.weights, fit.network, out, operating_point, how)


def check_parameters(model: str, out: str, operating_point: str | None, may_lose: float, seed: int) -> None:
    """Refuse what cannot be, before any work.

    Parameters
    ----------
    model, out : str
        The bundles before and after.
    operating_point : str or None
        What the new threshold keeps to.
    may_lose : float
        Largest fall that is allowed.
    seed : int
        That of `adapt_model`.

    Raises
    ------
    ParameterError
        If one is outside its range, or `out` is the model's own folder.
    """
    if out.rstrip("/") == model.rstrip("/"):
        raise ParameterError(f"--out {out} is the model's own folder; give another, so that both can be compared")
    if operating_point is not None:
        parse_rule(operating_point)
    if not 0.0 <= may_lose <= 1.0:
        raise ParameterError(f"--may-lose must lie in [0, 1]; got {may_lose:g}: one in a hundred is 0.01")
    if not 0 <= seed < 2**32:
        raise ParameterError(f"--seed must be 0 or more, below 2^32; got {seed}")


def _gather(bundle: Bundle, labels: str, background: Sequence[str], store: str | None, seed: int) -> _Material:
    site = read_site(labels, bundle.recipe)
    checks = checked_rows(site, seed)
    heard = read_background(background, bundle, site, seed) if background else None
    held = None if store is None else read_held(store, bundle, site, seed)
    y, label, group = synthetic_clips(bundle.recipe, _N_CHECKED, _CHECK_SEED)
    sets = [CheckRows("synthetic", features(y, bundle.recipe), label, np.full(len(label), "synthetic"), group, "area")]
    if held is not None and len(held.label):
        sets.append(CheckRows("held out", held.checked, held.label, held.source, held.group))
    if checks.any():
        sets.append(_site_set(bundle, site, checks, heard))
    return _Material(site, checks, heard, held, tuple(sets))


def _site_set(bundle: Bundle, site: SiteRows, checks: NDArray[np.bool_], heard: Background | None) -> CheckRows:
    """The labelled rows that check, and the candidates of the background's checking part as other sounds."""
    x, label, group = features(site.waveform[checks], bundle.recipe), site.label[checks], site.group[checks]
    if heard is not None:
        n = len(heard.checked)
        x = np.concatenate([x, heard.checked])
        label = np.concatenate([label, np.zeros(n, dtype=np.int8)])
        group = np.concatenate([group, np.full(n, "background")])
    return CheckRows("site", x, label, np.full(len(label), "site"), group)


def _fit(bundle: Bundle, old: Weights, material: _Material, seed: int) -> Weights:
    """The network with a last step that is fitted to the site and to its own past."""
    from gunshot.models.heads import Heads, Heard

    pools, backgrounds = _pools(bundle, material, seed)
    mixture = Mixture(
        pools, bundle.score_inputs, bundle.recipe, backgrounds, SITE_FIELD, model_rule(bundle.name).label_smoothing,
        _BATCH_SIZE, N_BATCHES, seed,
    )  # fmt: skip
    network = Heads(bundle.name, bundle.recipe.mel_shape, old)
    heard: list[Heard] = []
    target: list[NDArray[np.float32]] = []
    for batch in steps(ahead(mixture.epoch(0)), "adapt", "batches", N_BATCHES):
        heard.append(network.hear(batch.x))
        target.append(batch.y)
    features_, logit, call = (np.concatenate(parts) for parts in zip(*heard, strict=True))
    return network.moved(*fit_last_step(features_, logit, call, np.concatenate(target).astype(np.float64)))


def _pools(bundle: Bundle, material: _Material, seed: int) -> tuple[list[Pool], NDArray[np.float32]]:
    """What batches are drawn from: shots, others, and the past with the old model's scores; and what lies beneath."""
    site, fitting = material.site, ~material.checks
    made, label, _ = synthetic_clips(bundle.recipe, _N_REHEARSED, _REHEARSAL_SEED + seed)
    pools = [Pool(site.waveform[fitting & (site.label == 1)], 1.0, 1.0)]
    others = [site.waveform[fitting & (site.label == 0)]]
    if material.heard is not None:
        others.append(material.heard.waveform)
    others = [clips for clips in others if len(clips)]
    pools += [Pool(clips, 0.0, 1.0 / len(others)) for clips in others]
    if material.held is not None:
        pools.append(Pool(material.held.rehearsed, None, _PAST / 2, _PAST_CLEAN))
    # where the site has no other sound, or there is no store, synthetic ones take their place
    pools.append(Pool(made, None, 2.0 + _PAST - sum(pool.share for pool in pools), _PAST_CLEAN))
    return pools, others[-1] if others else made[label == 0]


def between(old: Weights, new: Weights, step: float) -> Weights:
    """Weights between two networks.

    Parameters
    ----------
    old, new : list of ndarray
        In the same order.
    step : float
        0 is the old network, 1 the new one.

    Returns
    -------
    list of ndarray
        float32.
    """
    return [np.asarray(a + step * (b - a), dtype=np.float32) for a, b in zip(old, new, strict=True)]


def _largest_step(
    bundle: Bundle, old: Weights, new: Weights, material: _Material, may_lose: float
) -> tuple[float, Fit, tuple[Change, ...], tuple[str, ...]]:
    """The largest step that keeps the bounds, its network, what it changed, and why larger ones were refused."""
    before = [bundle.score_inputs(rows.x) for rows in material.sets]
    threshold = bundle.operating_point.threshold
    refused: list[str] = []
    for step in steps(STEPS, "check", "steps", len(STEPS)):
        fit = _exported(bundle, between(old, new, step), material)
        scorer = scorer_of(bundle.name, fit.weights, bundle.recipe)
        changes = tuple(
            change
            for rows, scores in zip(material.sets, before, strict=True)
            for change in compare_scores(rows, scores, scorer(rows.x), threshold)
        )
        broken = worst_broken(changes, may_lose)
        if broken is None:
            return step, fit, changes, tuple(refused)
        refused.append(
            f"step {step:g}: {broken.rows}/{broken.source} loses {broken.lost} and wins {broken.won} of "
            f"{broken.n_shots} shots at a false-alarm rate of {broken.fpr:.3g} (its {broken.measure} falls by "
            f"{broken.fall:.3f}, at most {broken.fall_bound:.3f} with 95% confidence)"
        )
    raise RunError(
        f"not adapted, and nothing written: no step keeps the recall of every source within --may-lose {may_lose:g}; "
        f"{refused[-1]}; give more shots, more background, the model's --store, or a larger --may-lose"
    )


def _exported(bundle: Bundle, weights: Weights, material: _Material) -> Fit:
    """A network of given weights: a training of no epoch."""
    from gunshot.models.fit import fit_network

    one = ArrayBatches(material.sets[0].x[:1], material.sets[0].label[:1], 1)
    rule = replace(model_rule(bundle.name), decays=False)
    return fit_network(rule, one, one, epochs=0, seed=0, initial=weights)
