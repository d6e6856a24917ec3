"""Finding a revision and its ReplicaSet, for the commands that name one."""

from __future__ import annotations

from collections.abc import Sequence

from tripswitch.api.tolerant import field, mapping
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.session import Object, Session
from tripswitch.cli.status.entries import RevisionLine
from tripswitch.cli.status.view import Outcome, View
from tripswitch.cluster.resources import CONTROLLER_REVISIONS, REPLICA_SETS


def find_revision(view: View, number: int) -> RevisionLine:
    """Return a revision by its number.

    Raises:
        Problem: There is no such revision (any more).
    """
    for revision in view.revisions:
        if revision.number == number:
            return revision
    known = ", ".join(str(revision.number) for revision in view.revisions) or "none"
    raise Problem(f"{view.label} has no revision {number}; it has {known}", Exit.NOT_FOUND)


def list_previous(view: View) -> list[RevisionLine]:
    """Return the revisions that a person may mean by "the one before", the likeliest first.

    That is the one that runs, when the wanted one was rolled back; then the other ones that have
    completed, newest first.

    Raises:
        Problem: There is none.
    """
    wanted = view.desired_revision
    found = [r for r in view.revisions if r.number != wanted and r.completed_at is not None]
    if view.outcome is Outcome.FAILED and view.rollout.revision != wanted:
        runs = find_revision(view, view.rollout.revision)
        found = [runs, *(r for r in found if r.number != runs.number)]
    if not found:
        raise Problem(f"{view.label} has no earlier revision that completed")
    return found


async def load_first(
    session: Session, view: View, revisions: Sequence[RevisionLine]
) -> tuple[RevisionLine, Object, list[int]]:
    """Return the first revision whose ReplicaSet is there, that, and the numbers passed over.

    Raises:
        Problem: All of them are gone.
    """
    lost: list[int] = []
    for revision in revisions:
        try:
            return revision, await load_replica_set(session, view, revision), lost
        except Problem as problem:
            if problem.code is not Exit.NOT_FOUND:
                raise
            lost.append(revision.number)
    raise Problem(
        f"{view.label} has no earlier revision left: the ReplicaSets of {_name(lost)} are gone",
        Exit.NOT_FOUND,
    )


def _name(numbers: Sequence[int]) -> str:
    noun = "revision" if len(numbers) == 1 else "revisions"
    return f"{noun} {', '.join(map(str, numbers))}"


async def load_replica_set(session: Session, view: View, revision: RevisionLine) -> Object:
    """Return the ReplicaSet of a revision, the holder of its template.

    A StatefulSet's ControllerRevision is returned in the form of a ReplicaSet.

    Raises:
        Problem: It is gone.
    """
    if not revision.replica_set_name:
        raise Problem(f"revision {revision.number} has no ReplicaSet", Exit.NOT_FOUND)
    if not view.stateful:
        try:
            return await session.read(REPLICA_SETS, revision.replica_set_name)
        except Problem as problem:
            if problem.code is not Exit.NOT_FOUND:
                raise
            words = "it was deleted, or its rollout waits at a hook or a pause and has no pod yet"
            raise Problem(
                f"revision {revision.number} has no ReplicaSet: {words}", Exit.NOT_FOUND
            ) from problem
    found = await session.read(CONTROLLER_REVISIONS, revision.replica_set_name)
    template = dict(mapping(field(found, "data", "spec", "template")))
    template.pop("$patch", None)
    return {"metadata": found.get("metadata"), "spec": {"template": template}}
