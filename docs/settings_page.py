"""Writes ``docs/SETTINGS.md``: ``python docs/settings_page.py > docs/SETTINGS.md``.

Names, variables and defaults come from ``modelspine.settings``; only the sentences are kept here. It does not know
the settings of one project: ``spine info`` shows those.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelspine.settings import Settings, load

SENTENCES = {
    "home": "Folder for everything that Spine writes in this project.",
    "ledger": "URL of the ledger: SQLite or PostgreSQL. May contain a password; `spine info` masks it.",
    "traces": "URL of the trace store: SQLite or PostgreSQL. May contain a password; `spine info` masks it.",
    "mlflow": "MLflow tracking URI. May contain a password; `spine info` masks it.",
    "artifacts": "Folder of MLflow's artifacts.",
    "cache": "Folder of the verified bundles, one subfolder per canonical SHA.",
    "parquet": "Folder to which closed days of traces are exported, and in which they are looked up.",
    "drift_reports": "Folder of the daily drift reports.",
    "eval_baseline": "The committed baseline that the gate compares a candidate with.",
    "trust": "The committed list of public keys whose verdicts count.",
    "testers": "The committed list of keys whose tester tokens are accepted. Servers read it when they start.",
    "dvc_remote": "URL to fetch corpora from. Empty: the default remote of `.dvc/config`.",
    "corpus_text": "Column of corpus rows that holds their text. Empty: `text`, the workload's, or another usual name.",
    "env": "`dev` or `prod`. The ledger's first event decides; this setting can make it stricter, never looser.",
    "service": "Name of the service that this project deploys. Entries record it; a route refuses those of another.",
    "actor": "The name that events are recorded under.",
    "workload": "The model service: a name in the entry points `spine.workloads`. Where it is set, prod promotes only "
    "what it loaded. Empty: the only one installed.",
    "text_policy": "How much of a request's text a trace keeps: `full`, `hash` or `none`.",
    "rate_per_hour": "Rent of this machine per hour, in USD or the currency of `cost`. Unset: answers have no price.",
    "price_version": "Version of the prices; change it with them. Each trace records it.",
    "cost": "Table of the prices of models billed by token, see below.",
    "mirror": "MLflow registered model that shows what is promoted and routed. Unset: no mirror.",
    "otlp": "Base URL of an OpenTelemetry collector. Empty: `OTEL_EXPORTER_OTLP_ENDPOINT`, or no export.",
    "host": "Address that `spine serve` listens on.",
    "port": "Port that `spine serve` listens on.",
}
OTHER = {
    "SPINE_ROOT": "The project folder. Unset: the nearest folder upwards that has `spine.toml`, `.spine` or `.git`.",
    "SPINE_SIGNING_KEY": "Private key (PEM) for `spine gate --sign` without `--key`. Secret: set it in CI only.",
    "SPINE_QUIET": "Any value: no progress lines.",
    "SPINE_DEBUG": "Any value: show the traceback of an unexpected error.",
    "NO_COLOR": "Any value: no colours, in the command line and the console.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "The collector, where the setting `otlp` is empty.",
    "OTEL_SERVICE_NAME": "Service name on exported spans. Unset: `miniserve`.",
    "SPINE_RUN_URL": "Where the log of this CI run is (URL or path), for signed verdicts. Unset: its GitHub page.",
    "GITHUB_RUN_ID": "The run that a verdict names; `GITHUB_SERVER_URL` and `GITHUB_REPOSITORY` make its URL.",
}
TOP = """# Settings

Spine reads `spine.toml` (or the table `[tool.spine]` of `pyproject.toml`), then the `SPINE_*` environment variables,
then the flags of the command; the later one wins. A relative path counts from the project's root. An unknown key in
the file is refused. `spine info` shows each value in force and where it came from, with passwords and tokens masked.

This page is generated: `python docs/settings_page.py > docs/SETTINGS.md`.
"""

COST = """
## Prices of models billed by token

```toml
[cost]
currency = "USD"            # three letters, of every price here and of rate_per_hour
price_version = "2026-02"   # unset: the setting price_version

[cost.tokens."v0.3.0"]      # a semver, the first 4 or more digits of a SHA, or "*" for every model
input = 0.15                # per million tokens read; a price that is not there is unknown, never 0
output = 0.60               # per million tokens written
```

A model that is in the table is billed by its tokens, every other one by its share of the machine's rent. Several
servers on one machine share its rent: give each its part as `rate_per_hour`.
"""


def page() -> Iterator[str]:
    """The lines of the page."""
    root = Path("/project")
    settings = load(environ={"SPINE_ROOT": str(root)})
    yield TOP
    yield "| key in `spine.toml` | variable | default | what it does |"
    yield "|---|---|---|---|"
    for name in Settings.__struct_fields__:
        if name in ("root", "origins"):
            continue  # found and recorded by the loader, never set
        value = getattr(settings, name)
        shown = "unset" if value is None else "empty" if value == "" else f"`{value}`".replace(f"{root}/", "")
        # The default of `actor` is whoever runs this script, which must not get into a page.
        default = "login name" if name == "actor" else "empty" if name == "cost" else shown
        variable = "none" if name == "cost" else f"`SPINE_{name.upper()}`"
        yield f"| `{name}` | {variable} | {default} | {SENTENCES[name]} |"
    yield COST
    yield "## Other environment variables\n"
    yield "| variable | what it does |"
    yield "|---|---|"
    yield from (f"| `{name}` | {sentence} |" for name, sentence in OTHER.items())


if __name__ == "__main__":
    print("\n".join(page()))
