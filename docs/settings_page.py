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
    "mlflow": "MLflow tracking URI. Where it is set, `spine register DIR` logs the folder into a run, from which other "
    "machines fetch it. May contain a password; `spine info` masks it.",
    "artifacts": "Folder of MLflow's artifacts; a server at `mlflow` chooses its own place.",
    "cache": "Folder of the verified bundles, one subfolder per canonical SHA.",
    "engine": "What sums up large reports: `local`, or a Ray cluster as `ray://HOST:PORT` or `ray://auto`, whose "
    "machines must reach the closed days.",
    "parquet": "Where closed days of traces are exported and looked up: a folder, or a bucket by URL (`s3://`, "
    "`gs://`, `az://`), with credentials from the environment.",
    "files": "Where the bytes of images and other files are kept that requests consist of: a folder such as "
    "`.spine/files`, or a bucket by URL, see [COLLECT.md](COLLECT.md#keeping-the-files). Empty: their digests alone. "
    "Only where `text_policy` is `full`.",
    "drift_reports": "Folder of the daily drift reports.",
    "eval_baseline": "The committed baseline that the gate compares a candidate with.",
    "trust": "The committed list of public keys whose verdicts count.",
    "testers": "The committed list of keys whose tester tokens are accepted. Servers read it when they start.",
    "dvc_remote": "URL to fetch corpora from. Empty: the default remote of `.dvc/config`.",
    "corpus_text": "Column of corpus rows that holds their text. Empty: `text`, the workload's, or another usual name.",
    "env": "`dev` or `prod`. The ledger's first event decides; this setting can make it stricter, never looser.",
    "service": "Name of the service that this project deploys: letters, digits and . _ -. "
    "Entries record it; a route refuses those of another, "
    "and a prod ledger registers only those of the service that its first entry names.",
    "actor": "The name that events are recorded under.",
    "workload": "The model service: a name in the entry points `spine.workloads`, or a table, see below. Where it is a "
    "name, prod promotes only what it loaded. Empty: the only one installed.",
    "text_policy": "How much of a request's text a trace keeps: `full`, `hash` or `none`.",
    "right_score": "From which score on, said of an answer later, the answer is right. Unset: scores grade nothing.",
    "rate_per_hour": "Rent of this machine per hour, in USD or the currency of `cost`. Unset: answers have no price.",
    "price_version": "Version of the prices; change it with them. Each trace records it.",
    "cost": "Table of the prices of models billed by token, see below.",
    "collect": "Table of the attributes that the spans of a server of yours use, see [COLLECT.md](COLLECT.md).",
    "mirror": "MLflow registered model that shows what is promoted and routed. Unset: no mirror.",
    "otlp": "Base URL of an OpenTelemetry collector. Empty: `OTEL_EXPORTER_OTLP_ENDPOINT`, or no export.",
    "workers": "Processes of a server that answer, and of an evaluation. 0: one for each core.",
    "worker_memory_mb": "Most MiB of private memory of each of these processes and of the shadow's; one that needs "
    "more is replaced. 0: no limit.",
    "max_body_kb": "Most KiB of a request to `spine serve`, and of an export to `spine collect`, also unpacked; up to "
    "16384. A larger one gets 413. 0: 10 for a request, 4096 for an export. Feedback may have 1 MiB. Above 4096, "
    "`spine serve` puts fewer than 8 texts into a batch.",
    "cors_origins": "Origins of web pages that may read a server's replies, separated by commas; `*` for all. "
    "Empty: none.",
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

COLLECT = """## Where spans keep what a trace needs

`spine collect` finds the usual attributes by itself; [COLLECT.md](COLLECT.md) lists them. Every key is optional.

```toml
[collect]
model = "app.model"           # the name of an attribute
input = "app.request"         # a text, or an object or JSON that [workload] reads by its columns
output = "app.answer#label"   # a member of an attribute that is an object or JSON
unit = "app.customer"         # the user, customer or device
wait_seconds = 10             # how long spans wait for the span that received their request
bound = 200000                # how many spans may wait; beyond it exports are refused for now

[collect.features]
lang = "app.language"         # column of [workload], or name of a feature = attribute

[collect.tokens]
input = "app.tokens_in"
output = "app.tokens_out"
```
"""

WORKLOAD = """## A workload without a class

`workload` may be a table that says which columns hold what; [WORKLOAD.md](WORKLOAD.md) explains it. Only `kind` and
`input` are needed, and `label` unless it is a generator. `SPINE_WORKLOAD` replaces the table by the name of a class.

```toml
[workload]
kind = "classifier"           # or "generator", "regressor"
input = "body"                # the column of the input, or a list of columns; "meta.topic" is a member of a member
label = "queue"               # the column of the right answer
output = "prediction"         # the column of the answer in a result; unset: prediction, output, answer, …
id = "ticket"                 # the column that names an item; unset: id, item_id, doc_id, …
text = "body"                 # the column that is searched as text; unset: the input, if that is one column
compare = "casefold"          # how an answer is compared with its label: "exact" unless this is set
accept = "legitimate"         # a classifier's label that lets an input pass; then false accepts are counted
eval_set = "data/eval.csv"    # the items of `spine eval import`, unless --set names another file
words = { unit = "customer", input = "ticket" }   # what texts call them; unset: user, input (WORKLOAD.md)
features = ["lang"]           # categories of the input; or the tables below
# tolerance = 0.5             # a regressor's answer may differ from its label by so much …
# relative_tolerance = 0.05   # … or by this share of the label, whichever is more

[workload.features]
lang = {}                                             # a category, in the column of the same name
age = { column = "customer.age", kind = "number" }    # a number, compared over the reference's deciles
score = { kind = "number", of = "answer" }            # of the answer, not of the input; no corpus has it

[workload.embedding]
column = "vector"             # the input's vector, a list of numbers, in the corpus and with each request (DRIFT.md)
axes = 3                      # main directions of which drift is measured, up to 16
```
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
        default = "login name" if name == "actor" else "empty" if name in ("cost", "collect") else shown
        variable = "none" if name in ("cost", "collect") else f"`SPINE_{name.upper()}`"
        yield f"| `{name}` | {variable} | {default} | {SENTENCES[name]} |"
    yield COST
    yield WORKLOAD
    yield COLLECT
    yield "## Other environment variables\n"
    yield "| variable | what it does |"
    yield "|---|---|"
    yield from (f"| `{name}` | {sentence} |" for name, sentence in OTHER.items())


if __name__ == "__main__":
    print("\n".join(page()))
