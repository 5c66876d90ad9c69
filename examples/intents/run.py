"""An intent classifier behind a FastAPI server that knows nothing of Spine: its spans are enough for a walk.

    python examples/intents/run.py [FOLDER]

It makes a project in FOLDER (default: a temporary folder), runs its commands and shows what they print.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from walkthrough import Walkthrough, registered  # noqa: E402 -- the examples are no package: they stand as files

DESCRIPTION = "An intent classifier behind an own FastAPI server, walked by its OpenTelemetry spans."
COMPLAINT = "I would like to withdraw my order of the desk."
ASKED = (
    "Where is my tent?", "When will the desk arrive?", "I want my money back for the radio.",
    "The mirror arrived broken.", "My new blender does not work.", "Please change where the lamp is delivered.",
    "Send the kettle to my office instead of my home.", "How do I get a refund for the jacket?",
)  # fmt: skip


def make_model(walk: Walkthrough, number: int) -> str:
    """Make the corpus, train on it and promote the model; returns its SHA, short."""
    walk.python("make_corpus.py", str(number))
    walk.shell("dvc", "add", "--quiet", "data/corpus.jsonl", "data/eval.jsonl")
    walk.commit(f"Corpus {number}")
    run = walk.python("train.py", str(number)).split()[-1]
    if number == 1:
        walk.spine("init")
    walk.spine("eval", "import", f"results-{number}.jsonl", "--out", f"report-{number}.json")
    said = walk.spine("register", run, "--corpus", "data/corpus.jsonl", "--eval", f"report-{number}.json")
    entry = registered(said)
    if number == 1:
        walk.spine("baseline", "new", entry, "--reason", "the first model")
        walk.commit("Accept the first model as the baseline")
    walk.spine("gate", entry)
    walk.spine("promote", entry, "--semver", f"v0.{number}.0", "--reason", f"corpus {number}")
    return entry


def ask(url: str, text: str, customer: str) -> dict[str, str]:
    """Ask the server, as a customer does."""
    body = json.dumps({"text": text, "customer": customer}).encode()
    request = urllib.request.Request(f"{url}/classify", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: dict[str, str] = json.load(reply)
    return answer


def until(there: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is there."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            sys.exit("the spans did not arrive")
        time.sleep(0.1)


def stored(trace_id: str) -> bool:
    """Whether a request is in the trace store."""
    from modelspine.spine import open_spine

    with open_spine(Path.cwd(), readonly=True) as spine:
        return spine.traces.get(trace_id) is not None


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("folder", nargs="?", help="where to make the project (default: a temporary folder)")
    walk = Walkthrough(HERE / "project", parser.parse_args().folder)

    walk.say("The project: sentences with their intents under DVC, and a classifier on the vectors of wordllama that "
             "MLflow keeps. The first corpus has 2 cancellations where the other intents have 40.")  # fmt: skip
    walk.shell("git", "init", "--quiet")
    walk.shell("dvc", "init", "--quiet")
    make_model(walk, 1)

    walk.say("The shop's own server answers, with OpenTelemetry's SDK and no line about Spine. Its spans go to `spine "
             "collect`. It calls its model intents-1, so that name is claimed for the entry.")  # fmt: skip
    walk.spine("traces", "claim", "--model", "intents-1", "v0.1.0", "--reason", "the name in server.py")
    with (
        walk.server("spine", "collect", "--port", "0") as collector,
        walk.server("python", "server.py", "model-1", OTEL_EXPORTER_OTLP_ENDPOINT=collector) as server,
    ):
        for number, text in enumerate(ASKED):
            ask(server, text, f"customer-{number}")
        answer = ask(server, COMPLAINT, "customer-17")
        trace_id = answer["trace_id"]
        print(f"    {len(ASKED) + 1} sentences were answered, one of them so:\n    “{COMPLAINT}” → {answer['intent']}")
        until(lambda: stored(trace_id))

    walk.say("An agent finds that the customer wanted to cancel. The export of the ticket system says so.")
    with Path("labels.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([["trace_id", "intent"], [trace_id, "cancel_order"]])
    walk.spine("labels", "import", "labels.csv")

    walk.say("Meanwhile there is a second corpus, with as many cancellations as of the others. The model trained on it "
             "passes the gate and is promoted; the route stays as it is.")  # fmt: skip
    make_model(walk, 2)

    walk.say("The incident: the walk of that one answer, by the trace id that the server gave it.")
    walk.spine("incident", trace_id)
    walk.end()


if __name__ == "__main__":
    main()
