"""Runs Evidently on the requests of the drift rows, in a process that can import it; prints its time and its PSI."""

from __future__ import annotations

import json
import random
import sys
import warnings
from collections.abc import Mapping

warnings.simplefilter("ignore")

import drift_rows  # noqa: E402 -- the libraries below warn as they are imported
import pandas as pd  # noqa: E402
from evidently import DataDefinition, Dataset, Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402
from rows import median  # noqa: E402


def main() -> None:
    """Build both data frames before the clock starts, then measure Evidently and print its PSI of each column."""
    trained, live = drift_rows.requests(random.Random(drift_rows.SEED))
    columns = DataDefinition(categorical_columns=list(drift_rows.FEATURES))
    sets = [Dataset.from_pandas(pd.DataFrame(rows), data_definition=columns) for rows in (live, trained)]
    report = Report([DataDriftPreset(cat_method="psi")])
    took = median(lambda: report.run(*sets), runs=3)
    psi = dict(_drifts(report.run(*sets).dict()))
    json.dump({"seconds": took, "psi": psi}, sys.stdout)


def _drifts(said: Mapping[str, list[dict[str, object]]]) -> list[tuple[str, float]]:
    found = []
    for metric in said["metrics"]:
        name = str(metric["metric_name"])
        if name.startswith("ValueDrift(column="):
            found.append((name.removeprefix("ValueDrift(column=").partition(",")[0], float(str(metric["value"]))))
    return found


if __name__ == "__main__":
    main()
