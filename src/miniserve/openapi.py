"""The HTTP API as an OpenAPI document, and as a self-contained HTML page.

Both are built from the workload that also defines the routes, so they agree with what the server accepts.
This module does not serve them.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from miniobserve.saying import MOST_TEXT, OUTCOMES, STATUSES
from miniserve.feedback import MOST
from miniserve.limits import FEEDBACK, LARGER, MAX_BODY
from miniserve.testers import ARM_HEADER, TOKEN_HEADER
from modelspine.words import Words, words_of
from modelspine.workload import Workload, takes_json

_ERRORS = {
    "400": "malformed HTTP or JSON",
    "403": "a tester token that is not valid, or replayed traffic that this server does not accept",
    "404": "no such path, or no answer has that request_id",
    "405": "method not allowed on this path",
    "408": "the request was not complete within 5 seconds",
    "409": "a tester chose an arm that the current route does not have, or several answers have that trace_id",
    "411": "neither Content-Length nor chunked encoding",
    "413": "the body is larger than this path allows; the message says how many bytes it may have",
    "415": "the body has a content encoding",
    "422": "a field is missing, unknown or out of range",
    "429": "over the configured rate; Retry-After says how long to wait",
    "500": "the model failed on this text",
    "503": "queue full, server draining, trace not durable, or too many requests wait on one connection;"
    " Retry-After says how long to wait",
}
_FEEDBACK = "Say what is known of an answer later: an outcome, the right label, a score or a text; or of up to 1,000."
_STRING = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"}


def describe(workload: Workload, version: str, most: int = MAX_BODY) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of a server of this workload; a request for an answer has up to ``most`` bytes."""
    question: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": workload.max_chars}
    if takes_json(workload):
        question = {
            "description": f"text or any JSON, whose canonical form has at most {workload.max_chars} characters"
        }
    words = words_of(workload)
    question |= {"examples": [getattr(workload, "example", f"an example of one {words.input}")]}
    asked = _object({workload.text_field: question, **_units(workload, words)})
    asked |= {"required": [workload.text_field], "additionalProperties": False}
    said = _said()
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{workload.name} on Spine", "version": version},
        "paths": {
            workload.http_path: {
                "post": _post("Answer one text. Its trace is durable before the reply is sent.", asked, "Answer", most)
            },
            FEEDBACK: {"post": _post(_FEEDBACK, {"oneOf": [said, _list(said)]}, "Said", LARGER[FEEDBACK].most)},
            "/v1/route": _get("The route in effect on this server."),
            "/healthz": _get("Liveness: the process runs."),
            "/readyz": _get("Readiness: whether requests should be sent here.", "503"),
            "/metrics": _get("Prometheus metrics.", kind="text/plain"),
            "/openapi.json": _get("This document."),
            "/docs": _get("This document as an HTML page.", kind="text/html"),
        },
        "components": {"schemas": {"Answer": _answer(words), "Said": _said_reply(), "Error": _error()}},
    }


def _said() -> dict[str, Any]:
    """What is said of one answer."""
    fields = {
        "request_id": _ID,
        "trace_id": {"type": "string", "pattern": "^[0-9a-f]{32}$", "description": "in the place of request_id"},
        "outcome": {"type": "string", "enum": list(OUTCOMES)},
        "label": {"description": "the right answer: text, or any JSON"},
        "score": {"type": "number"},
        "text": {"type": "string", "minLength": 1, "maxLength": MOST_TEXT},
        "taken_back": {"type": "boolean", "description": "what was said before does not count; stands alone"},
    }
    return _object(fields) | {"additionalProperties": False}


def _list(said: dict[str, Any]) -> dict[str, Any]:
    """A list of them."""
    each = {"type": "array", "items": said, "minItems": 1, "maxItems": MOST}
    return _object({"feedback": each}) | {"required": ["feedback"], "additionalProperties": False}


def _said_reply() -> dict[str, Any]:
    status = {"type": "string", "enum": [*STATUSES, "invalid"]}
    fields = {
        "request_id": _ID, "trace_id": _STRING, "outcome": _STRING, "status": status, "code": _STRING,
        "message": _STRING, "requests": {"type": "array", "items": _ID},
        "graded": {"type": ["boolean", "null"], "description": "how the answer is graded now by its label or score"},
    }  # fmt: skip
    one = _object(fields)
    return one | {"properties": {**fields, "feedback": {"type": "array", "items": one}}}


def docs_page(document: dict[str, Any]) -> str:
    """Render the document as one HTML page without scripts or external resources."""
    info = document["info"]
    parts = [f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>", _curl(document)]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<h2><b>{method.upper()}</b> <code>{escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
            )
            if "requestBody" in operation:
                body = operation["requestBody"]
                parts.append(_schema(f"Body: {body['description']}", body["content"]["application/json"]["schema"]))
    for name, schema in document["components"]["schemas"].items():
        parts.append(_schema(name, schema))
    rows = "".join(f"<tr><td>{code}</td><td>{escape(text)}</td></tr>" for code, text in _ERRORS.items())
    parts.append(f"<h2>Errors</h2><table>{rows}</table>")
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
        "pre{background:#f4f4f4;padding:.8rem;overflow:auto}td{padding:.1rem .8rem .1rem 0}"
        "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}pre{background:#222}}"
    )
    head = f'<meta charset="utf-8"><title>{escape(info["title"])}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def _curl(document: dict[str, Any]) -> str:
    path, methods = next(iter(document["paths"].items()))
    properties = methods["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    body = json.dumps({name: schema["examples"][0] for name, schema in properties.items() if "examples" in schema})
    return f"<pre>curl -s http://127.0.0.1:8080{escape(path)} -d '{escape(body, quote=False)}'</pre>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    return f"<h3>{escape(name)}</h3><pre>{escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre>"


def _post(summary: str, body: dict[str, Any], reply: str, most: int) -> dict[str, Any]:
    content = {"application/json": {"schema": body}}
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": _STRING}
            for name in ("X-Request-ID", TOKEN_HEADER, ARM_HEADER)
        ],
        "requestBody": {"description": f"at most {most:,} bytes", "required": True, "content": content},
        "responses": {"200": _reply("done", {"$ref": f"#/components/schemas/{reply}"}), **_failures()},
    }


def _get(summary: str, *more: str, kind: str = "application/json") -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "ok", "content": {kind: {}}}}
    responses |= {code: {"description": _ERRORS[code]} for code in more}
    return {"get": {"summary": summary, "responses": {**responses, **_failures("400", "405", "408", "413", "415")}}}


def _failures(*codes: str) -> dict[str, Any]:
    wanted = codes or tuple(_ERRORS)
    return {code: _reply(_ERRORS[code], {"$ref": "#/components/schemas/Error"}) for code in wanted}


def _reply(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _units(workload: Workload, words: Words) -> dict[str, Any]:
    """The schema of the field that names the unit; its earlier name only where it is the workload's own word."""
    name = {"type": ["string", "null"], "minLength": 1, "maxLength": 128}
    told = f"the {words.unit} whom the answer is for, who keeps one arm of a route"
    unit = name | {"description": told}
    example = {"examples": [f"{words.unit}-7"]}
    if words.unit == "learner":
        return {
            "unit": unit,
            "learner_id": name | {"description": "another name of `unit`; give one of the two"} | example,
        }
    return {} if workload.text_field == "unit" else {"unit": unit | example}


def _answer(words: Words) -> dict[str, Any]:
    price = {"type": ["number", "null"]}
    tokens = {"input_tokens": _NUMBER, "output_tokens": _NUMBER}
    usage = _object({**tokens, "cost_usd": price, "cost": price, "currency": _STRING})
    earlier = {"correction": _STRING, "is_correct": {"type": "boolean"}} if words.output == "correction" else {}
    fields = {
        "output": {**_STRING, "description": f"the {words.output}"},
        "accepted": {"type": "boolean", "description": f"whether the {words.input} was {words.accepted}"},
        **earlier,
        "in_scope": {"type": "boolean"},
        "request_id": _ID,
        "model_sha": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "semver": _STRING,
        "arm": _STRING,
        "epoch": _NUMBER,
        "traffic_assignment": _assignment(),
        "usage": usage,
    }
    note = {"request_id_replaced": {"type": "string", "enum": ["malformed", "used"]}, "retry_of": _ID}
    return {**_object({**fields, **note}), "required": list(fields), "additionalProperties": True}


def _assignment() -> dict[str, Any]:
    """The schema of ``miniobserve.traces.Assignment``."""
    fields = {
        "strategy": _STRING,
        "epoch": _NUMBER,
        "salt": _STRING,
        "arm": _STRING,
        "bucket": {"type": "integer", "minimum": 0, "maximum": 9999},
        "sticky": {"type": "boolean"},
        "u": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "unit": {"type": ["string", "null"]},
        "tester": {"type": ["string", "null"]},
    }
    return {**_object(fields), "required": list(fields)}


def _error() -> dict[str, Any]:
    error = {
        **_object({"code": _STRING, "message": _STRING, "request_id": _ID}),
        "required": ["code", "message", "request_id"],
    }
    return {**_object({"error": error}), "required": ["error"]}
