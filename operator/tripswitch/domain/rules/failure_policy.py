"""Rule F6: the verdict that ``failurePolicy.rules`` gives to a failure."""

from __future__ import annotations

from dataclasses import replace

from tripswitch.domain.rules.pulls import classify_pull
from tripswitch.domain.values.failure import Failure
from tripswitch.domain.values.workload import PolicyRule


def judge(failure: Failure, policy: tuple[PolicyRule, ...]) -> Failure:
    """Return the failure with the verdict of the first rule that matches it (F6)."""
    for rule in policy:
        if _matches(rule, failure):
            return replace(failure, verdict=rule.action)
    return failure


def _matches(rule: PolicyRule, failure: Failure) -> bool:
    cause = failure.cause
    if rule.reasons and cause.reason not in rule.reasons:
        return False
    if rule.container is not None and cause.container != rule.container:
        return False
    if rule.pull_errors and classify_pull(failure.message) not in rule.pull_errors:
        return False
    if rule.exit_codes:
        listed = cause.exit_code in rule.exit_codes
        return cause.exit_code is not None and listed is not rule.exit_codes_negated
    return True
