"""Finding a revision and its ReplicaSet, for the commands that name one."""

from __future__ import annotations

from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.session import Object, Session
from tripswitch.cli.view import Outcome, RevisionLine, View


def find_revision(view: View, number: int) -> RevisionLine:
    """Return a revision by its number.

    Raises:
        Problem: There is no such revision (any more).
    """
    for revision in view.revisions:
        if revision.number == number:
            return revision
    known = ", ".join(str(revision.number) for revision in view.revisions) or "none"
    raise Problem(f"gdeploy/{view.name} has no revision {number}; it has {known}", Exit.NOT_FOUND)


def select_previous(view: View) -> RevisionLine:
    """Return the revision that a person means by "the one before".

    That is the one that runs, when the wanted one was rolled back; else the newest other one that
    has completed.

    Raises:
        Problem: There is none.
    """
    wanted = view.desired_revision
    if view.outcome is Outcome.FAILED and view.rollout.revision != wanted:
        return find_revision(view, view.rollout.revision)
    for revision in view.revisions:
        if revision.number != wanted and revision.completed_at is not None:
            return revision
    raise Problem(f"gdeploy/{view.name} has no earlier revision that completed")


async def load_replica_set(session: Session, revision: RevisionLine) -> Object:
    """Return the ReplicaSet of a revision, the holder of its template.

    Raises:
        Problem: It is gone.
    """
    if not revision.replica_set_name:
        raise Problem(f"revision {revision.number} has no ReplicaSet", Exit.NOT_FOUND)
    return await session.replica_set(revision.replica_set_name)
