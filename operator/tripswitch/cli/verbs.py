"""A person's commands: each is one small write, explained in one line (rules C and R7).

What cannot do anything is refused before it is written: an annotation that acts on nothing would only
puzzle the next reader.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from tripswitch.api.identity import CONTINUE, RETRY, STOP
from tripswitch.cli.clock import read_clock
from tripswitch.cli.formatting import format_moment
from tripswitch.cli.options import name_argument, target_argument, where_options
from tripswitch.cli.problems import Problem
from tripswitch.cli.references import Kind, Reference
from tripswitch.cli.session import Session, converse
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cli.subjects import find_subject
from tripswitch.cli.where import Where
from tripswitch.domain.values.hooks import HookAction

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


Decide = Callable[[View], tuple[Mapping[str, Any], str]]
"""From a view to a change, and the words that say what was done."""


def _change(target: Reference, where: Where, decide: Decide) -> None:
    """Read, decide, patch, and say what was done."""

    def talk(session: Session) -> Awaitable[str]:
        return _apply(session, target, decide)

    click.echo(converse(where, talk))


async def _apply(session: Session, target: Reference, decide: Decide) -> str:
    subject = await find_subject(session, target)
    view = build_view(subject.raw, (), (), read_clock())
    change, said = decide(view)
    await session.patch(subject.resource, subject.name, change)
    return f"{view.label} {said}"


@click.command()
@target_argument()
@where_options
def retry(*, target: Reference, where: Where) -> None:
    """Try a failed revision again.

    For when the cause was outside the image: a registry that was down, a missing Secret. The count
    begins at 0. A changed template needs no retry: applying it starts a new rollout.

    A guarded workload that a trip holds (deploy/NAME, sts/NAME) is let go for it.

    Writes the annotation tripswitch.dev/retry on the GuardedDeployment or DeploymentCircuitBreaker.
    """
    _change(target, where, decide_retry)


@click.command()
@target_argument()
@click.option("--rollback", "how", flag_value="ROLLBACK", help="Go back to the last completed.")
@click.option("--abort", "how", flag_value="ABORT", help="Leave things as they are; no rollback.")
@where_options
def stop(
    *,
    target: Reference,
    how: str | None,
    where: Where,
) -> None:
    """Stop the rollout that is running; choose --rollback or --abort.

    It acts on the very rollout that runs now, never on a later one. As ECS StopServiceDeployment.

    Writes the annotation tripswitch.dev/stop on the GuardedDeployment or DeploymentCircuitBreaker.
    """
    if how is None:
        raise click.UsageError("choose --rollback or --abort")
    _change(target, where, lambda view: decide_stop(view, how))


@click.command("continue")
@name_argument()
@click.option("--rollback", is_flag=True, help="Stop the rollout and go back instead.")
@click.option("--hook", "hook_id", default="", help="Only this hook; by default all that wait.")
@where_options
def continue_(*, name: str, rollback: bool, hook_id: str, where: Where) -> None:
    """Answer the hooks that a rollout waits for: go on, or roll back.

    As ECS ContinueServiceDeployment. Which hooks wait, and until when, is shown by status.

    Writes the annotation tripswitch.dev/continue on the GuardedDeployment.
    """
    action = HookAction.ROLLBACK if rollback else HookAction.CONTINUE
    _change(
        Reference(Kind.GUARDED, name), where, lambda view: decide_continue(view, action, hook_id)
    )


@click.command()
@name_argument()
@where_options
def pause(*, name: str, where: Where) -> None:
    """Hold the rollout: no pod is launched or removed for it, and no failure counts.

    Sets spec.paused. With GitOps set it in Git, or it will be set back.
    """
    _change(Reference(Kind.GUARDED, name), where, lambda view: decide_pause(view, hold=True))


@click.command()
@name_argument()
@where_options
def resume(*, name: str, where: Where) -> None:
    """Go on with a rollout that was held. What failed meanwhile is not counted later."""
    _change(Reference(Kind.GUARDED, name), where, lambda view: decide_pause(view, hold=False))


@click.command()
@name_argument()
@where_options
def restart(*, name: str, where: Where) -> None:
    """Replace all pods by a rollout of the same template, with the breaker watching.

    Sets the pod template's annotation kubectl.kubernetes.io/restartedAt, as kubectl rollout restart.
    """
    moment = format_moment(read_clock()).replace(" ", "T")
    _change(Reference(Kind.GUARDED, name), where, lambda view: decide_restart(view, moment))


def decide_retry(view: View) -> tuple[Mapping[str, Any], str]:
    """Return the change that retries the wanted revision (C1).

    Raises:
        Problem: It has not failed.
    """
    wanted = next((r for r in view.revisions if r.number == view.desired_revision), None)
    if wanted is None or wanted.state not in ("FAILED", "STOPPED"):
        state = (
            "has not been handled by the operator yet" if wanted is None else f"is {wanted.state}"
        )
        raise Problem(
            f"nothing to retry: revision {view.desired_revision} {state}, not FAILED"
            if wanted is not None
            else f"nothing to retry: {view.label} {state}"
        )
    value = f"{view.desired_revision}-{read_clock():.3f}"
    return _annotate(RETRY, value), f"retries revision {wanted.number}"


def decide_stop(view: View, how: str) -> tuple[Mapping[str, Any], str]:
    """Return the change that stops the running rollout (C2).

    Raises:
        Problem: None runs.
    """
    rollout = view.rollout
    if view.outcome is not Outcome.RUNNING or not rollout.status:
        raise Problem(f"nothing to stop: the latest rollout is {rollout.status or 'not there yet'}")
    if not view.current:
        raise Problem("the operator has not handled the latest change yet; try again")
    said = f"stops the rollout of revision {rollout.revision}"
    said += " and rolls back" if how == "ROLLBACK" else ", without a rollback"
    return _annotate(STOP, f"{rollout.revision}/{how}"), said


def decide_continue(
    view: View, action: HookAction, hook_id: str = ""
) -> tuple[Mapping[str, Any], str]:
    """Return the change that answers the hooks that wait, or one of them (C4).

    Raises:
        Problem: No such hook waits.
    """
    waiting = [hook for hook in view.rollout.hooks if hook_id in ("", hook.id)]
    if not waiting:
        which = f"hook {hook_id} does not wait" if hook_id else "no hook waits"
        raise Problem(f"nothing to answer: {which} for an answer")
    value = ",".join(f"{hook.id}/{action}" for hook in waiting)
    stages = ", ".join(dict.fromkeys(hook.stage for hook in waiting))
    goes = "continues" if action is HookAction.CONTINUE else "stops and rolls back"
    return (
        _annotate(CONTINUE, value),
        f"{goes} the rollout of revision {view.rollout.revision} at {stages}",
    )


def decide_pause(view: View, *, hold: bool) -> tuple[Mapping[str, Any], str]:
    """Return the change that holds a rollout or lets it go on (R7).

    Raises:
        Problem: It is so already.
    """
    if view.paused is hold:
        raise Problem(f"{view.label} is {'already' if hold else 'not'} paused")
    return {"spec": {"paused": hold}}, "paused" if hold else "resumed"


def decide_restart(view: View, moment: str) -> tuple[Mapping[str, Any], str]:
    """Return the change that makes a new revision of the same template.

    Raises:
        Problem: It is paused: nothing would happen.
    """
    if view.paused:
        raise Problem(f"{view.label} is paused; resume it first")
    metadata = {"annotations": {RESTARTED_AT: moment}}
    return {"spec": {"template": {"metadata": metadata}}}, "restarted"


def _annotate(key: str, value: str) -> Mapping[str, Any]:
    return {"metadata": {"annotations": {key: value}}}
