"""The paper's table beside ours, as Markdown and as one self-contained page.

Conventions
-----------
Both are made from ``table.json`` alone and say the same. The page needs no script, no network and no other file;
everything that comes from the table is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["html_page", "markdown_page", "table_lines"]

Json = Mapping[str, Any]
Grid = tuple[str, Sequence[str], list[list[str]]]
"""Heading, columns, rows."""

_TITLE = "The paper's table beside ours"
_DASH = "-"


def _what(table: Json) -> list[str]:
    """What was done, in sentences; the first says whose data it is."""
    sets = list(table["sets"].values())
    first = sets[0]
    counts = f"{first['gunshots']['n']} gunshots and {first['others']['n']} other sounds"
    if table["kind"] == "published":
        whose = f"These are {counts} named as the paper's own sets are, read from the store's recordings."
    else:
        whose = (
            f"This is a like set, not the paper's data: {counts}, drawn by seed from the store. The paper had 615 "
            "gunshots of NIJ 2016-DN-BX-0183 and 612 plastic-bag pops. Nothing here says how the paper's models do on "
            "the paper's recordings; it says how the same models do in the same experiment on others."
        )
    sources = "; ".join(
        f"{name}: " + ", ".join(f"{source or 'no source'} {n}" for source, n in first[name]["sources"].items())
        for name in ("gunshots", "others")
    )
    groups = f"{first['gunshots']['n_groups']} groups of gunshots, {first['others']['n_groups']} of other sounds"
    seed = next(iter(table["sets"]))
    facts = [
        whose,
        f"Seed {seed} drew {sources} ({groups}).",
        "As in the paper, four fifths train and one fifth is the test, there is no validation set, a clip is called a "
        f"gunshot from a score of {table['threshold']:g} on, and the augmented training rows are the originals and a "
        "copy of each with Gaussian noise. What the paper leaves open (rate, clip, spectrogram, level of the noise, "
        "optimiser) is the store's recipe and the project's own choice, in the notes at the end.",
        "The random split divides rows, as the paper did; the split by group keeps everything of one recording, or of "
        "one shot heard by several sensors, on one side. Their difference is what leaks.",
    ]
    if table["synthetic"]:
        facts.insert(1, "The store holds synthetic sound: no figure here is accuracy on real recordings.")
    return facts


def _notes(table: Json) -> list[str]:
    rules = [
        f"{name}: batches of {rule['batch_size']}, Adam at {rule['learning_rate']:g}"
        + (", falling to 0 along a half cosine." if rule["decays"] else " throughout.")
        for name, rule in table["rules"].items()
        if rule["batch_size"]
    ]
    rules.append(f"Noise of the augmented rows: {table['noise_snr_db']:g} dB below each clip.")
    store = table["store"]
    return [
        *rules,
        "The paper gives 0.561 (abstract) and 0.597 (results) for the same cell. Its accuracies are whole rows out of "
        "246: one row is 0.004.",
        "Spread is the standard deviation over seeds; a seed draws the rows, splits them, draws the noise and starts "
        "the weights. The interval is exact (95%) over the test clips of all runs, which are not independent of each "
        "other: take it as a least width.",
        f"Store {store['uri']}, manifest {store['manifest_digest']}, recipe {store['recipe_digest']}, gunshot "
        f"{table['version']}; seeds {', '.join(str(seed) for seed in table['seeds'])}; "
        f"{table['elapsed_s']:,.0f} s of training.",
    ]


def _named(line: Json) -> list[str]:
    return [line["model"], line["data"], str(line["epochs"] or _DASH)]


def _accuracy(line: Json | None) -> str:
    if line is None:
        return _DASH
    mean, spread = line["accuracy"]["mean"], line["accuracy"]["spread"]
    return f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"


def _accuracies(table: Json) -> Grid:
    by_key = {(it["model"], it["data"], it["epochs"], it["split"]): it for it in table["lines"]}
    rows = []
    for line in (it for it in table["lines"] if it["split"] == "random"):
        grouped = by_key.get((line["model"], line["data"], line["epochs"], "group"))
        leak = _DASH if grouped is None else f"{line['accuracy']['mean'] - grouped['accuracy']['mean']:+.3f}"
        paper = line["paper"]["printed"] if line["paper"] else _DASH
        rows.append([*_named(line), paper, _accuracy(line), _accuracy(grouped), leak])
    columns = ("model", "training rows", "epochs", "paper", "ours, random split", "ours, split by group", "leakage")
    return "Accuracy", columns, rows


def _errors(table: Json) -> Grid:
    rows = []
    for line in table["lines"]:
        paper = (line["paper"] or {}).get("confusion") or {}
        runs = line["runs"]
        missed = f"{line['confusion']['fn']} of {line['confusion']['fn'] + line['confusion']['tp']}"
        alarms = f"{line['confusion']['fp']} of {line['confusion']['fp'] + line['confusion']['tn']}"
        low, high = line["accuracy"]["interval"]
        rows.append(
            [
                *_named(line), line["split"], missed, ", ".join(str(run["confusion"]["fn"]) for run in runs),
                str(paper.get("fn", _DASH)), alarms, str(paper.get("fp", _DASH)), f"{low:.3f} to {high:.3f}",
            ]
        )  # fmt: skip
    columns = (
        "model", "training rows", "epochs", "split", "false negatives, all runs", "each run", "paper",
        "false positives, all runs", "paper", "accuracy, 95%",
    )  # fmt: skip
    return "Errors", columns, rows


def _confusions(table: Json) -> Grid:
    rows = []
    for line in table["lines"]:
        for run in line["runs"]:
            counts = [str(run["confusion"][name]) for name in ("tn", "fp", "fn", "tp")]
            sizes = [str(run[name]) for name in ("test", "train", "test_rows_of_shared_groups")]
            rows.append([*_named(line), line["split"], str(run["seed"]), *counts, *sizes])
    columns = (
        "model", "training rows", "epochs", "split", "seed", "other called other", "other called gunshot",
        "gunshot called other", "gunshot called gunshot", "test rows", "training rows",
        "test rows whose group was trained on",
    )  # fmt: skip
    return "Confusion matrices", columns, rows


def _grids(table: Json) -> list[Grid]:
    return [_accuracies(table), _errors(table), _confusions(table)]


def table_lines(table: Json) -> list[str]:
    """The accuracies for a terminal.

    Parameters
    ----------
    table : mapping
        The content of ``table.json``.

    Returns
    -------
    list of str
        A heading, a line a model, data and number of epochs, and whose data it is.
    """
    _, columns, rows = _accuracies(table)
    widths = [max(len(row[index]) for row in [list(columns), *rows]) for index in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [columns, *rows]]
    return [line.rstrip() for line in lines] + _what(table)[: 2 if table["synthetic"] else 1]


def markdown_page(table: Json) -> str:
    """The table as Markdown.

    Parameters
    ----------
    table : mapping
        The content of ``table.json``.

    Returns
    -------
    str
        The content of ``table.md``.
    """
    parts = [f"# {_TITLE}", "", *(line for fact in _what(table) for line in (fact, ""))]
    for heading, columns, rows in _grids(table):
        parts += [f"## {heading}", "", _pipes(columns), _pipes(["---"] * len(columns))]
        parts += [*(_pipes(row) for row in rows), ""]
    parts += ["## Notes", "", *(f"- {note}" for note in _notes(table))]
    return "\n".join(parts) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2321; --soft: #59635f; --faint: #d5dad7; --banner: #fff1d6;
  --edge: #e0a030; --banner-ink: #5c3a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #141816; --ink: #e7ece9; --soft: #a3aea9; --faint: #3a4440;
  --banner: #3a2b0c; --edge: #b9852a; --banner-ink: #ffdf9e; } }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
.banner { background: var(--banner); color: var(--banner-ink); border-left: .35rem solid var(--edge);
  padding: .7rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid var(--faint); vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; }
"""


def html_page(table: Json) -> str:
    """The table as a page.

    Parameters
    ----------
    table : mapping
        The content of ``table.json``.

    Returns
    -------
    str
        The content of ``table.html``.
    """
    whose, *facts = _what(table)
    body = [f"<h1>{escape(_TITLE)}</h1>", f'<p class="banner">{escape(whose)}</p>']
    body += [f"<p>{escape(fact)}</p>" for fact in facts]
    for heading, columns, rows in _grids(table):
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
        lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        body += [
            f"<h2>{escape(heading)}</h2>",
            f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(heading)}"><table><thead><tr>{head}'
            f"</tr></thead><tbody>{''.join(lines)}</tbody></table></div>",
        ]
    body += ["<h2>Notes</h2>", "<ul>", *(f"<li>{escape(note)}</li>" for note in _notes(table)), "</ul>"]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(_TITLE)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )
