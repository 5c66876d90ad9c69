"""Trains the head of the classifier on data/corpus.jsonl as an MLflow run, and answers the eval set with it.

    python train.py 1    writes model-1/ and results-1.jsonl, logs the model, and prints the id of its run

Only the head is trained; the vectors are those of the package wordllama.
"""

import json
import logging
import sys
from pathlib import Path

import embedding
import mlflow
import numpy as np
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression


def rows_of(file):
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    number = sys.argv[1]
    corpus, items = rows_of("data/corpus.jsonl"), rows_of("data/eval.jsonl")
    embed = embedding.load().embed
    head = LogisticRegression(C=10, max_iter=1_000, random_state=1)
    head.fit(embed([row["text"] for row in corpus], norm=True), [row["intent"] for row in corpus])

    folder = Path(f"model-{number}")
    folder.mkdir(exist_ok=True)
    save_file(
        {"weight": head.coef_.astype(np.float32), "bias": head.intercept_.astype(np.float32)},
        folder / "model.safetensors",
    )
    config = {"architecture": "logistic regression on wordllama", "variant": "fp32", "labels": list(head.classes_),
              "embedding_sha256": embedding.digest()}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=1))

    answers = head.predict(embed([item["text"] for item in items], norm=True))
    answered = list(zip(items, answers, strict=True))
    right = sum(answer == item["intent"] for item, answer in answered)
    lines = [json.dumps({"id": item["id"], "prediction": answer}) + "\n" for item, answer in answered]
    Path(f"results-{number}.jsonl").write_text("".join(lines))

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("intents")
    with mlflow.start_run() as run:
        mlflow.log_params({"seed": 1, "C": 10, "rows": len(corpus)})
        mlflow.log_metric("accuracy", right / len(items))
        mlflow.log_artifacts(str(folder), "model")
    print(f"{right} of {len(items)} right on the eval set; run {run.info.run_id}")
