"""What a manifest says of the code a model was trained with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from minitutor.pins import code_version


def test_a_drift_report_is_no_change_of_code_and_a_source_is(tmp_path: Path) -> None:
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "start"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "drift_reports").mkdir()
    (tmp_path / "drift_reports" / "2026-11-16.json").write_text("{}")
    assert code_version(tmp_path)["dirty"] is False
    (tmp_path / "train.py").write_text("")
    assert code_version(tmp_path)["dirty"] is True
