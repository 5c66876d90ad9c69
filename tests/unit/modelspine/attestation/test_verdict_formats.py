"""Files of the first version of every format stay readable for ever, and need no code of ours to be checked."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gating import GO, NOW, SHA, STABLE_SHA
from modelspine.attestation.keys import read_trust
from modelspine.attestation.verdict import read_verdict, verify
from modelspine.errors import Refused
from modelspine.gate.decision import Stable, judge
from modelspine.ledger.store import Head

FOLDER = Path(__file__).parents[3] / "fixtures" / "verdict-1"
FILES = {path.stem: path.read_bytes() for path in FOLDER.glob("*.json")}


def test_the_first_verdict_ever_signed_still_verifies() -> None:
    made = verify(
        FILES["verdict"],
        read_trust(FILES["trust"]),
        sha=SHA,
        baseline=FILES["baseline"],
        stable=Stable(entry_sha=STABLE_SHA, report=FILES["stable"]),
        hash_at=lambda seq: f"{seq:064x}",
        now=NOW,
    )
    assert made.decision.result == "pass"
    assert made.predicate.ledger == Head(9, f"{9:064x}")
    assert made.predicate.candidate.sha256 == hashlib.sha256(FILES["candidate"]).hexdigest()


def test_long_after_it_can_be_read_and_no_longer_used() -> None:
    """What an incident shows: who signed, in which run, on which head of the ledger."""
    trust = read_trust(FILES["trust"])
    said = read_verdict(FILES["verdict"], trust)
    assert (said.key.name, said.statement.predicate.run.id) == ("ci-2026", "8841")
    with pytest.raises(Refused, match="expired"):
        verify(
            FILES["verdict"], trust, sha=SHA, baseline=FILES["baseline"], stable=None,
            hash_at=lambda seq: f"{seq:064x}", now=NOW + timedelta(days=180),
        )  # fmt: skip


def test_its_report_and_baseline_are_decided_as_they_were() -> None:
    made = judge(FILES["candidate"], baseline=FILES["baseline"], stable=FILES["stable"], never_regress={GO.id: True})
    assert made.result == "pass"


def test_its_signature_checks_without_any_code_of_ours() -> None:
    envelope, trust = json.loads(FILES["verdict"]), json.loads(FILES["trust"])
    body = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    signed = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(body)).encode(), body])
    (key,) = trust["keys"]
    (signature,) = envelope["signatures"]
    public = base64.b64decode(key["public"])
    assert hashlib.sha256(public).hexdigest()[:16] == key["id"] == signature["keyid"]
    Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature["sig"]), signed)
    predicate = json.loads(body)["predicate"]
    for side in ("candidate", "baseline", "stable"):
        assert predicate[side]["sha256"] == hashlib.sha256(FILES[side]).hexdigest()
        assert predicate[side]["buckets"] == json.loads(FILES[side])["buckets"]


def test_neither_gate_nor_verdict_loads_anything_heavy_before_it_is_needed() -> None:
    code = (
        "import sys, modelspine.gate.decision, modelspine.gate.table, modelspine.attestation.verdict\n"
        "print(sorted({'cryptography', 'numpy', 'scipy', 'rich', 'mlflow'} & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
