"""The tree that ``status`` shows: a view -> rich's values. Pure; the words are tested, not the look."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from tripswitch.cli.formatting import format_age, format_lasting, format_moment, one_line, plural
from tripswitch.cli.status.alarms import add_alarms
from tripswitch.cli.status.breaker import add_breaker
from tripswitch.cli.status.entries import HookLine, RevisionLine
from tripswitch.cli.status.holders import ReplicaSetLine
from tripswitch.cli.status.marks import MARKS, STATES, mark
from tripswitch.cli.status.pod_lines import PodLine, Tone
from tripswitch.cli.status.view import Outcome, View
from tripswitch.domain.values.time import Instant

POD_LIMIT = 10
"""Pods shown of one ReplicaSet; the failing ones come first."""


def render_status(view: View, now: Instant, *, all_pods: bool = False, note: str = "") -> Group:
    """Return the whole picture; ``note`` is one more line at its end."""
    root = Tree(_title(view), guide_style="dim")
    _add_rollout(root, view, now)
    add_breaker(root, view.breaker, now)
    add_alarms(root, view.alarms)
    if view.problem:
        root.add(Text(one_line(view.problem), style="red"))
    if view.risk:
        root.add(Text(f"at risk: {one_line(view.risk)}", style="yellow"))
    for revision in view.revisions:
        branch = root.add(_revision(revision, view, now))
        if revision.replica_set is not None and _is_shown(revision):
            _add_replica_set(branch, revision.replica_set, limit=None if all_pods else POD_LIMIT)
    lines: list[RenderableType] = [root]
    lines += [Text(f"  {line}", style="dim") for line in (*hints(view), *([note] if note else ()))]
    return Group(*lines)


def render_line(view: View) -> str:
    """Return the picture in one line, for logs and for lists.

    A log of a rollout is these lines, one for each change.
    """
    rollout, breaker = view.rollout, view.breaker
    parts = [
        f"{view.namespace}/{_short(view)}",
        rollout.status or "not looked at yet",
        *([f"revision {rollout.revision}"] if rollout.status else []),
        f"{view.healthy}/{view.replicas} healthy",
        f"failures {breaker.count}/{breaker.threshold}",
    ]
    line = "  ".join(parts)
    return f"{line}  {one_line(view.reason)}" if view.reason else line


def hints(view: View) -> list[str]:
    """Return what a person can do next."""
    name = _short(view)
    name = name if view.namespace == "default" else f"-n {view.namespace} {name}"
    command = "kubectl tripswitch"
    if not view.current:
        return ["the operator has not handled the latest change yet"]
    if view.paused and view.outcome is Outcome.RUNNING:
        kubectl = f"kubectl rollout resume {name}" if view.mode else f"{command} resume {name}"
        return [f"paused: {kubectl}"]
    if view.outcome is Outcome.RUNNING and view.rollout.hooks:
        return [
            f"let it go on: {command} continue {name}",
            f"stop it: {command} continue {name} --rollback",
        ]
    if view.outcome is Outcome.RUNNING:
        how = "--abort" if view.rollout.kind == "ROLLBACK" else "--rollback"
        return [f"stop it: {command} stop {name} {how}"]
    if view.outcome is Outcome.FAILED:
        found = [f"try it again: {command} retry {name}"]
        if view.rollout.failed_revision:
            found.insert(0, f"what was changed: {command} diff {name}")
        return found
    return []


def _short(view: View) -> str:
    """Return what a command takes for it: a GuardedDeployment goes by its bare name."""
    return view.label if view.mode else view.name


def _title(view: View) -> Text:
    title = Text.assemble((_short(view), "bold"), f"  namespace {view.namespace}  ")
    tone = "green" if view.healthy >= view.replicas else "yellow"
    title.append(f"{view.healthy} of {plural(view.replicas, 'pod')} healthy", tone)
    if view.paused:
        title.append("  PAUSED", "yellow bold")
    if view.held:
        title.append("  HELD BY TRIPSWITCH", "red bold")
    if view.mode == "Observe":
        title.append("  observed only: a trip changes nothing", "cyan")
    return title


def _add_rollout(root: Tree, view: View, now: Instant) -> None:
    rollout = view.rollout
    if not rollout.status:
        root.add(Text("no rollout yet: the operator has not handled it", style="yellow"))
        return
    tone = Tone.GOOD if view.outcome is Outcome.COMPLETED else STATES.get(rollout.status)
    line = mark(tone or Tone.WAITING, f"rollout {rollout.status}", bold=True)
    line.append(f"  revision {rollout.revision}")
    if rollout.failed_revision:
        line.append(f", back from {rollout.failed_revision}")
    if rollout.started_at is not None:
        ended = rollout.finished_at
        lasted = format_lasting((ended if ended is not None else now) - rollout.started_at)
        verb = f"took {lasted}, {format_age(now - ended)} ago" if ended is not None else lasted
        line.append(f"  {verb}", "dim")
    branch = root.add(line)
    for words in dict.fromkeys((view.reason, rollout.message)):
        if words:
            branch.add(Text(one_line(words)))
            break
    for hook in rollout.hooks:
        branch.add(_hook(hook, now))


def _hook(hook: HookLine, now: Instant) -> Text:
    line = mark(Tone.WAITING, f"hook {one_line(hook.id)}", bold=True)
    line.append(f"  {one_line(hook.stage)} waits for an answer", "yellow")
    if hook.started_at is not None:
        line.append(f"  for {format_lasting(max(0.0, now - hook.started_at))}", "dim")
    if hook.expires_at is not None:
        left = f"until {format_moment(hook.expires_at)}, then {one_line(hook.timeout_action)}"
        line.append(f"  {left}")
    return line


def _revision(revision: RevisionLine, view: View, now: Instant) -> Text:
    line = mark(STATES.get(revision.state, Tone.WAITING), f"revision {revision.number}", bold=True)
    line.append(f"  {revision.state}")
    roles = [
        role
        for role, number in (
            ("wanted", view.desired_revision),
            ("last completed", view.last_completed),
        )
        if number == revision.number
    ]
    if roles:
        line.append(f"  ({', '.join(roles)})", "cyan")
    if _is_shown(revision):
        line.append(f"  {revision.healthy}/{revision.desired} healthy")
    if revision.failures:
        line.append(f"  {plural(revision.failures, 'failure')}", "red")
    line.append(f"  {one_line(', '.join(revision.images))}", "dim")
    since = revision.completed_at or revision.finished_at or revision.created_at
    if since is not None:
        line.append(f"  {format_age(now - since)} ago", "dim")
    return line


def _is_shown(revision: RevisionLine) -> bool:
    """Whether a revision has, or is to have, pods."""
    found = revision.replica_set
    return bool(revision.desired or revision.running or (found and (found.pods or found.problem)))


def _add_replica_set(branch: Tree, found: ReplicaSetLine, limit: int | None) -> None:
    of = plural(len(found.pods), "pod") if found.desired is None else str(found.desired)
    ready = Text(f"{found.kind} {found.name}  ")
    ready.append(f"{found.ready} of {of} ready", "default")
    leaf = branch.add(ready)
    if found.problem:
        leaf.add(Text(one_line(found.problem), style="red"))
    for pod in found.pods[:limit]:
        leaf.add(_pod(pod))
    hidden = found.pods[limit:] if limit is not None else ()
    if hidden:
        leaf.add(Text("and " + ", ".join(_tally(hidden)) + " more (--all-pods)", style="dim"))


def _tally(pods: tuple[PodLine, ...]) -> Iterator[str]:
    states = [pod.state for pod in pods]
    for state in dict.fromkeys(states):
        yield f"{states.count(state)} {state}"


def _pod(pod: PodLine) -> Text:
    line = mark(pod.tone, one_line(pod.name), bold=False)
    line.append(f"  {one_line(pod.state)}", MARKS[pod.tone][1])
    if pod.why:
        line.append(f"  {pod.why}")
    if pod.node:
        line.append(f"  {pod.node}", "dim")
    return line
