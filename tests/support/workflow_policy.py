"""The rules that the deployment workflow must follow, checked on its parsed YAML; each violation has a name.

It runs nothing. Any shell line other than one plain command is a violation, so that no list of dangerous constructs has
to be complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Job = dict[str, Any]
Step = dict[str, Any]

PINNED = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+@[0-9a-f]{40}")
_WORD = r"""(?:"\$[A-Z_]+"|"deploy-\$GITHUB_RUN_ID"|[A-Za-z0-9_./=-]+)"""
COMMAND = re.compile(rf"""(?:\.venv/bin/spine|\./run)(?: {_WORD})*(?: >> "\$GITHUB_OUTPUT")?""")
STATUS = re.compile(r"\b(?:always|cancelled|failure)\s*\(")
SWALLOWED = re.compile(r"\|\||\bset \+e\b|; *(?:true|:)|\bexit 0\b")
ORDER = (
    "evaluate --fetch",
    "gate --candidate",
    "evaluate SUBJECT",
    "gate REPORT",
    "register",
    "gate --sign",
    "promote",
)
ENVIRONMENT = {
    *(f"SPINE_{name}" for name in ("ENV", "ACTOR", "CACHE", "LEDGER", "MLFLOW", "DVC_REMOTE", "SIGNING_KEY")),
    *(f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")),
    *("RUN_ID", "SHA", "SEMVER", "REASON", "TORCH"),
}  # fmt: skip
MOVERS = {"promote", "route", "rollback", "release", "tombstone", "init", "keys", "restore", "drift"}
FROM_MAIN = ("github.event_name == 'push'", "github.ref == 'refs/heads/main'", "github.ref_protected")


def violations(workflow: dict[Any, Any]) -> set[str]:
    """Return the names of the rules that a parsed workflow violates; empty if there are none."""
    jobs: dict[str, Job] = workflow["jobs"]
    found = {*_whole(workflow), *_jobs_of(jobs)}
    for name, job in jobs.items():
        found |= {*_job(job), *_steps(job)}
        if "promote" in verbs(job):
            found |= {*_promoting(job)}
        elif name == "gate":
            found |= {*_gating(job)}
    return found


def verbs(job: Job) -> list[str]:
    """Return what each step of a job does, in order: a name of ``ORDER``, or the verb itself."""
    return [_verb(step) for step in job.get("steps", ())]


def _verb(step: Step) -> str:
    words = str(step.get("run", "")).split()
    if not words or not words[0].endswith("/spine"):
        return str(step.get("run") or step.get("uses", "")).split("@")[0]
    verb = words[1] if len(words) > 1 else ""
    if verb == "evaluate":
        return "evaluate --fetch" if "--fetch" in words else "evaluate SUBJECT"
    if verb == "gate":
        # A line that signs is one that signs, whatever else it says: the rules for the key are the strictest.
        return "gate --sign" if "--sign" in words else "gate --candidate" if "--candidate" in words else "gate REPORT"
    return verb


def _whole(workflow: dict[Any, Any]) -> Iterator[str]:
    triggers = workflow.get(True, workflow.get("on"))  # YAML 1.1 parses the key `on` as True
    names = {triggers} if isinstance(triggers, str) else set(triggers or ())
    if not names <= {"pull_request", "push", "merge_group"}:
        yield "another trigger"
    if "merge_group" not in names:
        yield "a merge queue waits for ever"
    if isinstance(triggers, dict) and (triggers.get("push") or {}).get("branches") != ["main"]:
        yield "another trigger"
    if workflow.get("permissions") != {}:
        yield "permissions"
    if "group" not in (workflow.get("concurrency") or {}):
        yield "no concurrency group"
    if "env" in workflow:
        yield "a variable for everything"
    if "defaults" in workflow:
        yield "another shell"


def _jobs_of(jobs: dict[str, Job]) -> Iterator[str]:
    promoting = [job for job in jobs.values() if "promote" in verbs(job)]
    if len(promoting) != 1:
        yield "not one job that promotes"
    if not any(_is_for_pull_requests(job) and "gate REPORT" in verbs(job) for job in jobs.values()):
        yield "a step is missing"
    witnesses = [job for job in jobs.values() if "./run witness" in verbs(job)]
    if [job.get("needs") for job in witnesses] != ["promote"]:
        yield "no witness"


def _job(job: Job) -> Iterator[str]:
    said = repr(job)
    permissions = job.get("permissions")
    writes = isinstance(permissions, dict) and permissions.get("contents") == "write"
    if permissions not in ({"contents": "read"}, {"contents": "write"}):
        yield "permissions"
    if writes and ("SIGNING_KEY" in said or "./run witness" not in verbs(job)):
        yield "permissions"
    if "secrets." in said and not job.get("environment"):
        yield "no environment"
    if re.search(r"secrets\b(?!\.SPINE_)", said):
        yield "every secret"
    if not isinstance(job.get("timeout-minutes"), int):
        yield "no timeout"
    if "continue-on-error" in job or STATUS.search(str(job.get("if", ""))):
        yield "a failure is passed over"
    if "defaults" in job:
        yield "another shell"
    if {"strategy", "container", "services", "uses", "secrets"} & job.keys():
        yield "more than steps"
    if _is_for_pull_requests(job):
        if "secrets." in said or job.get("environment"):
            yield "secrets for a pull request"
        if "self-hosted" in repr(job.get("runs-on")):
            yield "a pull request on our own runner"
        if set(verbs(job)) & {"register", "gate --sign", "promote", "./run witness"}:
            yield "a pull request that writes"


def _is_for_pull_requests(job: Job) -> bool:
    return "github.event_name == 'push'" not in str(job.get("if", "")) and "needs" not in job


def _steps(job: Job) -> Iterator[str]:
    writes = "./run witness" in verbs(job)
    for step in job.get("steps", ()):
        uses, given = step.get("uses"), step.get("with") or {}
        if uses is not None and PINNED.fullmatch(uses) is None:
            yield "an action is not pinned"
        if uses is not None and uses.startswith("actions/checkout@"):
            if given.get("persist-credentials") is not (writes and given.get("ref") == "witness"):
                yield "credentials are kept"
            if given.get("ref") not in (None, "witness") or "repository" in given:
                yield "other code is checked out"
        if "cache" in str(uses) or any("cache" in name for name in given):
            yield "a cache"
        yield from _run(step)
        if str(step.get("run", "")).startswith("./run") and (step.get("env") or {}).get("TORCH") != "none":
            yield "a package without a hash"
        if not set(step.get("env") or ()) | set(job.get("env") or ()) <= ENVIRONMENT:
            yield "a foreign variable"
        if "SPINE_SIGNING_KEY" in repr({**step, **(job.get("env") or {})}) and _verb(step) != "gate --sign":
            yield "the key is shown around"


def _run(step: Step) -> Iterator[str]:
    run = str(step.get("run", "")).strip()
    if "continue-on-error" in step or STATUS.search(str(step.get("if", ""))) or SWALLOWED.search(run):
        yield "a failure is passed over"
    if "if" in step:
        yield "a step that may be left out"
    if "${{" in run:
        yield "an expression in a shell line"
    if run and COMMAND.fullmatch(run) is None:
        yield "not one plain command"
    if "shell" in step or "working-directory" in step:
        yield "another shell"
    if _verb(step) == "evaluate SUBJECT" and "--twice" not in run.split():
        yield "evaluated once"
    if _verb(step).startswith("gate") and set(run.split()) & {"--tolerance-pp", "--baseline"}:
        yield "a weaker gate"


def _gating(job: Job) -> Iterator[str]:
    yield from _in_order(job, ORDER[:4])
    if verbs(job)[-1:] != ["gate REPORT"]:
        yield "out of order"


def _promoting(job: Job) -> Iterator[str]:
    done = verbs(job)
    condition = str(job.get("if", ""))
    if {part.strip() for part in condition.split("&&")} != set(FROM_MAIN):
        yield "not from the protected branch"
    if job.get("environment") != "production":
        yield "no environment"
    if "needs" in job or (job.get("env") or {}).get("SPINE_ENV") != "prod":
        yield "not opened as prod"
    if done[-1] != "promote":
        yield "promoting is not last"
    if set(done[:-1]) & MOVERS:
        yield "another way to move"
    yield from _in_order(job, ORDER)
    spine = [step for step in job["steps"] if "/spine" in str(step.get("run", ""))]
    if not spine or "info --reach" not in spine[0]["run"]:
        yield "reached too late"
    if not any("verify --witness" in str(step.get("run", "")) for step in spine[:2]):
        yield "no witness"


def _in_order(job: Job, order: tuple[str, ...]) -> Iterator[str]:
    done = [verb for verb in verbs(job) if verb in ORDER]
    if set(order) - set(done):
        yield "a step is missing"
    elif tuple(done) != order:
        yield "out of order"
    lines = {verb: str(step.get("run", "")) for verb, step in zip(verbs(job), job["steps"], strict=True)}
    report = _after(lines.get("evaluate SUBJECT", ""), "--out")
    subject = _after(lines.get("evaluate SUBJECT", ""), "evaluate")
    pairs = [
        (_after(lines.get("gate --candidate", ""), "--candidate"), "candidate.toml"),  # the file that has owners
        (_after(lines.get("gate --candidate", ""), "--fetch"), subject),
        (_after(lines.get("gate REPORT", ""), "gate"), report),
    ]
    if "gate --sign" in order:
        signed = lines.get("gate --sign", "")
        pairs.append((_after(signed, "--report"), report))
        pairs.append((_after(lines.get("promote", ""), "--verdict"), _after(signed, "--out")))
    if any(one is None or one != other for one, other in pairs):
        yield "another file"


def _after(line: str, word: str) -> str | None:
    words = line.split()
    return words[words.index(word) + 1] if word in words[:-1] else None
