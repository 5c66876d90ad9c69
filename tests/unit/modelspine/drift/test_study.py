"""The recipe of docs/DRIFT.md, with fewer seeds: real rows, the code that makes reports, a shifted tense."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.long
def test_statuses_rise_with_the_share_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import drift_study_rows as recipe

    points, few = recipe.study(seeds=6)
    assert [point.share for point in points] == list(recipe.SHARES)
    assert (points[0].days["stable"], points[-1].days["act"], few) == (6, 6, 6)
    middles = [sum(point.psi) for point in points]
    assert middles == sorted(middles)
    picture = recipe.svg(points)
    assert picture.count("<rect") == 1 + 3 * len(points)
    page = (ROOT / "docs" / "DRIFT.md").read_text(encoding="utf-8")
    table = page.split("<!-- drift-study -->")[1].split("<!-- /drift-study -->")[0]
    shares = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| 0")]
    assert shares == [f"{share:.2f}" for share in recipe.SHARES]
    stable, acted = (next(line for line in table.splitlines() if line.startswith(f"| {s} ")) for s in ("0.00", "0.50"))
    assert int(stable.split("|")[2]) >= 99
    assert int(acted.split("|")[4]) >= 99
    for name in ("drift_study_rows", "rows"):
        sys.modules.pop(name, None)
