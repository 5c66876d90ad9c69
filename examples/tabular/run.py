"""A tabular model of scikit-learn: scored as a batch, labelled a day later, and walked from a wrong prediction.

    python examples/tabular/run.py [FOLDER]

It makes a project in FOLDER (default: a temporary folder), runs its commands and shows what they print.
"""

from __future__ import annotations

import argparse
import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from walkthrough import Walkthrough, registered  # noqa: E402 -- the examples are no package: they stand as files

DESCRIPTION = "A tabular model of scikit-learn: scored as a batch, labelled a day later, and walked."


def make_project(walk: Walkthrough) -> None:
    """A project as it is before Spine: git, DVC, MLflow, one trained model."""
    walk.say("The project: a corpus and an eval set under DVC, and a model of scikit-learn that MLflow keeps. "
             "The corpus is an export of March to October, so it has no snow; the eval set is of a year.")  # fmt: skip
    walk.shell("git", "init", "--quiet")
    walk.shell("dvc", "init", "--quiet")
    walk.python("make_data.py", "1")
    walk.shell("dvc", "add", "--quiet", "data/deliveries.csv", "data/eval.csv")
    walk.commit("Export March to October")
    walk.python("train.py", "1")


def release(walk: Walkthrough, number: int) -> None:
    """Take a version of the model from MLflow to a promoted entry."""
    walk.spine("eval", "import", f"results-{number}.csv", "--out", f"report-{number}.json")
    said = walk.spine("register", f"models:/deliveries/{number}", "--corpus", "data/deliveries.csv",
                      "--eval", f"report-{number}.json")  # fmt: skip
    entry = registered(said)
    if number == 1:
        walk.spine("baseline", "new", entry, "--reason", "the first model")
        walk.commit("Accept the first model as the baseline")
    walk.spine("gate", entry)
    walk.spine("promote", entry, "--semver", f"v0.{number}.0", "--reason", f"version {number} of deliveries")


def wrong_delivery() -> str:
    """A delivery on snow that was promised as on time and came late."""
    with Path("data/day_outcomes.csv").open(newline="", encoding="utf-8") as table:
        late = {row["delivery"] for row in csv.DictReader(table) if row["status"] == "late"}
    from modelspine.spine import open_spine

    with open_spine(Path.cwd(), readonly=True) as spine:
        traces = [spine.trace(name) for name in sorted(late)]
    return next(trace.request_id for trace in traces if trace.output == "on_time" and "snow" in trace.input)


def main() -> None:
    """Run the example."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("folder", nargs="?", help="where to make the project (default: a temporary folder)")
    parser.add_argument("--project-only", action="store_true", help="stop before Spine comes in, as docs/ADOPT.md does")
    args = parser.parse_args()
    walk = Walkthrough(HERE / "project", args.folder)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    make_project(walk)
    if args.project_only:
        (walk.root / "spine.toml").unlink()
        return
    walk.say("Spine comes in: a ledger, and version 1 from MLflow with the result on the eval set. No option says "
             "which column is which, because the table [workload] of spine.toml does.")  # fmt: skip
    walk.spine("init")
    release(walk, 1)

    walk.say("A batch: it snows, and 200 deliveries are scored. Each answer is recorded by modelspine.request.")
    walk.python("make_data.py", "day")
    walk.python("score.py", "data/day.csv", yesterday)

    walk.say("A day later it is known which of them came late.")
    walk.spine("labels", "import", "data/day_outcomes.csv")

    walk.say("Were the day's inputs those that the model was trained on? The weather and the temperature were not.")
    walk.spine("drift", "report", "--day", yesterday)

    walk.say("The corpus gets the winter, and version 2 is trained on it. It passes the gate and is promoted; the "
             "route stays as it is.")  # fmt: skip
    walk.python("make_data.py", "2")
    walk.shell("dvc", "add", "--quiet", "data/deliveries.csv")
    walk.commit("Export the winter too")
    walk.python("train.py", "2")
    release(walk, 2)

    name = wrong_delivery()
    walk.say(f"The incident: {name} was promised as on time and came late. The walk finds why, and what to do.")
    walk.spine("incident", name)
    walk.end()


if __name__ == "__main__":
    main()
