"""Shell completion: for kubectl (``kubectl_complete-tripswitch``), and for the program by itself."""

from __future__ import annotations

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

KUBECTL = """\
#!/bin/sh
# Put this on the PATH as "kubectl_complete-tripswitch" and make it executable: kubectl calls it.
exec kubectl-tripswitch __complete "$@"
"""

VARIABLE = "_KUBECTL_TRIPSWITCH_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["kubectl", "bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete commands, options and names.

    "kubectl" is what kubectl (1.26 or newer) calls to complete "kubectl tripswitch"; the package
    installs it by itself. The others complete the program "kubectl-tripswitch".

    \b
    kubectl tripswitch completion kubectl > ~/bin/kubectl_complete-tripswitch
    chmod +x ~/bin/kubectl_complete-tripswitch
    source <(kubectl-tripswitch completion bash)
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
    if shell == "kubectl":
        click.echo(KUBECTL, nl=False)
        return
    made = get_completion_class(shell)
    assert made is not None
    root = click.get_current_context().find_root().command
    click.echo(made(root, {}, "kubectl-tripswitch", VARIABLE).source())


@click.command(name="__complete", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def complete(words: tuple[str, ...]) -> None:
    """Answer kubectl: one candidate a line, then what the shell shall do with them."""
    click.echo(answer(click.get_current_context().find_root().command, words))


def answer(root: click.Command, words: tuple[str, ...]) -> str:
    """Return the candidates for the last of the words, in Cobra's form.

    The last line is Cobra's directive: 4 = do not offer file names, 0 = do.
    """
    *before, incomplete = words or ("",)
    found = ShellComplete(root, {}, "kubectl-tripswitch", VARIABLE).get_completions(
        list(before), incomplete
    )
    files = any(item.type in ("file", "dir") for item in found)
    lines = [
        f"{item.value}\t{' '.join(item.help.split())}" if item.help else str(item.value)
        for item in found
        if item.type == "plain"
    ]
    return "\n".join([*lines, ":0" if files else ":4"])


def main() -> None:
    """``kubectl_complete-tripswitch``: the program that kubectl asks."""
    from tripswitch.cli.app import app  # noqa: PLC0415 - the group imports this module by name

    click.echo(answer(app, tuple(sys.argv[1:])))
