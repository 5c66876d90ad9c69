"""Pages of other origins: those that the setting names may read replies, and no other."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from miniserve.cors import Origins
from modelspine.errors import BadInput

PAGE = "https://app.example"
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


def shown(reply: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control") or name == "vary"}


async def test_a_named_origin_may_read_every_reply_and_ask_before_it_sends(clients: Any, make_service: Any) -> None:
    client = clients(make_service(), origins=Origins(f"{PAGE}, http://localhost:3000/"))
    for origin in (PAGE, "http://localhost:3000"):
        asked = await client.options("/v1/shout", headers={"Origin": origin, **ASKS})
        assert (asked.status_code, asked.content) == (204, b"")
        assert shown(asked)["access-control-allow-origin"] == origin
        assert shown(asked)["access-control-allow-methods"] == "GET, POST"
        assert "Content-Type" in shown(asked)["access-control-allow-headers"]
        for body, status in (({"text": "x"}, 200), ({"text": ""}, 422)):
            reply = await client.post("/v1/shout", json=body, headers={"Origin": origin})
            assert reply.status_code == status
            assert shown(reply)["access-control-allow-origin"] == origin
            assert "X-Request-ID" in shown(reply)["access-control-expose-headers"]
            assert shown(reply)["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://other.example", "https://app.example.evil", "http://app.example", "null", ""]
)
async def test_another_origin_is_answered_without_leave_to_read(clients: Any, make_service: Any, origin: str) -> None:
    client = clients(make_service(), origins=Origins(PAGE))
    asked = await client.options("/v1/shout", headers={"Origin": origin, **ASKS})
    assert (asked.status_code, shown(asked)) == (405, {"vary": "Origin"})
    reply = await client.post("/v1/shout", json={"text": "x"}, headers={"Origin": origin})
    assert (reply.status_code, shown(reply)) == (200, {"vary": "Origin"})


async def test_without_the_setting_no_page_may_read_and_with_a_star_all_may(clients: Any, make_service: Any) -> None:
    service = make_service()
    closed, opened = clients(service), clients(service, origins=Origins("*"))
    for method, headers in (("OPTIONS", ASKS), ("POST", {})):
        reply = await closed.request(method, "/v1/shout", json={"text": "x"}, headers={"Origin": PAGE, **headers})
        assert shown(reply) == {}
        reply = await opened.request(method, "/v1/shout", json={"text": "x"}, headers={"Origin": PAGE, **headers})
        assert shown(reply)["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "wrong", ["app.example", "https://app.example/path", "ftp://x", "https://a b", "https://x\r\nEvil: 1"]
)
def test_what_is_no_origin_is_refused_with_its_name(wrong: str) -> None:
    with pytest.raises(BadInput, match="cors_origins"):
        Origins(f"{PAGE},{wrong}")
