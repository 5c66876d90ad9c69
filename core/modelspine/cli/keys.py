"""``spine keys``: the keys that sign verdicts, and those that sign tester tokens."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.errors import Exit
from modelspine.spine import Spine


def command(verbs: Verbs) -> None:
    """Add ``keys`` and ``keys new``."""
    nested = verbs.add("keys", "manage the keys that sign verdicts and tester tokens").add_verbs()
    new = nested.add(
        "new", "create a signing key and add its public half to the trust file", run_new,
        example="spine keys new --name ci-2026",
    )  # fmt: skip
    new.add_argument("--name", default="ci", metavar="NAME", help="the name of the key in the trust file (default: ci)")
    new.add_argument(
        "--testers", action="store_true", help="a key for `spine route tester`: add it to the testers file instead"
    )
    new.add_argument("--out", type=Path, metavar="F", help="file for the private half (default: .spine/keys/ID.pem)")


def run_new(args: argparse.Namespace, spine: Spine) -> int:
    """Create a signing key."""
    from modelspine.attestation.trust import TESTERS, TRUST, make_key

    kind = TESTERS if args.testers else TRUST
    key, file = make_key(spine.settings, args.name, args.out, kind=kind)
    listed = getattr(spine.settings, kind)
    out = Out.of(args)
    if out.json:
        out.object({"id": key.id, "private": str(file), "trust": str(listed)})
        return Exit.OK
    out.line(f"{key.id}  {args.name}")
    out.line(f"   private  {file}  (whoever can read this file can sign; keep it out of git)")
    out.line(f"   public   added to {listed}; review and commit that file")
    return Exit.OK
