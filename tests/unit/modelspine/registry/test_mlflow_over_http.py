"""Models as MLflow names them, over HTTP: what is found, fetched and refused, and what a server cannot do."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundles import write_bundle
from cli_world import check_refused, run, track
from mlflow_server import Server, serving
from modelspine.errors import BadInput, BundleRefused, SpineError, Unavailable, UnknownRef
from modelspine.identity.bundle import read_bundle
from modelspine.registry import mlflow_calls, mlflow_files
from modelspine.registry.mlflow_files import RemotePlace
from modelspine.registry.mlflow_mirror import Mirror, show
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.spine import Spine, open_spine

pytestmark = pytest.mark.slow
Capture = pytest.CaptureFixture[str]
BY_PRODUCTS = ("README.md", "optimizer.pt", ".cache/x")


class Kept:
    """What the server of this file keeps: one bundle under every kind of name."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.bundle = write_bundle(folder / "bundle", 1)
        for name in BY_PRODUCTS:
            (self.bundle / name).parent.mkdir(exist_ok=True)
            (self.bundle / name).write_text("not the model")
        (self.bundle / "1_Pooling").mkdir()
        (self.bundle / "1_Pooling" / "config.json").write_text("{}")
        self.sha = read_bundle(self.bundle).sha
        self.run_id = server.run(self.bundle, "model")
        self.model_id = server.logged_model(self.bundle, self.run_id)
        server.version("tickets", f"runs:/{self.run_id}/model", self.run_id)
        server.version("tickets", f"models:/{self.model_id}", model_id=self.model_id)
        server.client.set_registered_model_alias("tickets", "candidate", "1")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("mlflow")
    with serving(folder) as server:
        yield Kept(server, folder)


@pytest.fixture
def server(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server without faults, as the store of the project under test."""
    monkeypatch.setenv("SPINE_MLFLOW", kept.server.url)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # it answers, on a busy machine too
    kept.server.paths.clear()
    kept.server.injected = 0
    yield kept.server
    kept.server.fault = None


@pytest.fixture
def store(server: Server, tmp_path: Path) -> Artifacts:
    return server.artifacts(tmp_path)


@pytest.fixture
def here(server: Server, project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


@pytest.mark.parametrize(
    ("source", "exact"),
    [
        ("{run}", "runs:/{run}/model"),
        ("runs:/{run}/model", "runs:/{run}/model"),
        ("models:/tickets@candidate", "runs:/{run}/model"),
        ("models:/tickets/1", "runs:/{run}/model"),
        ("models:/tickets/2", "models:/{model}"),
        ("models:/tickets/latest", "models:/{model}"),
        ("models:/{model}", "models:/{model}"),
    ],
)
def test_every_name_gives_the_bundle_and_only_the_files_that_count(
    kept: Kept, server: Server, here: Path, capsys: Capture, source: str, exact: str
) -> None:
    names = {"run": kept.run_id, "model": kept.model_id}
    done = run(capsys, "register", source.format(**names), "--json")
    assert (done.code, done.json["sha"]) == (0, kept.sha)
    assert done.json["by_products"] == [".cache/", "README.md", "optimizer.pt"]
    assert {*server.downloads()} == {"config.json", "eval_report.json", "model.safetensors", "train_manifest.json"}
    entry = run(capsys, "show", kept.sha, "--json").json
    assert (entry["run_id"], entry["source"]) == (kept.run_id, exact.format(**names))
    assert list((here / ".spine" / "tmp").iterdir()) == [], "what was fetched is not kept twice"


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("0" * 32, UnknownRef, "has no run"),
        ("runs:/{run}/encoder", UnknownRef, "no artifact folder named 'encoder'"),
        ("models:/nothing/1", UnknownRef, "has no registered model version models:/nothing/1"),
        ("models:/nothing/latest", UnknownRef, "has no registered model version"),
        ("models:/tickets@nobody", UnknownRef, "has no registered model version"),
        ("models:/m-" + "0" * 32, UnknownRef, "has no logged model"),
    ],
)
def test_what_is_not_there_is_named(kept: Kept, store: Artifacts, source: str, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        store.find(source.format(run=kept.run_id))


def test_a_run_with_several_models_asks_which(server: Server, here: Path, tmp_path: Path, capsys: Capture) -> None:
    run_id = server.run(write_bundle(tmp_path / "a", 1), "encoder")
    server.client.log_artifacts(run_id, str(write_bundle(tmp_path / "b", 2)), "heads/first")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "loss.csv").write_text("1\n")
    server.client.log_artifacts(run_id, str(tmp_path / "metrics"), "metrics")
    done = run(capsys, "register", run_id)
    check_refused(done, 2)
    assert "encoder, heads/first" in done.err
    assert "--path" in done.err
    for path, number in (("encoder", "a"), ("heads/first", "b")):
        done = run(capsys, "register", run_id, "--path", path, "--json")
        assert done.json["sha"] == read_bundle(tmp_path / number).sha
    done = run(capsys, "register", server.run(tmp_path / "metrics"))
    check_refused(done, 2)
    assert "loss.csv" in done.err, "it says what is there instead"


def test_a_bundle_at_the_top_is_found_with_its_folders(server: Server, store: Artifacts, kept: Kept) -> None:
    found = store.find(server.run(kept.bundle))
    with store.copied(found) as copy:
        assert (found.path, read_bundle(copy.folder).sha) == ("", kept.sha)


def test_a_run_that_made_a_logged_model_gives_that(server: Server, store: Artifacts, kept: Kept) -> None:
    from mlflow.entities import LoggedModelOutput

    run_id = server.run(None, status="RUNNING")
    model_id = server.logged_model(kept.bundle, run_id)
    server.client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])
    server.client.set_terminated(run_id)
    found = store.find(run_id)
    assert (str(found.source), found.run and found.run.run_id) == (f"models:/{model_id}", run_id)


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_what_is_not_finished_is_taken_only_when_asked(
    server: Server, here: Path, kept: Kept, capsys: Capture, status: str
) -> None:
    run_id = server.run(kept.bundle, "model", status=status)
    server.version("unfinished", f"runs:/{run_id}/model", run_id)
    for source in (run_id, f"runs:/{run_id}/model", "models:/unfinished/latest"):
        done = run(capsys, "register", source)
        check_refused(done, 1)
        assert status in done.err
    done = run(capsys, "register", run_id, "--unfinished", "--json")
    assert done.code == 0
    assert f"was {status} in MLflow" in done.json["warnings"][0]


def test_a_deleted_run_is_refused_and_lineage_says_so(
    server: Server, here: Path, tmp_path: Path, capsys: Capture
) -> None:
    run_id = server.run(write_bundle(tmp_path / "deleted", 4), "bundle")
    sha = run(capsys, "register", run_id, "--json").json["sha"]
    assert "deleted" not in run(capsys, "lineage", sha, "--verify").out
    server.client.delete_run(run_id)
    for words in ((run_id,), (run_id, "--unfinished")):
        done = run(capsys, "register", *words)
        check_refused(done, 1)
        assert "deleted" in done.err
    done = run(capsys, "lineage", sha, "--verify")
    assert done.code == 3
    assert "? missing  run" in done.out
    assert "deleted in MLflow" in done.out


def test_a_local_store_that_was_moved_gives_runs_and_logged_models(
    project: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    """MLflow records absolute paths, and the project is elsewhere now."""
    home = project / ".spine"
    shutil.copy(mlflow_database, home / "mlflow.db")
    bundle = write_bundle(tmp_path / "bundle", 3)
    sha = read_bundle(bundle).sha
    with open_spine(project) as spine:
        client = spine.artifacts.client()
        experiment = client.create_experiment("local", spine.artifacts.folder.as_uri())
        run_id = client.create_run(experiment).info.run_id
        client.log_artifacts(run_id, str(bundle), "deep/model")
        client.set_terminated(run_id)
        model = client.create_logged_model(experiment, name="m", source_run_id=run_id)
        client.log_model_artifacts(model.model_id, str(bundle))
        client.finalize_logged_model(model.model_id, "READY")
    moved = project.rename(tmp_path / "moved")
    with open_spine(moved) as spine:
        for source, said in ((run_id, f"runs:/{run_id}/deep/model"), (f"models:/{model.model_id}",) * 2):
            found = spine.artifacts.find(source)
            assert str(found.source) == said
            with spine.artifacts.copied(found) as copy:
                assert read_bundle(copy.folder).sha == sha
                assert moved in copy.folder.parents, "it is read where it is"


def test_a_run_that_only_logged_models_has_no_folder_of_its_own(
    project: Path, mlflow_database: Path, tmp_path: Path
) -> None:
    from mlflow.entities import LoggedModelOutput

    shutil.copy(mlflow_database, project / ".spine" / "mlflow.db")
    bundle = write_bundle(tmp_path / "bundle", 3)
    with open_spine(project) as spine:
        client = spine.artifacts.client()
        experiment = client.create_experiment("local", spine.artifacts.folder.as_uri())
        runs = [client.create_run(experiment).info.run_id for _ in range(3)]
        for run_id, models in zip(runs, (0, 1, 2), strict=True):
            for _ in range(models):
                model = client.create_logged_model(experiment, name="m", source_run_id=run_id)
                client.log_model_artifacts(model.model_id, str(bundle))
                client.finalize_logged_model(model.model_id, "READY")
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
            client.set_terminated(run_id)
        found = spine.artifacts.find(runs[1])
        assert (found.source.kind, found.run and found.run.run_id) == ("logged_model", runs[1])
        with spine.artifacts.copied(found) as copy:
            assert read_bundle(copy.folder).sha == read_bundle(bundle).sha
        for run_id, path, said in (
            (runs[0], None, "there is no artifact folder"),
            (runs[1], "model", "there is no artifact folder"),
            (runs[2], None, "made several models"),
        ):
            with pytest.raises(BadInput, match=said):
                spine.artifacts.find(run_id, path=path)


# what a server must not be able to do


def test_a_servers_own_folder_is_never_read_from_this_disk(
    server: Server, here: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder exists on this machine too, and holds a bundle, and is even the project's own artifact folder."""
    own = here / ".spine" / "mlartifacts"
    experiment = server.client.create_experiment("own folder", own.as_uri())
    run_id = server.client.create_run(experiment).info.run_id
    server.client.set_terminated(run_id)
    write_bundle(own / run_id / "artifacts" / "bundle", 5)
    done = run(capsys, "register", run_id)
    check_refused(done, 3)
    assert "a folder of MLflow's own machine" in done.err
    assert run(capsys, "list", "--json").json["entries"] == []
    monkeypatch.setattr("modelspine.registry.mlflow_places.is_server", lambda _url: False)
    assert run(capsys, "register", run_id).code == 0, "without the protection it is read"


@pytest.mark.parametrize("sent", [[b"{}"], (b"x" * 2**16 for _ in range(10_000)), [b""]], ids=["less", "more", "none"])
def test_a_file_of_another_size_is_refused_while_it_comes(
    server: Server, store: Artifacts, kept: Kept, tmp_path: Path, sent: Iterator[bytes]
) -> None:
    stream = iter(sent)
    server.fault = lambda path: stream if path.endswith("/model.safetensors") else None
    with pytest.raises(BundleRefused, match=r"model\.safetensors has .* by MLflow's list"), store.fetched(kept.run_id):
        pytest.fail("it was taken")
    assert server.injected == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_without_the_check_of_sizes_other_bytes_are_taken(
    server: Server, store: Artifacts, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(place: RemotePlace, path: str, file: Path, _size: int) -> None:
        place._repository._download_file(path, str(file))

    server.fault = lambda path: [b"{}"] if path.endswith("/model.safetensors") else None
    monkeypatch.setattr(RemotePlace, "_fetch", trusting)
    with store.fetched(kept.run_id) as folder:
        assert (folder / "model.safetensors").read_bytes() == b"{}"


@pytest.mark.parametrize(
    "listed",
    [
        {"path": "../../evil", "is_dir": False, "file_size": "4"},
        {"path": "model\x1b.bin", "is_dir": False, "file_size": "4"},
        {"path": "config.json", "is_dir": False, "file_size": str(2**40)},
        {"path": "config.json", "is_dir": False, "file_size": "-1"},
        {"path": "config.json", "is_dir": False},
        {"path": "again", "is_dir": True},
    ],
    ids=lambda listed: f"{listed['path']!r} {listed.get('file_size')}",
)
def test_a_list_that_cannot_be_true_writes_nothing(
    server: Server, store: Artifacts, kept: Kept, tmp_path: Path, listed: dict[str, object]
) -> None:
    answer = json.dumps({"files": [listed]}).encode()
    server.fault = lambda path: [answer] if path.endswith("/mlflow-artifacts/artifacts") else None
    with pytest.raises(SpineError), store.fetched(f"runs:/{kept.run_id}/model"):
        pytest.fail("it was taken")
    assert server.injected > 0
    assert not (tmp_path / "evil").exists()
    assert not any(file.is_file() for file in (tmp_path / "tmp").rglob("*"))


@contextmanager
def listening(answer: bytes | None) -> Iterator[str]:
    """A server that sends this and then nothing more, whatever it is asked."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def serve() -> None:
            while not ended.is_set():
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return
                if answer is not None:
                    taken[-1].sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for each in taken:
                each.close()


CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
LATER = b"HTTP/1.1 503 Later\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"
OTHER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nX-Header: ", b"\x00\xff\r\n\r\n", CUT_OFF, LATER, OTHER])
def test_a_server_that_does_not_answer_is_given_up(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, answer: bytes | None
) -> None:
    monkeypatch.setattr(mlflow_calls, "SECONDS", 0.4)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")
    monkeypatch.setattr("modelspine.registry.mlflow_runs.set_limits", lambda: pytest.fail("MLflow was imported"))
    with listening(answer) as url:
        monkeypatch.setenv("SPINE_MLFLOW", url)
        for source in ("0" * 32, "models:/tickets@candidate"):
            check_refused(run(capsys, "register", source), 3)
        check_refused(run(capsys, "info", "--reach"), 3)


def test_a_question_that_is_never_answered_is_given_up(
    server: Server, here: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    ended = threading.Event()

    def never(path: str) -> Iterator[bytes]:
        ended.wait(60)
        yield b"{}"

    monkeypatch.setattr(mlflow_calls, "SECONDS", 0.4)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")
    for slow in ("/runs/get", "/mlflow-artifacts/artifacts"):
        server.fault = lambda path, slow=slow: never(path) if path.endswith(slow) else None  # type: ignore[misc]
        check_refused(run(capsys, "register", kept.run_id), 3)
    ended.set()
    assert server.injected == 2


def test_a_server_that_dies_during_a_download_is_given_up(
    server: Server, store: Artifacts, kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def dying() -> Iterator[bytes]:
        yield b"x"
        ended.wait(60)

    monkeypatch.setattr(mlflow_files, "_SILENCE", 0.4)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")
    server.fault = lambda path: dying() if path.endswith("/model.safetensors") else None
    with pytest.raises(Unavailable, match="MLflow did not answer"), store.fetched(kept.run_id):
        pytest.fail("it was taken")
    ended.set()
    assert server.injected == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_closed_port_is_noticed_before_mlflow_is_imported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}"
    monkeypatch.setattr("modelspine.registry.mlflow_runs.set_limits", lambda: pytest.fail("it went on"))
    with pytest.raises(Unavailable, match="did not answer") as caught:
        Artifacts(url, here, here).run("0" * 32)
    assert "secret" not in caught.value.message


# what is said beside the files


def bare(folder: Path, number: int) -> Path:
    """A bundle whose author wrote no manifest and no report."""
    made = write_bundle(folder, number, report=False)
    (made / "train_manifest.json").unlink()
    return made


def test_a_manifest_is_made_of_options_and_of_the_run(
    server: Server, here: Path, tmp_path: Path, capsys: Capture
) -> None:
    parent = run(capsys, "register", str(write_bundle(tmp_path / "parent", 6)), "--json").json["sha"]
    corpus = track(here, "tickets", [{"text": "a"}, {"text": "b"}])
    report = tmp_path / "report.json"
    shutil.copy(tmp_path / "parent" / "eval_report.json", report)
    run_id = server.run(None, status="RUNNING", **{"mlflow.source.git.commit": "a" * 40, "spine.parent": parent[:8]})
    server.client.log_param(run_id, "seed", "7")
    server.client.log_param(run_id, "rate", "0.1")
    server.client.log_artifacts(run_id, str(bare(tmp_path / "bare", 7)), "bundle")
    server.client.set_terminated(run_id)
    done = run(capsys, "register", run_id, "--corpus", "data/tickets.jsonl", "--eval", str(report), "--json")
    assert (done.code, done.json["warnings"]) == (0, [])
    shown = run(capsys, "show", done.json["sha"], "--json").json
    assert shown["manifest"] == {
        "mlflow_run_id": run_id,
        "seed": "7",
        "hyper_parameters": {"seed": "7", "rate": "0.1"},
        "code": {"git_sha": "a" * 40},
        "corpora": [corpus],
        "parent_sha": parent,
    }
    assert (shown["parent_sha"], shown["accuracy"]) == (parent, 0.95)
    assert shown["corpora"] == [corpus["dvc_hash"]]
    walk = run(capsys, "lineage", done.json["sha"], "--verify", "--json").json
    assert {hop["kind"]: hop["status"] for hop in walk["root"]["children"]}["corpus"] == "verified"


# the mirror


def test_the_mirror_on_a_server_points_at_files(server: Server, here: Path, tmp_path: Path, kept: Kept) -> None:
    with open_spine(here) as spine:
        one = spine.registry.register_pending(kept.run_id).sha
        local = spine.registry.register(write_bundle(tmp_path / "local", 8)).sha
        spine.registry.promote(one, "v1.0.0")
        spine.registry.promote(local, "v2.0.0")
        mirror = Mirror("mirrored", spine.settings.mlflow, spine.settings.cache)
        client = spine.artifacts.client()
        assert show(mirror.job(spine.registry.state()), spine.artifacts) == ["v2.0.0"], "the server has no files of it"
        (version,) = client.search_model_versions("name='mirrored'")
        assert (version.source, version.run_id) == (f"runs:/{kept.run_id}/model", kept.run_id)
        assert mlflow_folder(spine, "models:/mirrored@production") == kept.sha
        spine.routing.single(local, reason="it has no files there")
        show(mirror.job(spine.registry.state()), spine.artifacts)
        assert client.get_registered_model("mirrored").aliases == {}, "no alias for what is not in production"


def mlflow_folder(spine: Spine, source: str) -> str:
    """The SHA of what a source names."""
    with spine.artifacts.fetched(source) as folder:
        return read_bundle(folder).sha


def test_a_request_takes_the_same_sources(
    server: Server, here: Path, kept: Kept, tmp_path: Path, capsys: Capture
) -> None:
    def ask(line: str, sha: str = kept.sha) -> None:
        fields = f'{line}\nsha = "{sha}"\nsemver = "v1.0.0"\nreason = "x"\n'
        (here / "candidate.toml").write_text(fields)

    for number, source in enumerate((kept.run_id, "models:/tickets@candidate", f"models:/{kept.model_id}")):
        ask(f'source = "{source}"')
        done = run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", f"new/{number}")
        assert (done.code, done.out.splitlines()[0]) == (0, f"run_id={source}")
        assert read_bundle(here / "new" / str(number)).sha == kept.sha
    # What the run's tags say is part of the identity, here as in a registration.
    child = server.run(bare(tmp_path / "child", 9), **{"spine.parent": kept.sha})
    sha = run(capsys, "register", child, "--json").json["sha"]
    ask(f'source = "{child}"', sha)
    assert run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "new/child").code == 0
    assert read_bundle(here / "new" / "child").sha == sha
    assert read_bundle(here / "new" / "child").parent_sha == kept.sha
    running = server.run(kept.bundle, "model", status="RUNNING")
    ask(f'source = "{running}"')
    check_refused(run(capsys, "gate", "--candidate", "candidate.toml", "--fetch", "new/running"), 1)
    for line in ('source = "models:/../x"', f'source = "x"\nrun_id = "{kept.run_id}"', 'source = "runs:/x/../../y"'):
        ask(line)
        check_refused(run(capsys, "gate", "--candidate", "candidate.toml"), 2)


def test_an_option_that_means_nothing_for_the_source_is_refused(here: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = str(write_bundle(tmp_path / "given", 9))
    run_id = "0" * 32
    for words in ((folder, "--path", "x"), (folder, "--unfinished"), (run_id, "--follow"), (run_id, "--path", "../x")):
        check_refused(run(capsys, "register", *words), 2)
