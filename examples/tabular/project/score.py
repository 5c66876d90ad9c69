"""Scores a table of deliveries as a batch job, and records each answer for later.

    python score.py data/day.csv 2026-11-22    the table, and the day on which its deliveries left

Which model answers is what the route says of each delivery.
"""

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow
import pandas as pd

import modelspine

VERSIONS = {"v0.1.0": "models:/deliveries/1", "v0.2.0": "models:/deliveries/2"}
models = {}


def model_of(semver):
    """The model that the route gives a delivery, loaded once."""
    if semver not in models:
        models[semver] = mlflow.sklearn.load_model(VERSIONS[semver])
    return models[semver]


if __name__ == "__main__":
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    began = datetime.fromisoformat(sys.argv[2]).replace(hour=6, tzinfo=UTC)
    answers = []
    with Path(sys.argv[1]).open(newline="", encoding="utf-8") as table:
        for number, row in enumerate(csv.DictReader(table)):
            asked = {
                name: float(row[name]) if name in ("temperature_c", "distance_km") else row[name]
                for name in ("carrier", "weather", "temperature_c", "distance_km")
            }
            at = began + timedelta(seconds=30 * number)
            with modelspine.request(asked, request_id=row["delivery"], at=at) as r:
                answer = model_of(r.entry.semver).predict(pd.DataFrame([asked]))[0]
                r.output(answer)
            answers.append(answer)
    print(f"{len(answers)} deliveries scored, {answers.count('late')} of them as late")
