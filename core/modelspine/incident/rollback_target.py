"""Answer 8 of a walk: which promoted entry answers correctly, and the command that routes traffic to it.

It asks every promoted entry and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from miniobserve.traces import Trace
from modelspine.gate.eval_report import Count
from modelspine.incident.finding import Finding, finding
from modelspine.incident.reproduce import ask
from modelspine.lineage.status import Status
from modelspine.registry.registry import Registry
from modelspine.registry.rules import way_to
from modelspine.text import argument, short, visible
from modelspine.workload import Probe, Workload


def fix_answer(registry: Registry, workload: Callable[[], Workload], trace: Trace, probe: Probe | None) -> Finding:
    """Ask every promoted entry about the request's sentence, and suggest the one to route traffic to."""
    state = registry.state()
    promoted = [e for e in registry.list() if e.semvers and e.status == "promoted"]
    newest = sorted(promoted, key=lambda e: max(p.seq for p in state.entries[e.sha].promoted), reverse=True)
    expected = probe.expected if probe else None
    opinions: list[dict[str, Any]] = []
    for entry in newest:
        reply = ask(registry, workload, entry.sha, trace.sentence)
        opinions.append(
            {
                "sha": entry.sha,
                "semver": entry.semver,
                "says": reply.output,
                "verifies": reply.problem is None,
                "right": reply.problem is None and expected is not None and reply.output == expected,
                **({"problem": reply.problem} if reply.problem else {}),
            }
        )
    correct = [o for o in opinions if o["right"] and o["sha"] != trace.entry_sha]
    # The production entry comes before any newer one: choosing it needs no change of traffic.
    better = next((o for o in correct if o["sha"] == state.production), next(iter(correct), None))
    if better is None:
        return _no_fix(opinions, trace, probe)
    name, verb = better["semver"], way_to(state, better["sha"])
    answer = f"{name} {short(better['sha'])} answers “{visible(str(better['says']), 80)}”; its bytes are verified"
    suggestion = command = f"spine {verb} {name} {argument(trace.request_id, '--reason')}"
    if better["sha"] == state.production:
        # A rollout opens epochs too, so the first of the unbroken run of routes with this stable arm is the start.
        stable = takewhile(lambda route: route.stable.sha == better["sha"], reversed(state.routes))
        verb, command, since = "", "spine route show", f"#{list(stable)[-1].epoch}"
        answer += f"; in production since {since}"
        suggestion = f"no rollback needed: {name} has been in production since {since} (`{command}`)"
    else:
        totals = {entry.sha: entry.total for entry in promoted}
        answer += _accuracy_warning(totals[better["sha"]], totals.get(state.production or ""))
    evidence = {"entries": opinions, "go_to": better["sha"], "verb": verb or None, "suggestion": suggestion}
    return finding(8, answer, "verified", evidence, command)


def _no_fix(opinions: list[dict[str, Any]], trace: Trace, probe: Probe | None) -> Finding:
    """Answer where no other promoted entry is correct, or where that could not be found out."""
    others = [o for o in opinions if o["sha"] != trace.entry_sha]
    status: Status = "recorded"
    if others and (reason := _no_comparison(others, trace, probe)):
        suggestion, status = "compare evaluation scores: `spine list`", "missing"
        answer = f"no comparison possible: {reason}"
    else:
        expected = f" that answers “{visible(probe.expected, 80)}”" if probe and probe.expected else ""
        suggestion = f"train and promote a model{expected}"
        problem = "no other promoted entry answers this correctly" if others else "no other entry was promoted"
        answer = f"{problem}; {suggestion}"
    evidence = {"entries": opinions, "go_to": None, "verb": None, "suggestion": suggestion}
    return finding(8, answer, status, evidence, "spine list")


def _no_comparison(others: list[dict[str, Any]], trace: Trace, probe: Probe | None) -> str:
    """Why the other entries cannot be compared with the right answer; empty where all of them were."""
    if trace.sentence is None:
        return "the sentence was not kept"
    silent = next((o for o in others if "problem" in o), None)
    if silent is not None:
        return visible(f"{silent['semver']} cannot be asked: {silent['problem']}", 200)
    return "" if probe is not None and probe.expected is not None else "the workload gives no correct answer"


def _accuracy_warning(target: Count | None, production: Count | None) -> str:
    """Warn where the suggested entry scored lower overall: fixing one sentence may break others."""
    if target is None or production is None or (target.ratio or 0.0) >= (production.ratio or 0.0):
        return ""
    scores = (f"{count.k:,}/{count.n:,} = {100 * (count.ratio or 0.0):.1f} %" for count in (target, production))
    return "; less accurate overall: {} correct, production {}".format(*scores)
