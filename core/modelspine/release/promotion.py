"""Signed verdicts on their way: made from a gate run on the committed baseline, and checked for a promotion.

It knows where the trust file, the baseline and the commit are; what a verdict must hold is ``attestation.verdict``'s.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from modelspine.attestation.checks import AGAIN
from modelspine.attestation.dsse import MAX_BYTES
from modelspine.attestation.keys import SigningKey, Trust, new_key, read_key, read_trust, trust_bytes, trusted, with_key
from modelspine.attestation.statement import Counted, Run, Stable, counted, statement
from modelspine.attestation.verdict import VerifiedVerdict, sign, verify
from modelspine.canonical_json import parse_json
from modelspine.errors import BadInput, Damaged, Refused
from modelspine.ledger.state import State
from modelspine.registry.promotion_record import signer
from modelspine.settings import Settings
from modelspine.spine import Spine
from modelspine.text import argument, visible

_ELSEWHERE = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES")
)


_TRUST, _BASELINE = "trust", "eval_baseline"
_NEEDED = {
    _TRUST: ("trust file", "a key counts once a reviewed commit adds it; `spine keys new` makes one"),
    _BASELINE: ("baseline", "only a reviewed, committed baseline counts"),
}
"""What a verdict is checked against, by the setting that names it: what it is called, and what makes it count."""


def in_force(settings: Settings, name: str, *, committed: bool) -> bytes:
    """The trust file's or the baseline's bytes; with ``committed`` those of the commit, where the commit says.

    Raises:
        Refused: there is no such file; or it is not committed, was changed since, or a variable chose it.
    """
    file: Path = getattr(settings, name)
    what, hint = _NEEDED[name]
    if not file.is_file():
        raise Refused(f"there is no {what} at {visible(str(file), 120)}", hint)
    if not committed:
        return file.read_bytes()
    origin = settings.origins.get(name)
    if origin is not None:
        if not origin.endswith(".toml"):
            raise Refused(f"{visible(origin, 60)} names the {what}, and only committed settings may", f"unset {origin}")
        _as_committed(settings.root, settings.root / origin, "a committed file says where it is")
    return _as_committed(settings.root, file, hint)


def _as_committed(root: Path, file: Path, hint: str) -> bytes:
    """A file's bytes, where they are those of the commit that is checked out."""
    name = os.path.relpath(file, root)
    raw = _git(root, "show", f"HEAD:./{name}")
    if not raw:
        raise Refused(f"{visible(name, 80)} is not committed", hint)
    if not file.is_file() or file.read_bytes() != raw:
        raise Refused(
            f"{visible(name, 80)} differs from the committed one",
            f"have the change reviewed and committed, or take it back: git checkout {argument(visible(name, 80))}",
        )
    return raw


def signed(
    spine: Spine, sha: str, report: bytes, baseline: bytes, never_regress: dict[str, bool] | None, key: SigningKey
) -> bytes:
    """The envelope of a verdict on an entry, decided and signed now.

    Args:
        spine: the project.
        sha: the entry, whose bytes were hashed just now.
        report: its report.
        baseline: the committed one, as ``in_force`` gives it.
        never_regress: item id → still right.
        key: whose signature it gets.

    Raises:
        BadInput: nothing can be compared.
    """
    state = spine.registry.state()
    run = Run(id=os.environ.get("GITHUB_RUN_ID", "local"), url=_run_url())
    stated = statement(
        sha=sha,
        candidate=report,
        baseline=baseline,
        stable=stable_of(spine, state),
        never_regress=never_regress,
        code=_git(spine.settings.root, "rev-parse", "--verify", "HEAD").decode().strip(),
        head=spine.ledger.head(),
        run=run,
        issued=datetime.now(UTC),
    )
    return sign(stated, key)


def read_attempt(spine: Spine, file: Path) -> Attempt:
    """The signed verdict of a file, handed in for a promotion; more than an envelope may hold is not read.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            envelope = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(f"there is no verdict at {visible(str(file), 120)}", "make one: `spine gate --sign`") from error
    except OSError as error:
        raise BadInput(
            f"the verdict {visible(str(file), 120)} cannot be read: {error.strerror}", "give the file that was signed"
        ) from error
    return Attempt(spine, envelope)


class Attempt:
    """An envelope handed in for a promotion. Calling it checks it for an entry and the state that is decided on.

    ``claims`` is what it says of itself before anything is checked: its digest, and the key that is to have
    signed it. They are written down where the promotion is refused.
    """

    def __init__(self, spine: Spine, envelope: bytes) -> None:
        self._spine = spine
        self._envelope = envelope
        self.claims = {"verdict": hashlib.sha256(envelope).hexdigest()}
        try:
            claimed = signer(parse_json(envelope, what="the envelope"))
        except BadInput:
            claimed = None
        if claimed is not None:
            self.claims["signer"] = claimed

    def __call__(self, sha: str, state: State) -> VerifiedVerdict:
        """Check it; one that holds is kept as evidence.

        Raises:
            Refused: it does not hold.
        """
        spine = self._spine
        strict = (state.env, spine.settings.env) != ("dev", "dev")
        events = spine.registry.events()
        promoted = [event for event in events if event.kind == "promoted"]
        verified = verify(
            self._envelope,
            read_trust(in_force(spine.settings, _TRUST, committed=strict)),
            sha=sha,
            baseline=in_force(spine.settings, _BASELINE, committed=strict),
            stable=stable_of(spine, state),
            hash_at=lambda seq: events[seq - 1].hash if 0 < seq <= len(events) else None,
            now=datetime.now(UTC),
            used={str(event.body.get("verdict", {}).get("digest")) for event in promoted},
        )
        _measured(spine, verified.predicate.candidate)
        spine.ledger.put(self._envelope)
        return verified


def _measured(spine: Spine, said: Counted) -> None:
    """Check that the counts of a verdict are those of a report that this ledger keeps."""
    try:
        kept = counted(said.entry_sha, spine.ledger.get(said.sha256))
    except (BadInput, Damaged) as error:
        raise Refused(f"the report the verdict counts cannot be read here: {error.message}", AGAIN) from error
    if kept != said:
        raise Refused("the verdict's counts are not those of the report it names", AGAIN)


def stable_of(spine: Spine, state: State) -> Stable | None:
    """The entry in production with its report, None where there is none."""
    known = state.entries.get(state.production or "")
    digest = known.report if known is not None else None
    return Stable(entry_sha=known.sha, report=spine.ledger.get(digest)) if known and digest else None


def trust_of(spine: Spine) -> Trust:
    """The list of keys whose verdicts count, for looking at one: of a prod ledger the committed one, where git is.

    Raises:
        Refused: there is none, it is not the committed one, or it is malformed.
    """
    dev = spine.registry.state().env == "dev"
    committed = not dev and bool(_git(spine.settings.root, "rev-parse", "--verify", "HEAD"))
    return read_trust(in_force(spine.settings, _TRUST, committed=committed))


def make_key(spine: Spine, name: str, out: Path | None) -> tuple[SigningKey, Path]:
    """Make a signing key: the private half in a file only its owner reads, the public one in the trust file."""
    file = spine.settings.trust
    trust = read_trust(file.read_bytes()) if file.is_file() else Trust(keys=())
    key = new_key()
    target = out or spine.settings.home / "keys" / f"{key.id}.pem"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadInput(f"{visible(str(target), 120)} exists already", "give --out a file that does not") from error
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key.pem())
    added = datetime.now(UTC).strftime("%Y-%m-%d")
    file.write_bytes(trust_bytes(with_key(trust, trusted(key, name=name, added=added))))
    return key, target


def key_from(file: Path | None) -> SigningKey:
    """The signing key of a file, or of ``SPINE_SIGNING_KEY``, which holds the PEM text itself.

    Raises:
        BadInput, Refused: there is none, or it is not a key.
    """
    text = os.environ.get("SPINE_SIGNING_KEY", "")
    if file is not None:
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"the key {visible(str(file), 120)} cannot be read", "give --key the .pem file") from error
    if not text:
        raise BadInput("there is no key to sign with", "give --key F, or set SPINE_SIGNING_KEY to the PEM text")
    return read_key(text)


def _run_url() -> str:
    parts = [os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


def _git(root: Path, *words: str) -> bytes:
    # A variable that points git at another repository, or at replaced objects, must not choose what is committed.
    environ = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    try:
        done = subprocess.run(
            ["git", "--no-replace-objects", "-C", str(root), *words],
            capture_output=True, timeout=30, check=False, env=environ,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
