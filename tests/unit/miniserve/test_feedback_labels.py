"""What a label may be in POST /v1/feedback of a collector."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from miniobserve.saying import Saying, Stored
from miniserve.collect import make_app

ID = "req-00000001"


@pytest.mark.parametrize(
    ("numbers", "label", "status"),
    [(True, 500, 200), (True, "5e2", 200), (True, "dear", 422), (True, [5], 422), (True, "nan", 422),
     (False, "dear", 200)],
)  # fmt: skip
def test_the_label_of_a_regressor_is_a_number(numbers: bool, label: object, status: int) -> None:
    kept: list[Saying] = []

    async def say(sayings: Sequence[Saying]) -> list[Stored]:
        kept.extend(sayings)
        return [Stored(status="stored", request_id=ID) for _ in sayings]

    collector = SimpleNamespace(
        say=say, labels_are_numbers=numbers, most_bytes=1_000, metrics=SimpleNamespace(refuse=print)
    )
    client = TestClient(make_app(collector))  # type: ignore[arg-type]
    body = {"request_id": ID, "label": label}
    reply = client.post("/v1/feedback", json=body)
    assert reply.status_code == status
    several = client.post("/v1/feedback", json={"feedback": [body]}).json()["feedback"]
    assert (several[0]["status"] == "invalid") is (status == 422)
    assert len(kept) == (2 if status == 200 else 0)
    if status == 422:
        assert reply.json()["error"]["code"] == several[0]["code"] == "bad_label"
