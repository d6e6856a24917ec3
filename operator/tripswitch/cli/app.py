"""The command ``kubectl tripswitch`` itself: a table of subcommands, each imported when it is used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from keyword import iskeyword

import click

PROGRAM = "kubectl tripswitch"

EPILOG = """\b
Exit codes:
  0  done; with "status --watch": the rollout COMPLETED
  1  the rollout FAILED or was rolled back, or there is nothing to act on
  2  wrong usage
  3  no cluster, or no valid credentials
  4  not found: the object, the revision, or Tripswitch's CRD
  5  not allowed (RBAC)
  6  refused by the API server, or changed at the same moment

\b
NAME may be written as kubectl writes it: web or gdeploy/web for a GuardedDeployment; deploy/web, sts/db or
dcb/web for a workload that is guarded in place.
Colours appear on a terminal only; NO_COLOR=1 turns them off.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("status.command", "What runs, what failed and why, as a tree; -w repaints it live."),
    "history": ("history", "The revisions with their states, images, failures and times."),
    "diff": ("diff", "What is different between the pod templates of two revisions."),
    "guard": ("guard", "Give an existing Deployment or StatefulSet a circuit breaker."),
    "retry": ("verbs", "Try a failed revision again."),
    "stop": ("verbs", "Stop the rollout that is running: roll back, or leave it as it is."),
    "continue": ("verbs", "Answer the hooks that a rollout waits for: go on, or roll back."),
    "pause": ("verbs", "Hold the rollout: nothing is launched, removed or counted."),
    "resume": ("verbs", "Go on with a rollout that was held."),
    "restart": ("verbs", "Replace all pods by a rollout of the same template."),
    "undo": ("undo", "Put the pod template of an earlier revision back into the spec."),
    "convert": ("convert.command", "Turn Deployments, or an ECS service, into GuardedDeployments."),
    "simulate": ("simulate.command", "What the breaker would do, step by step, without a cluster."),
    "completion": ("completion", "Print what makes a shell complete commands and names."),
}
"""Name, module, and the line in the list of commands."""


class LazyGroup(click.Group):
    """Knows its commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        del ctx
        if cmd_name == "__complete":
            module = "completion"
        elif cmd_name in COMMANDS:
            module = COMMANDS[cmd_name][0]
        else:
            return None
        loaded = import_module(f"tripswitch.cli.{module}")
        function = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.strip("_")
        command: click.Command = getattr(loaded, function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table, without importing anything."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; of an unknown one say which there are."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = ", ".join(COMMANDS)
            ctx.fail(f"no command {args[0]!r}; there are {known}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    version("tripswitch"), "--version", prog_name=PROGRAM, message="%(prog)s %(version)s"
)
def app() -> None:
    """Look at and steer rollouts with a circuit breaker.

    \b
    kubectl tripswitch status web          what runs, what failed, and why
    kubectl tripswitch status web -w       the same, live, until the rollout has ended
    kubectl tripswitch status -A -w        everything that is guarded, worst first, live
    kubectl tripswitch guard deploy/web    a circuit breaker for a Deployment that exists
    kubectl tripswitch retry web           try the failed revision again
    """  # noqa: D301 - the backspace is click's mark for lines that stay as they are
