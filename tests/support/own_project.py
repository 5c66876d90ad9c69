"""A project that a table describes, whose answers come from this process."""

from __future__ import annotations

from pathlib import Path

from bundles import write_bundle
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

_TABLE = '[workload]\nkind = "classifier"\ninput = "body"\nlabel = "queue"\nfeatures = ["lang"]\naccept = "spam"\n'


def own_project(folder: Path, *, table: str = _TABLE, policy: str = "full") -> Path:
    """The project, with two entries and all traffic on v0.1.0."""
    folder.mkdir()
    (folder / "spine.toml").write_text(f'text_policy = "{policy}"\n{table}')
    create_ledger(load(folder, environ={}), "dev")
    with open_spine(folder) as spine:
        for number, semver in ((1, "v0.1.0"), (2, "v0.2.0")):
            sha = spine.registry.register(write_bundle(folder / f"b{number}", number)).sha
            spine.registry.promote(sha, semver, reason="for the test")
    return folder
