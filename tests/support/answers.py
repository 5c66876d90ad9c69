"""Writes the traces that a server would leave: learners assigned by the real route, traces by the real writer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from concurrent.futures import wait
from typing import Any, NamedTuple

from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.ledger.route import Route, assign, shadow_arm_of, shadow_assignment

NS = 1_000_000_000


class Arm(NamedTuple):
    """How an arm behaves: shares of correct, failed and accepted answers, and seconds per answer."""

    right: float = 0.95
    failed: float = 0.0
    accepted: float = 0.0
    """Share of its answers that learners spoke about and accepted; as many again were dismissed in ``dismissed``."""
    dismissed: float = 0.0
    seconds: float = 0.010


def leave_answers(
    url: str,
    route: Route,
    arms: Mapping[str, Arm],
    *,
    start_ns: int,
    seconds: float = 60,
    requests: int = 2_000,
    learners: int = 400,
    graded: bool = True,
    seed: int = 1,
    source: str = "live",
    learner: str | None = None,
) -> None:
    """Write evenly spaced requests over a time span; a fifth of the learners send four fifths of them.

    With ``learner`` all of them come from that one.
    """
    rng = random.Random(seed)
    writer = TraceWriter(url, queue=4 * requests)
    futures: list[Any] = []
    spoken: list[tuple[str, str]] = []
    for number in range(requests):
        heavy = rng.random() < 0.8
        who = learner or f"learner-{rng.randrange(learners // 5) if heavy else rng.randrange(learners)}"
        given = assign(route, who, sticky=True)
        request_id = f"{source}-{seed:04d}-{route.epoch:04d}-{number:07d}"
        started = start_ns + round(number * seconds * NS / requests)
        arm = next(each for each in route.arms if each.name == given.arm)
        made = _trace(rng, request_id, started, given, arm.sha, arms[arm.name], graded=graded, source=source)
        futures.append(writer.submit(made))
        said = rng.random()
        like = arms[arm.name]
        if said < like.accepted + like.dismissed:
            spoken.append((request_id, "accepted" if said < like.accepted else "dismissed"))
        shadow = shadow_arm_of(route, given)
        if shadow is not None:
            copy = shadow_assignment(given, shadow)
            behaves = arms[shadow.name]
            futures.append(
                writer.submit(
                    _trace(
                        rng,
                        f"copy-{request_id}",
                        started,
                        copy,
                        shadow.sha,
                        behaves,
                        graded=graded,
                        source=source,
                        shadow_of=request_id,
                    )
                )
            )
    futures += [writer.feedback(request_id, outcome) for request_id, outcome in spoken]  # type: ignore[arg-type]
    wait(futures, 60)
    for future in futures:
        future.result()
    writer.close()


def _trace(
    rng: random.Random, request_id: str, started: int, given: Any, sha: str, arm: Arm, *, graded: bool, **more: Any
) -> Trace:
    failed = rng.random() < arm.failed
    right = rng.random() < arm.right
    return Trace(
        request_id=request_id,
        trace_id="0" * 32,
        span_id="0" * 16,
        started_ns=started,
        entry_sha=sha,
        intended_sha=sha,
        semver="",
        assignment=given,
        input="Yesterday he goed home.",
        features={"verb": rng.choice(("go", "be", "eat")), "tense": "past_simple"},
        graded=right if graded and not failed else None,
        seconds=arm.seconds * rng.uniform(0.8, 1.2),
        status=500 if failed else 200,
        **more,
    )
