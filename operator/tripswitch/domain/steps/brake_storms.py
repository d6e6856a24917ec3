"""Rule R8: hold ReplicaSets whose pods fail as soon as they are made.

All other rules plan as if there were no storm: the size that a held ReplicaSet would have is remembered, and
what is planned is cut down last.
"""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.storm import (
    compute_cap,
    describe_storm,
    find_next_look,
    watch_storm,
)
from tripswitch.domain.steps.draft import Draft
from tripswitch.domain.steps.plan_sizes import Plan
from tripswitch.domain.values.decision import EventReason


def brake_storms(draft: Draft, plan: Plan) -> tuple[Draft, Plan]:
    """Return the draft that remembers the storms, and the plan within what they allow."""
    known = {storm.replica_set: storm for storm in draft.memory.storms}
    sizes, storms = dict(plan.sizes), []
    for rs in draft.snapshot.replica_sets:
        if not rs.owned or rs.deleting or rs.name not in sizes:
            continue
        before, wanted = known.get(rs.name), sizes[rs.name]
        storm = watch_storm(before, rs, wanted, draft.spec.replicas, draft.now)
        if storm is None:
            continue
        mark = plan.compute_mark(draft.counts[rs.name].sized_for, draft.spec.replicas)
        storm = replace(storm, sized_for=mark)
        storms.append(storm)
        sizes[rs.name] = min(wanted, compute_cap(storm, rs, draft.now))
        draft = draft.wake(find_next_look(storm, rs, draft.now))
        if before is None:
            draft = draft.say(EventReason.POD_STORM, describe_storm(storm))
    storms.sort(key=lambda storm: storm.replica_set)
    memory = replace(draft.memory, storms=tuple(storms))
    return replace(draft, memory=memory), replace(plan, sizes=sizes)
