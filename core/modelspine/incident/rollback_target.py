"""Answer 8 of a walk: which promoted entry knows better, and the verb that takes traffic there, where one is needed.

It asks each entry and moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from miniobserve.traces import Trace
from modelspine.gate.eval_report import Count
from modelspine.incident.finding import Finding, finding
from modelspine.incident.reproduce import ask
from modelspine.registry.registry import Registry
from modelspine.registry.rules import way_to
from modelspine.text import argument, short, visible
from modelspine.workload import Probe, Workload


def way_out(registry: Registry, workload: Callable[[], Workload], trace: Trace, probe: Probe | None) -> Finding:
    """The sentence put to every promoted entry, and the one to go to."""
    state = registry.state()
    promoted = [e for e in registry.list() if e.semvers and e.status == "promoted"]
    newest = sorted(promoted, key=lambda e: max(p.seq for p in state.entries[e.sha].promoted), reverse=True)
    expected = probe.expected if probe else None
    opinions: list[dict[str, Any]] = []
    for entry in newest:
        said = ask(registry, workload, entry.sha, trace.sentence)
        right = said.problem is None and expected is not None and said.output == expected
        verifies = said.problem is None
        opinions.append(
            {
                "sha": entry.sha,
                "semver": entry.semver,
                "says": said.output,
                "verifies": verifies,
                "right": right,
                **({"problem": said.problem} if said.problem else {}),
            }
        )
    others = [o for o in opinions if o["right"] and o["sha"] != trace.entry_sha]
    # What answers learners already needs no change, so it comes before anything newer.
    better = next((o for o in others if o["sha"] == state.production), next(iter(others), None))
    if better is None:
        return _no_way_out(opinions, trace, probe)
    name, verb = better["semver"], way_to(state, better["sha"])
    answer = f"{name} {short(better['sha'])} says “{visible(str(better['says']), 80)}”; its bytes verify"
    suggestion = command = f"spine {verb} {name} {argument(trace.request_id, '--reason')}"
    if better["sha"] == state.production:
        stable = takewhile(lambda route: route.stable.sha == better["sha"], reversed(state.routes))
        verb, command, since = "", "spine route show", f"#{list(stable)[-1].epoch}"
        answer += f"; in production since {since}"
        suggestion = f"nothing to move: {name} has answered learners since {since} (`{command}`)"
    else:
        totals = {entry.sha: entry.total for entry in promoted}
        answer += _price(totals[better["sha"]], totals.get(state.production or ""))
    evidence = {"entries": opinions, "go_to": better["sha"], "verb": verb or None, "suggestion": suggestion}
    return finding(8, answer, "verified", evidence, command)


def _no_way_out(opinions: list[dict[str, Any]], trace: Trace, probe: Probe | None) -> Finding:
    others = [o for o in opinions if o["sha"] != trace.entry_sha]
    if others and (unknown := _unknown(others, trace, probe)):
        suggestion = "compare what they scored: `spine list`"
        evidence = {"entries": opinions, "go_to": None, "verb": None, "suggestion": suggestion}
        return finding(
            8, f"whether another entry knows better is unknown: {unknown}", "missing", evidence, "spine list"
        )
    answer = "nothing else was promoted" if not others else "no other promoted entry answers it right"
    expected = f" that answers “{visible(probe.expected, 80)}”" if probe and probe.expected else ""
    suggestion = f"train and promote a model{expected}"
    evidence = {"entries": opinions, "go_to": None, "verb": None, "suggestion": suggestion}
    return finding(8, f"{answer}; {suggestion}", "recorded", evidence, "spine list")


def _unknown(others: list[dict[str, Any]], trace: Trace, probe: Probe | None) -> str:
    """Why nobody can say that no other entry answers it right; empty where each was asked and compared."""
    if trace.sentence is None:
        return "its text was not kept"
    silent = next((o for o in others if "problem" in o), None)
    if silent is not None:
        return visible(f"{silent['semver']} cannot be asked: {silent['problem']}", 200)
    return "" if probe is not None and probe.expected is not None else "the workload knows no right answer"


def _price(there: Count | None, here: Count | None) -> str:
    """What going there loses elsewhere: one sentence is no reason to forget all the others."""
    if there is None or here is None or (there.ratio or 0.0) >= (here.ratio or 0.0):
        return ""
    told = (f"{count.k:,}/{count.n:,} = {100 * (count.ratio or 0.0):.1f} %" for count in (there, here))
    return "; worse elsewhere: {} right, production {}".format(*told)
