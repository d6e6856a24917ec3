"""Least privilege, measured: what the operator's account was granted against what it asked for.

The API server's audit log has every request of the operator over the whole end-to-end suite. A right
that was never used is too much; a request that was refused for want of a right is a bug.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.operator_process import USER

ACCOUNT = USER.rpartition(":")[2]


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; the resource may be a subresource, as ``pods/log``."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


ONLY_AFTER_A_CONFLICT = frozenset({Right("tripswitch.dev", "deploymentcircuitbreakers", "get")})
"""Rights that are needed when a status was written on an older version, which a suite need not meet.

``test_every_right_that_guarding_adds_is_used`` makes such a conflict, and needs this right.
"""

NEVER_A_REQUEST = frozenset({Right("tripswitch.dev", "guardeddeployments/finalizers", "update")})
"""Rights that are asked for by an admission plugin, which the audit log does not show.

A test of its own starts an API server with OwnerReferencesPermissionEnforcement and needs it.
"""


def read_granted(manifests: str) -> set[Right]:
    """Return all rights in the roles that are bound to the operator's account."""
    documents = [document for document in yaml.safe_load_all(manifests) if document]
    bound = {
        document["roleRef"]["name"]
        for document in documents
        if document["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and any(subject["name"] == ACCOUNT for subject in document["subjects"])
    }
    return {
        Right(group, resource, verb)
        for document in documents
        if document["kind"] in ("Role", "ClusterRole") and document["metadata"]["name"] in bound
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def read_audit(lines: Iterable[str], user: str = USER) -> tuple[set[Right], set[Right]]:
    """Return the rights a user made use of, and those it was refused for want of.

    A 403 of an admission plugin (a quota, a namespace that ends) is not a missing right: the
    authorizer's own decision stands in an annotation.
    """
    used: set[Right] = set()
    refused: set[Right] = set()
    for line in lines:
        event: Mapping[str, Any] = json.loads(line)
        about = event.get("objectRef")
        if event["user"]["username"] != user or about is None or "resource" not in about:
            continue
        resource = about["resource"]
        if "subresource" in about:
            resource += f"/{about['subresource']}"
        right = Right(about.get("apiGroup", ""), resource, event["verb"])
        decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
        (refused if decision == "forbid" else used).add(right)
    return used, refused


def judge(audit_log: Path, granted: set[Right], *, whole: bool) -> list[str]:
    """Return what is wrong, in words.

    Args:
        audit_log: Of the API server.
        granted: What the operator's account may do.
        whole: Everything the operator can do has been done, so what was not used is not needed.
    """
    with audit_log.open() as lines:
        used, refused = read_audit(lines)
    problems = [f"needed and not granted: {right}" for right in sorted(refused)]
    if whole:
        unused = granted - used - NEVER_A_REQUEST - ONLY_AFTER_A_CONFLICT
        problems += [f"granted and never used: {right}" for right in sorted(unused)]
    return problems
