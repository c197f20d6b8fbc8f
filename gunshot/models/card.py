"""The model card: what a model was made of, what it is good for, and where it fails.

Conventions
-----------
Every figure is read from the bundle; what its ``model.json`` does not hold is left out, never guessed. Beside what
every training writes, the card knows these keys: ``training.rows_by_source`` (by source, ``{"gunshots": n, "others":
n}``), ``training.licenses`` (a list; or by source, each a list or one name), ``training.attribution`` (whom to name,
by source), ``evaluation`` (from `gunshot.evaluate.Evaluation.as_dict`), ``audit`` (from `gunshot.evaluation.audit`) and
``champion`` (from `gunshot.challenge`).
The order follows Mitchell et al. 2019, "Model cards for model reporting" (arXiv 1810.03993).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gunshot.models.bundle import Bundle
from gunshot.models.catalogue import MODELS
from gunshot.storage import join, write_bytes

__all__ = ["CARD_NAME", "key_figures", "model_card", "write_card"]

CARD_NAME = "MODEL_CARD.md"
"""Name of the card beside a bundle."""

_USE = """\
It tells whether a clip that begins at an onset is a gunshot. It is meant for sound archives: to put the few minutes
that a person should hear before the days that nobody can. A detection is a place to listen, not a proof that a shot was
fired; no decision about a person may rest on it."""

_LIMITS = (
    "A threshold keeps its promise on sound like that of the rows it was chosen on. Other recorders, distances and "
    "places change both rates: adapt the model to them, or choose the threshold on labelled clips of your own.",
    "Shots that raise no onset (far away, or below the noise) are never scored.",
    "Fireworks, slammed doors, bursting balloons and other sharp sounds are what it takes for shots most often.",
    "It does not tell calibre, distance or direction, and does not count the rounds of automatic fire.",
)


def key_figures(details: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a bundle for a line in a list, without loading the model.

    Parameters
    ----------
    details : mapping
        The content of ``model.json``.

    Returns
    -------
    dict
        ``model``, and of the default operating point ``operating_point``, ``threshold``, ``recall``, ``fpr`` and
        ``split``; empty where ``model.json`` is damaged or of another format.
    """
    try:
        point = next(point for point in details["operating_points"] if point["name"] == details["default"])
        names = ("threshold", "recall", "fpr", "split")
        return {"model": details["model"], "operating_point": point["name"], **{name: point[name] for name in names}}
    except (KeyError, TypeError, StopIteration):
        return {}


def model_card(bundle: Bundle) -> str:
    """Write a model's card.

    Parameters
    ----------
    bundle : Bundle
        The model.

    Returns
    -------
    str
        Markdown.
    """
    details, training = bundle.details, bundle.details.get("training") or {}
    sections = [
        (f"# {bundle.name} {bundle.digest}", [f"{MODELS[bundle.name].what}.".capitalize()]),
        ("## Intended use", [_USE]),
        ("## Training data", _data(training)),
        ("## Operating points", _points(bundle)),
        ("## Probabilities", [_calibration(bundle)]),
        ("## Figures", _figures(details)),
        ("## Against the champion", _champion(details.get("champion"))),
        ("## Warnings of the audit", _bullets((details.get("audit") or {}).get("warnings") or ())),
        ("## Limits", _bullets(_LIMITS)),
        ("## Licences and attribution", _licences(training)),
        ("## Identity", _identity(bundle)),
    ]
    return "\n\n".join("\n\n".join([title, "\n".join(lines)]) for title, lines in sections if lines) + "\n"


def write_card(bundle: Bundle) -> str:
    """Write a model's card beside its bundle.

    Parameters
    ----------
    bundle : Bundle
        The model.

    Returns
    -------
    str
        Where it is.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    uri = join(bundle.uri, CARD_NAME)
    write_bytes(uri, model_card(bundle).encode())
    return uri


def _bullets(texts: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in texts]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *body] if body else []


def _data(training: Mapping[str, Any]) -> list[str]:
    lines = []
    rows = training.get("rows") or {}
    if rows:
        parts = ", ".join(f"{count:,} {split}" for split, count in rows.items())
        plan = training.get("split") or {}
        by = f", divided by {plan['by']}" if "by" in plan else ""
        copies = f"; {training['copies']:,} distorted copies of training rows" if training.get("copies") else ""
        lines.append(f"Clips: {parts}{by}{copies}.")
        placed = ", ".join(f"`{'='.join(pair)}`" for pair in plan.get("assignments") or ())
        lines += [f"Placed by path: {placed}."] * bool(placed)
    by_source = training.get("rows_by_source") or {}
    table = _table(
        ("trained on", "gunshots", "other sounds"),
        ((name, f"{row['gunshots']:,}", f"{row['others']:,}") for name, row in sorted(by_source.items())),
    )
    if table:
        return [*lines, "", *table]
    sources = training.get("sources") or ()
    return lines + ([f"Sources: {', '.join(sources)}."] if sources else [])


def _points(bundle: Bundle) -> list[str]:
    table = _table(
        ("operating point", "threshold", "recall", "false alarms", "chosen on", "promise"),
        (
            (
                f"**{point.name}** (default)" if point.name == bundle.details["default"] else point.name,
                f"{point.threshold:.4f}",
                f"{point.recall:.4f}",
                f"{point.fpr:.4f}",
                f"{point.n_gunshots:,} gunshots, {point.n_others:,} others ({point.split})",
                point.guarantee or point.note or "none",
            )
            for point in bundle.operating_points
        ),
    )
    return [*table, "", "Recall and false alarms are those of the rows it was chosen on; they flatter a little."]


def _calibration(bundle: Bundle) -> str:
    calibration = bundle.calibration
    if calibration.method == "none":
        return "Scores are not calibrated: the probability that is written is the score itself."
    prior = "" if calibration.prior is None else f", of which {calibration.prior:.1%} are gunshots"
    return (
        f"Platt's method on {calibration.n_gunshots:,} gunshots and {calibration.n_others:,} others "
        f"({calibration.split}{prior}): sigmoid({calibration.slope:.4f} logit(score) {calibration.intercept:+.4f}). "
        "Where gunshots are rarer than among those rows, the true probability is lower."
    )


def _figures(details: Mapping[str, Any]) -> list[str]:
    evaluation = details.get("evaluation") or {}
    splits = {name: value for name, value in evaluation.items() if isinstance(value, Mapping) and "roc_auc" in value}
    if not splits and details.get("validation"):
        splits = {"validation": details["validation"]}
    splits |= evaluation.get("by_source") or {}
    return _table(
        ("rows", "gunshots", "recall", "other sounds", "false alarms", "ROC AUC"),
        ((name, *_cells(value)) for name, value in splits.items()),
    )


def _champion(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    comparison = found["comparison"]
    rows = [*comparison["by_source"].items(), ("all sources", comparison)]
    table = _table(
        ("rows neither was trained on", "shots", "won", "lost", "other sounds", "alarms won", "alarms lost"),
        (
            (name, *(f"{of[kind][key]:,}" for kind in ("shots", "alarms") for key in ("n", "won", "lost")))
            for name, of in rows
        ),
    )
    champion = comparison["models"][0]
    return [f"The model before it: {champion['uri']} ({champion['digest']}).", "", *table]


def _cells(figures: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(figures.get("n_gunshots", "")),
        _rate(figures, "recall"),
        str(figures.get("n_others", "")),
        _rate(figures, "fpr"),
        _number(figures.get("roc_auc")),
    )


def _rate(figures: Mapping[str, Any], name: str) -> str:
    interval = figures.get(f"{name}_interval")
    extra = f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else ""
    return _number(figures.get(name)) + extra


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _licences(training: Mapping[str, Any]) -> list[str]:
    licences, attribution = training.get("licenses") or (), training.get("attribution") or {}
    if isinstance(licences, Mapping):
        lists = {source: [names] if isinstance(names, str) else names for source, names in licences.items()}
        lines = [f"{source}: {', '.join(names) or 'not stated'}" for source, names in sorted(lists.items())]
    else:
        lines = [f"Trained on sound under: {', '.join(licences)}."] if licences else []
    return _bullets([*lines, *(f"{source}: {text}" for source, text in sorted(attribution.items()))])


def _identity(bundle: Bundle) -> list[str]:
    details, training = bundle.details, bundle.details.get("training") or {}
    known = [name for name in ("manifest_digest", "seed") if name in training]
    rows = [
        ("digest", bundle.digest),
        ("recipe", bundle.recipe.digest),
        ("weights, SHA-256", details["weights"]["sha256"]),
        ("format", details["format"]),
        *((f"training, {name.replace('_', ' ')}", str(training[name])) for name in known),
        *((f"version of {name}", str(version)) for name, version in (details.get("versions") or {}).items()),
    ]  # fmt: skip
    return _table(("what", "value"), rows)
