"""Another moment in time: typed, reached in steps, and compared with a second one."""

from __future__ import annotations

from typing import Any

from console_dialog import toasts
from modelspine.traffic.two_moments import between, between_pairs, between_sentence


async def test_steps_lead_through_the_ledger_and_back_to_the_present(console: Any, spine: Any) -> None:
    events = spine.registry.events()
    times = sorted({event.at for event in events})
    async with console(screen="ledger") as desk:
        await desk.press("less_than_sign")
        assert desk.app.source.at == times[-2]
        assert f"AT {times[-2][:19]}Z" in desk.lines()[0]
        newest = [event for event in events if event.at <= times[-2]][-1]
        assert f"after #{newest.seq} {newest.kind}" in toasts(desk)
        await desk.press("less_than_sign")
        assert desk.app.source.at == times[-3]
        await desk.press("greater_than_sign", "greater_than_sign")
        assert desk.app.source.at is None
        assert "AT " not in desk.lines()[0]


async def test_a_moment_may_be_an_event_or_lie_before_the_start(console: Any, spine: Any) -> None:
    async with console() as desk:
        desk.app.navigation.jump("at #2")
        await desk.settle()
        assert desk.app.source.at == spine.registry.events()[1].at
        desk.app.navigation.jump("at #999")
        await desk.settle()
        assert "there is no event #999" in desk.app.freshness.last_error.error
        desk.app.navigation.jump("at 2001-01-01")
        await desk.settle()
        assert "is before the ledger's start: its first event, #1" in toasts(desk)
        assert "is before the ledger's start" in desk.app.view.list.message
        for key in ("3", "7"):
            await desk.press(key)
            assert "is before the ledger's start" in desk.app.view.list.message
        desk.app.navigation.jump("at now")
        await desk.settle()
        assert desk.app.view.list.state == "ready"


async def test_two_moments_are_compared(console: Any, spine: Any) -> None:
    events = spine.registry.events()
    found = between(events, events[1].at, events[-1].at)
    async with console(size=(120, 40)) as desk:
        desk.app.navigation.jump("at #2 .. #" + str(events[-1].seq))
        await desk.settle()
        assert " ".join(between_sentence(found).split())[:60] in " ".join(desk.text().split())
        for name, text in between_pairs(found):
            assert f"{name} " in desk.text()
            assert text[:40] in desk.text()
        assert desk.app.source.at is None, "a comparison shows no other moment"
        await desk.press("escape")
        desk.app.navigation.jump("at #2 .. breakfast")
        await desk.settle()
        assert "is not a time" in desk.app.freshness.last_error.error
        desk.app.navigation.jump("at #2 .. now")
        await desk.settle()
        assert len(desk.app.screen_stack) == 2
        assert not desk.app._notifications, "no toast hides the end of the answer"
