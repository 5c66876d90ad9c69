"""Reads from the ledger and the traces, through the ``spine`` command, what the demo has already done."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from minitutor.steps import json_of


class Facts(msgspec.Struct, frozen=True):
    """The ledger's events, and what follows from them."""

    events: list[dict[str, Any]]

    @property
    def promoted(self) -> dict[str, str]:
        """Semver → SHA of every promotion."""
        return {str(body["semver"]): str(body["sha"]) for body in self._bodies("promoted")}

    def promotion(self, semver: str) -> int:
        """The seq of the event that bound a semver; 0 where none did."""
        for event in self.events:
            if event["kind"] == "promoted" and event["body"]["semver"] == semver:
                return int(event["seq"])
        return 0

    @property
    def production(self) -> str | None:
        """The SHA of the stable arm; None without a route."""
        routed = self._bodies("routed", "rolled_back")
        return str(routed[-1]["arms"][0]["sha"]) if routed else None

    @property
    def reported(self) -> dict[str, str]:
        """Day → status of its latest drift report against the corpora."""
        bodies = [body for body in self._bodies("drift_reported") if not body.get("against_day")]
        return {str(body["day"]): str(body["status"]) for body in bodies}

    @property
    def finished(self) -> bool:
        """Whether the week's last day was reported and no rollout is in progress."""
        routed = self._bodies("routed", "rolled_back")
        return self.week()[-1].isoformat() in self.reported and routed[-1].get("strategy") == "single"

    def tried(self, strategy: str, sha: str) -> int | None:
        """Return the epoch of the first rollout of an entry by this strategy; None if there was none."""
        for event in self.events:
            body = event["body"]
            if event["kind"] == "routed" and (body.get("strategy"), body.get("sha")) == (strategy, sha):
                return int(event["seq"])
        return None

    def trying(self, sha: str) -> bool:
        """Whether a canary of an entry is in progress."""
        routed = self._bodies("routed", "rolled_back")
        return bool(routed) and (routed[-1].get("strategy"), routed[-1].get("sha")) == ("canary", sha)

    def asked_for(self, bundle: Path) -> bool:
        """Whether the workflow has looked at a bundle: it registers what it gates, and what it refuses too."""
        manifest = bundle / "train_manifest.json"
        if not manifest.is_file():
            return False
        run_id = json.loads(manifest.read_text(encoding="utf-8")).get("mlflow_run_id")
        gated = {body["sha"] for body in self._bodies("gated")}
        return any(body.get("run_id") == run_id and body["sha"] in gated for body in self._bodies("registered"))

    def week(self) -> list[date]:
        """Return Monday to Sunday of the last complete week before the ledger was created."""
        opened = datetime.fromisoformat(str(self.events[0]["at"])).date()
        monday = opened - timedelta(days=opened.weekday() + 7)
        return [monday + timedelta(days=n) for n in range(7)]

    def _bodies(self, *kinds: str) -> list[dict[str, Any]]:
        return [event["body"] for event in self.events if event["kind"] in kinds]


def facts() -> Facts:
    """Read the ledger."""
    return Facts(json_of("spine", "history")["events"])


def answered(day: date) -> int:
    """Return how many of a day's requests were answered, not counting shadow copies."""
    if not Path(".spine/traces.db").is_file():
        return 0
    asked = ("spine", "traces", "list", "--day", day.isoformat(), "--limit", "1")
    return int(json_of(*asked)["matched"] - json_of(*asked, "--arm", "shadow")["matched"])


def dismissed(*narrowed: str) -> str | None:
    """Return the newest request whose answer was dismissed, narrowed by further options; None if there is none."""
    if not Path(".spine/traces.db").is_file():
        return None
    found = json_of("spine", "traces", "list", "--outcome", "dismissed", "--limit", "1", *narrowed)
    return str(found["traces"][0]["request_id"]) if found["traces"] else None
