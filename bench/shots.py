"""Takes the README's pictures of the console from the real app on the demo's data.

It also writes ``SOURCES``, the digest of the console's sources, so that a test can detect outdated pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from pathlib import Path

from modelspine.spine import open_spine
from modelspine_console.app import Console
from modelspine_console.data.source import Source

ROOT = Path(__file__).resolve().parent.parent
SIZE = (120, 34)
SHOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "registry": ("registry", ("j", "right_square_bracket")),
    "lineage": ("lineage", ("l", "j", "j", "j")),
    "drift": ("drift", ("right_square_bracket",)),
    "cost": ("cost", ()),
    "ledger": ("ledger", ("j",)),
}
"""Name of a picture → its screen, and the keys to press first."""


async def settled(app: Console, pause: float = 0.1) -> None:
    """Wait until every background query is done and drawn."""
    for _ in range(600):
        await asyncio.sleep(pause)
        if app.jobs.idle and app.pulse is not None:
            break
    await asyncio.sleep(pause)


async def shoot(project: Path, screen: str, argument: str, keys: tuple[str, ...]) -> str:
    """Return one picture as SVG."""
    with open_spine(project, readonly=True) as spine:
        app = Console(Source(spine), screen=screen, argument=argument)
        async with app.run_test(size=SIZE) as pilot:
            await settled(app)
            for key in keys:
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
    """Return the SHA-256 over the console's sources, sorted by name."""
    found = hashlib.sha256()
    for file in sorted((ROOT / "console").rglob("*.py")):
        found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, nargs="?", default=ROOT / "demo")
    parser.add_argument("--incident", help="the request the incident picture walks")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    shots = {name: (screen, "", keys) for name, (screen, keys) in SHOTS.items()}
    incident = args.incident or complained(args.project)
    shots["incident"] = ("incident", incident, ("j", "j", "j"))
    shots["traffic"] = ("traffic", canary(args.project), ("j",))
    for name, (screen, argument, keys) in shots.items():
        file = args.out / f"{name}.svg"
        file.write_text(await shoot(args.project, screen, argument, keys), encoding="utf-8")
        print(file)
    (args.out / "SOURCES").write_text(digest() + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
