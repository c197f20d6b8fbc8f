"""``gunshot models``: the registry of trained models, and which of them is in use."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import shown

if TYPE_CHECKING:
    from gunshot.comparison import Comparison
    from gunshot.models.registry import Version

__all__ = ["model_option", "models", "registry_option"]

registry_option = click.option(
    "--registry", envvar="GUNSHOT_REGISTRY", metavar="URI", help="The registry; GUNSHOT_REGISTRY if not given."
)


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--model`` and ``--registry``; it is called with the bundle's URI as `model`.

    Parameters
    ----------
    function : callable
        The command.

    Returns
    -------
    callable
        The command, with both options.
    """

    @functools.wraps(function)
    def resolved(*, model: str, registry: str | None, **parameters: Any) -> Any:
        from gunshot.models.registry import resolve_model

        return function(model=resolve_model(model, registry), **parameters)

    what = "A bundle, a model of the registry (NAME, NAME@v0001), or field."
    option = click.option("--model", required=True, metavar="MODEL", help=what)
    return option(registry_option(resolved))


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
_why = click.option("--why", default="", metavar="TEXT", help="The reason, for the registry's log.")
_store = click.option("--store", metavar="URI", help="The feature store whose held-out rows both are scored on.")


@click.group(short_help="Keep versions of models, compare them, choose the one in use.")
def models() -> None:
    """Keep versions of trained models, compare them and choose the one in use.

    MODEL is a bundle's folder, NAME, NAME@champion, NAME@challenger, NAME@v0001, or field.

    \b
    Example:  gunshot models list --registry s3://bucket/models
    """  # noqa: D301


def _needed(registry: str | None) -> str:
    from gunshot.errors import ParameterError

    if registry is None:
        raise ParameterError("no registry: give --registry URI, or set GUNSHOT_REGISTRY")
    return registry


@models.command("list")
@click.argument("name", required=False)
@registry_option
@_json
def list_registered(name: str | None, registry: str | None, as_json: bool) -> None:
    """Show models, versions, aliases and key figures.

    \b
    Example:  gunshot models list --registry s3://bucket/models
    """  # noqa: D301
    from gunshot.models.registry import list_models, list_versions

    place = _needed(registry)
    found = [version for each in ([name] if name else list_models(place)) for version in list_versions(place, each)]
    if as_json:
        click.echo(json.dumps([_as_dict(version) for version in found]))
    elif not found:
        click.echo(f"no models in {place}; add one: gunshot models add NAME BUNDLE")
    else:
        width = max(len(version.reference) for version in found)
        click.echo("\n".join(_line(version, width) for version in found))


def _as_dict(version: Version) -> dict[str, Any]:
    from gunshot.models.card import key_figures

    values = {name: getattr(version, name) for name in ("name", "version", "uri", "aliases", "digest")}
    return values | {"figures": key_figures(version.details)}


def _line(version: Version, width: int) -> str:
    from gunshot.models.card import key_figures

    start = f"{version.reference:<{width}}  {', '.join(version.aliases):<10}  {version.digest or '?':<16}"
    found = key_figures(version.details)
    if not found:
        return f"{start}  model.json is damaged"
    return (
        f"{start}  {found['model']:<10} threshold {found['threshold']:.4f}  recall {found['recall']:.3f}  "
        f"false alarms {found['fpr']:.4f}  ({found['split']})"
    )


@models.command()
@click.argument("model")
@registry_option
@_json
def show(model: str, registry: str | None, as_json: bool) -> None:
    """Print a model's card.

    \b
    Example:  gunshot models show field
    """  # noqa: D301
    from gunshot.models.bundle import load_bundle
    from gunshot.models.card import model_card
    from gunshot.models.registry import resolve_model

    bundle = load_bundle(resolve_model(model, registry))
    click.echo(json.dumps(dict(bundle.details)) if as_json else model_card(bundle).rstrip())


@models.command(short_help="Score the same held-out rows with two models.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--store", required=True, metavar="URI", help="The feature store whose held-out rows both are scored on.")
@registry_option
@_json
@shown
def compare(first: str, second: str, store: str, registry: str | None, as_json: bool) -> None:
    """Score the same held-out rows with two models: shots and false alarms that B wins and loses.

    \b
    Example:  gunshot models compare street@champion street@challenger --store features.zarr
    """  # noqa: D301
    from gunshot.comparison import compare_bundles
    from gunshot.models.registry import resolve_model

    found = compare_bundles(store, resolve_model(first, registry), resolve_model(second, registry))
    click.echo(json.dumps(found.as_dict()) if as_json else "\n".join(found.lines()))


@models.command(short_help="Copy BUNDLE into the registry as the next version of NAME.")
@click.argument("name")
@click.argument("bundle")
@_why
@registry_option
@_json
def add(name: str, bundle: str, why: str, registry: str | None, as_json: bool) -> None:
    """Copy BUNDLE into the registry as the next version of NAME, and make it the challenger.

    \b
    Example:  gunshot models add street model --registry s3://bucket/models
    """  # noqa: D301
    from gunshot.models.promotion import add_version

    version, is_new = add_version(_needed(registry), name, bundle, why)
    done = "added" if is_new else "is there already"
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    text = f"{version.reference}{aliases} {done}: {version.uri}"
    click.echo(json.dumps({**_as_dict(version), "is_new": is_new}) if as_json else text)


@models.command(short_help="Copy a model with a threshold of a site's own.")
@click.argument("model")
@click.option(
    "--background", multiple=True, required=True, metavar="INPUT", help="Recordings of the site; may be given again."
)
@click.option(
    "--a-day",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="N",
    help="False alarms a day of sound, at most.",
)
@click.option("--out", required=True, metavar="DIR", help="The new bundle's folder.")
@registry_option
@_json
@shown
def refit(model: str, background: tuple[str, ...], a_day: float, out: str, registry: str | None, as_json: bool) -> None:
    """Copy a model with a threshold of a site's own, from hours of its sound; nothing needs a label.

    \b
    Example:  gunshot models refit field --background nights/ --a-day 10 --out field-here
    """  # noqa: D301
    from gunshot.models.bundle import load_bundle
    from gunshot.models.registry import resolve_model
    from gunshot.scoring.refit import refit_to_site

    done = refit_to_site(load_bundle(resolve_model(model, registry)), background, out, max_per_day=a_day)
    click.echo(json.dumps(dataclasses.asdict(done)) if as_json else "\n".join(done.lines()))


@models.command(short_help="Make a version the champion, after a check on held-out shots.")
@click.argument("reference", metavar="NAME@vNNNN")
@_store
@click.option("--force", is_flag=True, help="Promote it even if it misses shots that the champion finds.")
@_why
@registry_option
@_json
@shown
def promote(reference: str, store: str | None, force: bool, why: str, registry: str | None, as_json: bool) -> None:
    """Make a version the champion, unless it misses held-out shots that the champion finds.

    \b
    Example:  gunshot models promote street@v0002 --store features.zarr --why "fewer alarms in rain"
    """  # noqa: D301
    from gunshot.comparison import check_promotion
    from gunshot.errors import RunError
    from gunshot.models.promotion import set_alias
    from gunshot.models.registry import find_version, list_versions

    place = _needed(registry)
    version = find_version(place, reference)
    champion = next((each for each in list_versions(place, version.name) if "champion" in each.aliases), None)
    if champion is not None and champion.version == version.version:
        text = f"{version.reference} is the champion already"
        click.echo(json.dumps({"promoted": False, "entry": None, "comparison": None}) if as_json else text)
        return
    found = _compared(champion, version, store)
    is_forced = False
    if found is not None:
        try:
            check_promotion(found)
        except RunError:
            if not force:
                lines = [json.dumps(found.as_dict())] if as_json else found.lines()
                click.echo("\n".join(lines))
                raise
            is_forced = True
    seen = None if champion is None else champion.version
    entry = set_alias(place, version, "champion", why, seen=seen, is_forced=is_forced)
    if as_json:
        comparison = None if found is None else found.as_dict()
        click.echo(json.dumps({"promoted": True, "entry": dataclasses.asdict(entry), "comparison": comparison}))
        return
    lines = [] if found is None else found.lines()
    click.echo("\n".join([*lines, f"{version.reference} is the champion (before: {seen or 'none'})"]))


def _compared(champion: Version | None, version: Version, store: str | None) -> Comparison | None:
    """The champion and who is to replace it; None where there is no champion yet."""
    from gunshot.comparison import compare_bundles
    from gunshot.errors import ParameterError

    if champion is None:
        return None
    if store is None:
        raise ParameterError(
            f"--store is needed: {version.reference} is held against the champion {champion.reference} on its rows"
        )
    return compare_bundles(store, champion.uri, version.uri)
