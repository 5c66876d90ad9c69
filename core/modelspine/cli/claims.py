"""``spine traces claim``: says which entry the name means that a server gives its model."""

from __future__ import annotations

import argparse

import msgspec

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs, change_flags
from modelspine.cli.progress import working
from modelspine.cli.promotion import show_receipt
from modelspine.errors import SpineError
from modelspine.spine import Spine
from modelspine.text import counted, visible


def command(nested: Verbs) -> None:
    """Add the verb to ``traces``."""
    claim = nested.add(
        "claim", "say which entry a model's name means", run_claim,
        details="Requests that `spine collect` kept without an entry are then shown and walked with it, and later ones "
        "are stored with it. What is stored stays as it is: reports over many requests count those as unattributed.",
        example='spine traces claim --model tickets-prod v0.1.0 --reason "the name in our service"', writes=True,
    )  # fmt: skip
    claim.add_argument("--model", required=True, metavar="NAME", help="the name as the server tells it")
    claim.add_argument("ref", metavar="REF", help="the entry it means")
    change_flags(claim)


def run_claim(args: argparse.Namespace, spine: Spine) -> int:
    """Record the claim, and say what it changes: an earlier claim of the name, and how many requests it moves."""
    from modelspine.registry.claims import claim, claim_text, replaced_by

    asked = {"reason": args.reason, "expected": args.expect, "key": args.key}
    spine.registry.resolve(args.ref)  # an unknown entry is refused before anything is counted
    # Before the claim, so that a command that is interrupted while it counts has recorded nothing.
    requests, why = _requests(spine, args.model)
    receipt = claim(spine.registry, args.model, args.ref, **asked)
    replaced, before = replaced_by(receipt.event, spine.registry.events()), None
    if replaced is not None:
        earlier = claim_text(replaced, spine.registry.state())
        text = (
            f"this changes an earlier claim: {visible(args.model, 60)} meant {earlier};"
            f" {_moved(requests, why, visible(args.ref, 40))}, and what was stored with the earlier entry stays so"
        )
        receipt = msgspec.structs.replace(receipt, warnings=(*receipt.warnings, text))
        body = replaced.body
        before = {"seq": replaced.seq, "sha": body["sha"], "at": replaced.time, "actor": replaced.actor,
                  "reason": body["reason"]}  # fmt: skip
    out = Out.of(args)
    code = show_receipt(out, receipt, replaced=before, requests=requests)
    if not out.json and replaced is None:
        out.line(f"    {_moved(requests, why, 'it')}")
    return code


def _moved(requests: int | None, why: str, entry: str) -> str:
    """What the claim changes, as a sentence."""
    if requests == 1:
        return f"1 stored request without an entry of its own now counts for {entry}"
    number = "stored requests" if requests is None else counted(requests, "stored request")
    unknown = f" (they could not be counted: {why})" if why else ""
    return f"{number} without an entry of their own now count for {entry}{unknown}"


def _requests(spine: Spine, model: str) -> tuple[int | None, str]:
    """How many requests the claim is about; None and why where the traces cannot be read."""
    from modelspine.recording.claimed_requests import unattributed_requests

    try:
        with working("counting requests") as progress:
            return unattributed_requests(spine.traces, model, lambda seen: progress.step("", seen, 0)), ""
    except SpineError as error:
        return None, error.message
