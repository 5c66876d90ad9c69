"""The shop's own server: FastAPI, instrumented with OpenTelemetry's SDK. It knows nothing of Spine.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python server.py model-1

The variable of OpenTelemetry says where spans go. The model calls itself intents-1, after its folder.
"""

import json
import socket
import sys
from pathlib import Path

import embedding
import numpy as np
import uvicorn
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic import BaseModel
from safetensors.numpy import load_file

folder = Path(sys.argv[1])
name = folder.name.replace("model", "intents")
config = json.loads((folder / "config.json").read_text())
head = load_file(folder / "model.safetensors")
embed = embedding.load().embed

provider = TracerProvider(resource=Resource.create({"service.name": "intents"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=200))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
app = FastAPI()


class Question(BaseModel):
    """What a customer writes."""

    text: str
    customer: str
    channel: str = "chat"


def classify(text):
    """The intent of a text, and how probable it is."""
    logits = (embed([text], norm=True) @ head["weight"].T + head["bias"])[0]
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return config["labels"][int(shares.argmax())], float(shares.max())


@app.post("/classify")
def answer(question: Question):
    """Answer one customer."""
    with tracer.start_as_current_span("POST /classify", kind=trace.SpanKind.SERVER) as request:
        request.set_attribute("user.id", question.customer)
        request.set_attribute("app.channel", question.channel)
        with tracer.start_as_current_span("classify") as span:
            intent, share = classify(question.text)
            span.set_attributes({"gen_ai.request.model": name, "input.value": question.text, "output.value": intent,
                                 "spine.field.share": share})  # fmt: skip
        return {"intent": intent, "trace_id": f"{request.get_span_context().trace_id:032x}"}


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"answering on http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
    provider.shutdown()  # sends the spans that wait
