"""Takes the README's pictures of the console from the real app on the demo's data: every screen in both themes.

It also records the incident walk, and writes ``SOURCES``, the digest of the console's sources and of the scripts, so
that a test can detect outdated pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from pathlib import Path

from recording import record, settled

from modelspine.spine import open_spine
from modelspine_console.action import SCREENS
from modelspine_console.app import Console
from modelspine_console.data.source import Clock, Source, utc_now
from modelspine_console.data.state import State

ROOT = Path(__file__).resolve().parent.parent
SIZE = (120, 34)
KEYS: dict[str, tuple[str, ...]] = {
    "registry": ("j", "right_square_bracket"),
    "lineage": ("l", "j", "j", "j"),
    "traffic": ("j",),
    "drift": ("right_square_bracket",),
    "incident": ("j", "j", "j"),
    "ledger": ("j",),
}
"""Name of a screen → the keys to press before its picture is taken."""
THEMES = {"": "dusk", "-light": "paper"}
"""What is added to a picture's name → its theme."""


async def shoot(project: Path, screen: str, argument: str, theme: str, clock: Clock = utc_now) -> str:
    """Return one picture as SVG."""
    with open_spine(project, readonly=True) as spine:
        app = Console(Source(spine), screen=screen, argument=argument, clock=clock, state=State(theme=theme))
        async with app.run_test(size=SIZE) as pilot:
            await settled(app)
            for key in KEYS.get(screen, ()):
                await pilot.press(key)
            await settled(app)
            return app.export_screenshot(title="spine console", simplify=True)


def complained(project: Path) -> str:
    """Return the newest request with *goed* whose answer was dismissed."""
    with open_spine(project, readonly=True) as spine:
        found = spine.traces.list(text="goed", outcome="dismissed", limit=1).traces
    if not found:
        raise SystemExit("this project has no dismissed answer; run the demo first: ./run demo --headless")
    return found[0].request_id


def canary(project: Path) -> str:
    """Return the newest epoch with a canary."""
    with open_spine(project, readonly=True) as spine:
        return str(next(r.epoch for r in reversed(spine.registry.state().routes) if r.strategy == "canary"))


def digest() -> str:
    """Return the SHA-256 over the sources of the console and of the two scripts, sorted by name."""
    found = hashlib.sha256()
    scripts = (ROOT / "bench" / "recording.py", ROOT / "bench" / "shots.py")
    for file in [*sorted((ROOT / "console").rglob("*.py")), *scripts]:
        found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, nargs="?", default=ROOT / "demo")
    parser.add_argument("--incident", help="the request the incident picture walks")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    arguments = {"incident": args.incident or complained(args.project), "traffic": canary(args.project)}
    for suffix, theme in THEMES.items():
        for _, screen, _ in SCREENS:
            file = args.out / f"{screen}{suffix}.svg"
            file.write_text(await shoot(args.project, screen, arguments.get(screen, ""), theme), encoding="utf-8")
            print(file)
        file = args.out / f"recording{suffix}.svg"
        file.write_text(await record(args.project, theme), encoding="utf-8")
        print(file)
    (args.out / "SOURCES").write_text(digest() + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
