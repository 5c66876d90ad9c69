"""Trains the classifier on data/deliveries.csv as an MLflow run, and answers the eval set with it.

    python train.py 1    registers version 1 of the model `deliveries` in MLflow, and writes results-1.csv

MLflow keeps the whole pipeline, with the columns that it reads.
"""

import csv
import logging
import sys
from pathlib import Path

import mlflow
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CATEGORIES, NUMBERS = ["carrier", "weather"], ["temperature_c", "distance_km"]

if __name__ == "__main__":
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    number = sys.argv[1]
    rows, items = pd.read_csv("data/deliveries.csv"), pd.read_csv("data/eval.csv")
    columns = make_column_transformer(
        # A weather that the corpus does not have is ignored, as in many a pipeline: nothing fails, the answer is wrong.
        (OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
        (StandardScaler(), NUMBERS),
    )
    model = make_pipeline(columns, LogisticRegression(C=10, max_iter=1_000, random_state=1))
    model.fit(rows[CATEGORIES + NUMBERS], rows["status"])
    answers = model.predict(items[CATEGORIES + NUMBERS])
    with Path(f"results-{number}.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["delivery", "prediction"])
        writer.writerows(zip(items["delivery"], answers, strict=True))
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("deliveries")
    with mlflow.start_run():
        mlflow.log_params({"seed": 1, "C": 10, "rows": len(rows)})
        mlflow.log_metric("accuracy", (answers == items["status"]).mean())
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="deliveries", pip_requirements=["scikit-learn", "pandas"]
        )
    print(f"version {number}: {(answers == items['status']).sum()} of {len(items)} right on the eval set")
