"""How a route divides traffic, in one plain sentence. It loads none of the statistics that other sentences need."""

from __future__ import annotations

from modelspine.ledger.route import FULL, Route
from modelspine.text import short, visible
from modelspine.words import words


def route_sentence(route: Route) -> str:
    """Who answers, and who is tried out beside it."""
    stable, candidate = _named(route.stable.semver, route.stable.sha), route.candidate
    if candidate is None:
        return f"{stable} answers everything; no rollout is in progress"
    name, share = _named(candidate.semver, candidate.sha), f"{100 * candidate.weight_bp / FULL:g} %"
    if route.shadow is not None:
        return f"{stable} answers everything; {share} of requests are copied to {name}, whose answers nobody sees"
    return f"{name} answers {share} of the {words().units} as {visible(candidate.name, 20)}, {stable} the others"


def _named(semver: str, sha: str) -> str:
    return visible(semver, 40) or short(sha)
