"""Writes the index of the rules: each number, in words, its place in the code, and tests that hold it.

The words are those of docs/explanation/breaker.md, the places are listed
below and have to name their rule themselves, the tests are found by searching for the number.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPERATOR = ROOT / "operator" / "tripswitch"
PAGE = ROOT / "docs" / "explanation" / "rules.md"
WORDS = ROOT / "docs" / "explanation" / "breaker.md"
PLACES = {
    "T1": ("domain/rules/threshold.py", "compute_threshold"),
    "T2": ("domain/rules/threshold.py", "compute_threshold"),
    "T3": ("domain/rules/threshold.py", "compute_threshold"),
    "T4": ("domain/steps/judge_rollout.py", "_mark_threshold"),
    "T5": ("domain/rules/breaker.py", "find_cause"),
    "V1": ("domain/values/sight.py", "Sight"),
    "V2": ("domain/rules/sight.py", "compute_due"),
    "V3": ("domain/rules/node_life.py", "follow_lease"),
    "V4": ("shell/clock.py", "__doc__"),
    "F1": ("domain/rules/ended_runs.py", "compute_ended_runs"),
    "F2": ("domain/rules/start_attempts.py", "count_attempts"),
    "F3": ("domain/rules/failed_pods.py", "judge_failed_pod"),
    "F4": ("domain/rules/health.py", "health_deadline"),
    "F5": ("domain/rules/failures.py", "_combine"),
    "F6": ("domain/rules/failure_policy.py", "judge"),
    "F7": ("domain/rules/counted_pods.py", "__doc__"),
    "F8": ("domain/rules/pulls.py", "is_registry_trouble"),
    "F9": ("domain/rules/registries.py", "excuse_pulls"),
    "F10": ("domain/steps/judge_rollout.py", "_recover"),
    "H1": ("domain/rules/health.py", "healthy_at"),
    "H2": ("domain/rules/breaker.py", "_became_healthy"),
    "H3": ("domain/steps/progress_clock.py", "mark_progress"),
    "S1": ("domain/rules/breaker.py", "_next_stage"),
    "S2": ("domain/rules/breaker.py", "watch_pods"),
    "S3": ("domain/rules/breaker.py", "BREAKER_STATES"),
    "P1": ("domain/steps/progress_clock.py", "compute_late_at"),
    "P2": ("domain/rules/progress_deadline.py", "compute_progress_deadline"),
    "R1": ("domain/rules/bounds.py", "compute_bounds"),
    "R2": ("domain/rules/bounds.py", "compute_bounds"),
    "R3": ("domain/rules/scaling.py", "roll"),
    "R4": ("domain/steps/plan_sizes.py", "_plan_rolling"),
    "R5": ("domain/rules/scaling.py", "is_complete"),
    "R6": ("domain/steps/follow_spec.py", "follow_spec"),
    "R7": ("domain/steps/plan_sizes.py", "_plan_paused"),
    "R8": ("domain/rules/storm.py", "watch_storm"),
    "B1": ("domain/steps/roll_back.py", "roll_back"),
    "B2": ("domain/steps/plan_sizes.py", "_in_order_of_leaving"),
    "B3": ("domain/steps/plan_sizes.py", "_plan_stalled"),
    "B4": ("domain/steps/judge_rollout.py", "trip"),
    "B5": ("domain/steps/judge_rollout.py", "trip"),
    "B6": ("domain/steps/follow_spec.py", "follow_spec"),
    "B7": ("domain/rules/conditions.py", "_stalled"),
    "B8": ("domain/steps/finish.py", "drop_lost_rollback_target"),
    "B9": ("domain/steps/rollback_risk.py", "__doc__"),
    "C1": ("domain/steps/apply_commands.py", "retry_desired"),
    "C2": ("domain/steps/apply_commands.py", "_stop"),
    "C3": ("domain/steps/follow_spec.py", "follow_spec"),
    "C4": ("domain/steps/run_hooks.py", "apply_answers"),
    "A1": ("domain/steps/watch_alarms.py", "watch_alarms"),
    "A2": ("domain/rules/alarms.py", "observe"),
    "A3": ("domain/rules/bake.py", "__doc__"),
    "D1": ("domain/rules/digests.py", "settle"),
    "D2": ("domain/rules/image_names.py", "read_digest"),
    "D3": ("domain/rules/digests.py", "find_stuck"),
    "D4": ("domain/rules/digests.py", "await_anew"),
    "D5": ("domain/values/images.py", "VersionConsistency"),
    "E1": ("domain/rules/early_success.py", "__doc__"),
    "K1": ("domain/rules/hooks.py", "__doc__"),
    "G1": ("domain/decide_guarded.py", "find_problem"),
    "G2": ("domain/rules/workloads.py", "find_current"),
    "G3": ("domain/steps/complete_rollout.py", "_is_settled"),
    "G4": ("domain/steps/plan_hold.py", "_plan_sizes"),
    "G5": ("domain/steps/plan_hold.py", "_plan_release"),
    "G6": ("domain/rules/workloads.py", "is_paused_by_others"),
    "G7": ("domain/steps/judge_rollout.py", "_tell_trip"),
    "G8": ("cluster/opt_in.py", "__doc__"),
    "G9": ("cluster/workload_store.py", "WorkloadStore"),
    "W1": ("cluster/executor.py", "__doc__"),
    "W2": ("domain/steps/restore_history.py", "restore_history"),
    "W3": ("shell/reconciler.py", "Reconciler"),
    "W4": ("cluster/child_index.py", "Table"),
    "W5": ("domain/decide.py", "_release"),
}
"""Where each rule is carried out: the file, and the function or table to begin to read at."""


@dataclass(frozen=True)
class Test:
    """A test function, and the rules that it says it is about, in its name or anywhere in it."""

    file: str
    name: str
    rules: frozenset[str]

    def holds(self, rule: str) -> bool:
        """Whether it is about a rule."""
        return rule in self.rules


@cache
def find_tests() -> tuple[Test, ...]:
    """Return every test function there is."""
    return tuple(sorted(_find_tests(), key=lambda test: (test.file, test.name)))


def _find_tests() -> Iterator[Test]:
    for path in (ROOT / "tests").rglob("test_*.py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                text = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
                said = set(re.findall(r"\b[A-Z]\d+\b", text))
                named = {part.upper() for part in node.name.split("_")}
                rules = frozenset(said | named) & PLACES.keys()
                yield Test(path.relative_to(ROOT).as_posix(), node.name, rules)


def find_place(file: str, name: str) -> tuple[int, str]:
    """Return the line a name of a module begins at, and its text."""
    source = (OPERATOR / file).read_text()
    body = ast.parse(source).body
    if name == "__doc__":
        return 1, ast.get_source_segment(source, body[0]) or ""
    for node, after in zip(body, [*body[1:], None], strict=True):
        targets = getattr(node, "targets", [])
        names = [getattr(node, "name", "")] + [getattr(target, "id", "") for target in targets]
        if name in names:
            text = ast.get_source_segment(source, node) or ""
            if targets and isinstance(after, ast.Expr):  # what stands below a table
                text += ast.get_source_segment(source, after) or ""
            return node.lineno, text
    raise LookupError(f"{file} has no {name}")


def read_words() -> dict[str, str]:
    """Return the rules in words, in their order: the first sentence of each."""
    text = WORDS.read_text()
    found = re.findall(
        r"^- \*\*([A-Z]\d+)\*\* (.*?)(?=\n- |\n\n|\Z)", text, re.MULTILINE | re.DOTALL
    )
    return {rule: _first_sentence(" ".join(words.split())) for rule, words in found}


def _first_sentence(words: str) -> str:
    return re.split(r"[.;](?: |$)", words, maxsplit=1)[0].rstrip(":")


def render() -> str:
    """Return the page."""
    lines = [
        "# Rules: where each one is in the code and its tests",
        "",
        "<!-- Generated from the code, the tests and breaker.md by `make generate`; do not edit. -->",
        "",
        "All tests of a rule: `grep -rniE '_f4_|\\bF4\\b' tests`.",
        "",
        "| rule | in short | place in `operator/tripswitch` | a test that holds it |",
        "|---|---|---|---|",
    ]
    for rule, words in read_words().items():
        file, name = PLACES[rule]
        twin = f"test_{Path(file).stem}.py"
        tests = [test for test in find_tests() if test.holds(rule)]
        # One named after the rule, beside the tests of that very module, if there is one.
        first = min(
            tests, key=lambda t: (f"_{rule.lower()}_" not in t.name, twin not in t.file, t.name)
        )
        at = f"`{file}`" if name == "__doc__" else f"`{file}`: `{name}`"
        lines.append(f"| {rule} | {words} | {at} | `{first.name}` |")
    return "\n".join(lines) + "\n"


def render_files() -> Mapping[Path, str]:
    """Return the page's text by its path."""
    return {PAGE: render()}
