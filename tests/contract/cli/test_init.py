"""The first settings of a project, and the service that its entries belong to."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from bundles import write_bundle
from cli_world import check_refused, run
from modelspine.cli import first_settings
from modelspine.cli.first_settings import Choice, ask, ci_of, folder_name, settings_text
from modelspine.errors import BadInput, Refused
from modelspine.registry.entries import Entry
from modelspine.settings import load
from modelspine.spine import Spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tickets"
    folder.mkdir()
    return folder


def test_a_commented_file_is_written_without_workload_and_price(root: Path, capsys: Capture) -> None:
    assert run(capsys, "init", root=root).code == 0
    text = (root / "spine.toml").read_text()
    assert tomllib.loads(text) == {"service": "tickets"}
    settings = load(root, environ={})
    assert (settings.service, settings.origins["service"], settings.rate_per_hour) == ("tickets", "spine.toml", None)
    uncommented = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    (root / "spine.toml").write_text(uncommented)
    assert {"workload", "rate_per_hour", "mlflow", "ledger"} <= set(load(root, environ={}).origins), "each is a setting"


@pytest.mark.parametrize("name", ["spine.toml", "pyproject.toml"])
@pytest.mark.parametrize("words", [[], ["--service", "other"]])
def test_settings_that_exist_are_never_rewritten(root: Path, capsys: Capture, name: str, words: list[str]) -> None:
    text = "" if name == "spine.toml" else '[tool.spine]\nworkload = "echo"\n'
    (root / name).write_text(text)
    done = run(capsys, "init", *words, root=root)
    assert done.code == 0
    assert (root / name).read_text() == text
    assert (root / "spine.toml").exists() == (name == "spine.toml")
    assert (f'{name} was not changed: add service = "other"' in done.out) == bool(words)


def test_what_is_given_is_taken(root: Path, capsys: Capture) -> None:
    done = run(capsys, "init", "--env", "prod", "--service", "mine", "--json", root=root).json
    assert (done["env"], done["service"], done["settings"]) == ("prod", "mine", f"{root}/spine.toml")
    (root / "spine.toml").unlink()
    assert run(capsys, "init", "--json", root=root).json["settings"] is None, "the ledger is not new"
    for wrong in ("", "-x", "a b", "x" * 41, 'a"b', "\x1b[31m"):
        check_refused(run(capsys, "init", "--service", wrong, root=root), 2)


def test_prod_is_recommended_where_there_is_a_ci(root: Path, capsys: Capture) -> None:
    assert "shows a CI" not in run(capsys, "init", root=root).out
    for name in (".github/workflows/test.yml", ".gitlab-ci.yml", "Jenkinsfile", ".circleci/config.yml"):
        other = root.parent / name.replace("/", "-")
        (other / name).parent.mkdir(parents=True)
        (other / name).touch()
        done = run(capsys, "init", root=other)
        assert f"{ci_of(other)} shows a CI, for which a prod ledger is recommended" in done.out
    (root / ".github" / "workflows").mkdir(parents=True)
    assert ci_of(root) is None, "an empty folder is no CI"


@pytest.mark.parametrize(
    ("typed", "env", "service"),
    [
        ("\n\n", "dev", "tickets"),
        ("prod\nmine\n", "prod", "mine"),
        ("prd\nprod\na b\nmine\n", "prod", "mine"),
        ("", "dev", "tickets"),
    ],
)
def test_a_person_is_asked(typed: str, env: str, service: str) -> None:
    said = io.StringIO()
    found = ask(Choice("dev", "tickets"), "Jenkinsfile", env=True, service=True, source=io.StringIO(typed), prompt=said)
    assert found == Choice(env, service)
    assert "prod is recommended" in said.getvalue()
    with pytest.raises(BadInput):
        ask(found, None, env=True, service=False, source=io.StringIO("x\ny\nz\nprod\n"), prompt=said)


def test_only_a_person_is_asked_and_only_where_nothing_is_set(
    root: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_settings, "sys", None)  # whoever asks looks at the terminal
    monkeypatch.setattr("modelspine.cli.init.on_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("prod\nmine\n"))
    done = run(capsys, "init", root=root)
    assert "as prod" in done.out
    assert "for the service mine" in done.out
    for words in ([], ["--env", "prod"]):
        assert run(capsys, "init", *words, root=root).err == "", "nothing is asked a second time"


@pytest.mark.parametrize(("name", "service"), [("my svc", "my-svc"), ("-", ""), ("ünï", "n"), ("x" * 60, "x" * 40)])
def test_the_folders_name_becomes_one_of_a_service(name: str, service: str) -> None:
    assert folder_name(Path("/srv") / name) == service
    assert tomllib.loads(settings_text(Choice("dev", service))) == ({"service": service} if service else {})


# another service's entry


def named(spine: Spine, service: str) -> Spine:
    """The same ledger, seen by a project of that name."""
    return Spine(msgspec.structs.replace(spine.settings, service=service), readonly=False)


def test_an_entry_records_its_service_only_where_there_is_one(spine: Spine, tmp_path: Path, capsys: Capture) -> None:
    one = spine.registry.register(write_bundle(tmp_path / "1", 1))
    assert "service" not in one.event.body
    with named(spine, "tickets") as tickets:
        two = tickets.registry.register(write_bundle(tmp_path / "2", 2))
    assert two.event.body["service"] == "tickets"
    listed = {entry["sha"]: entry for entry in run(capsys, "list", "--json", root=spine.settings.root).json["entries"]}
    assert "service" not in listed[one.sha], "programs that read it see what they always saw"
    assert listed[two.sha]["service"] == "tickets"
    assert "service" in run(capsys, "show", two.sha, root=spine.settings.root).out
    assert isinstance(spine.registry.get(two.sha).entry, Entry)


def test_another_services_entry_is_refused_in_a_route(spine: Spine, tmp_path: Path) -> None:
    with named(spine, "tickets") as tickets, named(spine, "letters") as letters:
        theirs = letters.registry.register(write_bundle(tmp_path / "1", 1)).sha
        own = tickets.registry.register(write_bundle(tmp_path / "2", 2)).sha
        with pytest.raises(Refused, match="registered for the service letters"):
            tickets.registry.promote(theirs, "v1.0.0")  # the first promotion routes
        tickets.registry.promote(own, "v1.0.0")
        tickets.registry.promote(theirs, "v2.0.0")  # a version alone moves no traffic
        for move in (tickets.routing.single, tickets.routing.ab, tickets.routing.canary, tickets.routing.shadow):
            with pytest.raises(Refused, match="registered for the service letters"):
                move(theirs, reason="x")
        with pytest.raises(Refused, match="registered for the service letters"):
            spine.routing.single(theirs, reason="the project has no name, but production has")
        assert tickets.registry.route() is not None
        # The service is renamed: what it was made of before can still come back.
        new = letters.registry.register(write_bundle(tmp_path / "3", 3)).sha
        letters.registry.promote(new, "v3.0.0")
        letters.routing.single(new, reason="renamed")
        letters.routing.rollback(own, reason="it was better")
        assert letters.registry.state().production == own


def test_what_is_refused_is_not_offered(spine: Spine, tmp_path: Path) -> None:
    from modelspine.release.eligibility import denied

    with named(spine, "tickets") as tickets, named(spine, "letters") as letters:
        own = tickets.registry.register(write_bundle(tmp_path / "1", 1)).sha
        tickets.registry.promote(own, "v1.0.0")
        theirs = letters.registry.register(write_bundle(tmp_path / "2", 2)).sha
        tickets.registry.promote(theirs, "v2.0.0")
        state, routing = tickets.registry.state(), {"route", "canary", "shadow"}
        assert routing <= set(denied(state, theirs, "dev", service="tickets"))
        assert not routing & set(denied(state, theirs, "dev", service="letters"))


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_one_ledger_is_one_service(root: Path, tmp_path: Path, capsys: Capture, env: str) -> None:
    run(capsys, "init", "--env", env, "--service", "tickets", root=root)
    first = run(capsys, "register", str(write_bundle(tmp_path / "1", 1)), root=root)
    assert (first.code, "service" in first.err) == (0, False)
    (root / "spine.toml").write_text('service = "letters"\n')
    again = run(capsys, "register", str(tmp_path / "1"), root=root)
    assert again.code == 0, "what the ledger has is not registered again"
    second = run(capsys, "register", str(write_bundle(tmp_path / "2", 2)), root=root)
    said = second.out + second.err
    assert "this ledger is that of the service tickets, and the project is now letters" in said
    assert second.code == (1 if env == "prod" else 0)
    assert len(run(capsys, "list", "--json", root=root).json["entries"]) == (1 if env == "prod" else 2)
    assert "of the service tickets, and this project is letters" in run(capsys, "info", root=root).out
    verified = run(capsys, "verify", root=root).out
    assert ("1 entry is of another service than tickets: letters" in verified) == (env == "dev")


def test_the_list_of_projects(root: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert "lists no project" in run(capsys, "info", "--projects", root=root).out
    assert "added tickets to" in run(capsys, "init", "--remember", root=root).out
    assert "is already in" in run(capsys, "init", "--remember", root=root).out
    other = tmp_path / "other"
    other.mkdir()
    refused = run(capsys, "init", "--remember", "tickets", root=other)
    check_refused(refused, 2)
    assert "has another project 'tickets'" in refused.err
    refused = run(capsys, "init", "--remember", "a b", root=other)
    check_refused(refused, 2)
    assert "cannot name a project" in refused.err
    file = tmp_path / "config" / "spine" / "projects.toml"
    file.write_text(file.read_text() + f'gone = "/nowhere/at/all"\nodd = 7\nempty = "{tmp_path}"\n')
    shown = {each["name"]: each for each in run(capsys, "info", "--projects", "--json", root=root).json["projects"]}
    assert {name: each["state"] for name, each in shown.items()} == {
        "tickets": "ok", "gone": "unusable", "odd": "unusable", "empty": "unusable",
    }  # fmt: skip
    assert shown["tickets"]["env"] == "dev"
    assert all(name in run(capsys, "info", "--projects", root=root).out for name in shown)
    file.write_text("tickets = [")
    refused = run(capsys, "info", "--projects", root=root)
    check_refused(refused, 2)
    assert "could not be read" in refused.err
    assert run(capsys, "info", root=root).code == 0


def test_a_body_with_everything_fits_into_an_event(spine: Spine, tmp_path: Path) -> None:
    """The longest service, source and texts that are recorded, with all kinds of evidence."""
    from modelspine.registry.mlflow_source import MAX_SOURCE

    corpora = [{"path": f"data/{n}", "dvc_hash": f"{n}" * 32 + ".dir"} for n in range(5)]
    folder = write_bundle(tmp_path / "1", 1, parent="a" * 64, corpora=corpora)
    (folder / "corpus_manifest.json").write_text("{}")
    (folder / "model.onnx").write_text("x")
    config = folder / "config.json"
    with named(spine, "s" * 40) as long:
        for number, origin in enumerate((f"models:/{'p' * (MAX_SOURCE - 8)}", f"runs:/{'r' * 64}/{'p' * 120}")):
            config.write_text(json.dumps({"variant": "v" * 60, "number": number}))
            done = long.registry._registrar.folder(folder, run_id="r" * 64, origin=origin)
            assert done.created
            assert done.event.body["service"] == "s" * 40
            assert long.lineage(done.sha).corpus_dvc_hash == "0" * 32 + ".dir"
            assert [touched.sha for touched in long.lineage.impact("4" * 32 + ".dir", None)][-1] == done.sha
