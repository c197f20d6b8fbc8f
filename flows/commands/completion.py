"""``gunshot completion``: commands, options and paths at a press of Tab."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

__all__ = ["COMPLETE_VARIABLE", "complete_paths", "completion"]

COMPLETE_VARIABLE = "_GUNSHOT_COMPLETE"
"""By this variable the shell's script asks the command itself what fits; click reads it."""

_PATHS = frozenset(
    ("INPUT", "[INPUT]", "URI", "[URI]", "DIR", "CSV", "CSV|RESULTS", "NAME|URI", "RESULTS", "STORE", "MODEL", "ROOT")
) | {
    "YAML",
    "TOML",
    "PROFILE",
    "FILE.parquet",
    "FILE.html",
    "FILE.prom",
    "SAMPLE.csv",
    "A",
    "B",
    "BUNDLE",
    "FOLDER",
    "LABELS",
}
"""What stands for values that may be paths in the commands' help."""


class _Place(click.types.StringParamType):
    """Text that may be a path: the shell offers its own files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell."""
        return [CompletionItem(incomplete, type="file")]


def complete_paths(group: click.Group) -> None:
    """Let the shell offer files where a command takes a path, and nowhere else.

    Parameters
    ----------
    group : click.Group
        Its commands, and those below them.
    """
    for command in group.commands.values():
        if isinstance(command, click.Group):
            complete_paths(command)
        for parameter in command.params:
            shown = parameter.metavar or (parameter.name or "").upper()
            if parameter.type is click.STRING and shown.removesuffix("...") in _PATHS:
                parameter.type = _Place()


@click.command(short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options and paths.

    \b
    Example:  gunshot completion bash > ~/.local/share/bash-completion/completions/gunshot
              gunshot completion zsh > ~/.zfunc/_gunshot
              gunshot completion fish > ~/.config/fish/completions/gunshot.fish

    A new shell has it. For zsh, ~/.zshrc needs "fpath+=~/.zfunc" ahead of "autoload -Uz compinit && compinit".
    """  # noqa: D301
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click knows no {shell}")
    click.echo(kind(context.find_root().command, {}, "gunshot", COMPLETE_VARIABLE).source())
