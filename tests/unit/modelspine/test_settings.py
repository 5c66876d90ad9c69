"""Settings: file, then environment, then flags, and where each came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelspine.errors import BadInput
from modelspine.settings import find_root, load, masked


def test_defaults_stand_under_the_root(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    settings = load(tmp_path / "deep" / "er", environ={})
    assert settings.root == tmp_path
    assert settings.ledger == f"sqlite:///{tmp_path}/.spine/ledger.db"
    assert settings.env == "dev"
    assert settings.origins == {}


def test_each_layer_beats_the_one_before_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text('port = 9000\nhost = "::1"\nworkload = "echo"\nhome = "state"\n')
    settings = load(tmp_path, environ={"SPINE_PORT": "9001", "SPINE_HOST": "h"}, flags={"port": "9002", "host": None})
    assert (settings.port, settings.host, settings.workload) == (9002, "h", "echo")
    assert settings.home == tmp_path / "state"
    assert settings.origins == {"port": "flag", "host": "SPINE_HOST", "workload": "spine.toml", "home": "spine.toml"}


def test_tool_table_of_pyproject(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.spine]\nactor = "ci"\n')
    settings = load(tmp_path, environ={})
    assert (settings.actor, settings.origins["actor"]) == ("ci", "pyproject.toml")


def test_relative_database_urls_are_read_from_the_root(tmp_path: Path) -> None:
    settings = load(tmp_path, environ={"SPINE_ROOT": str(tmp_path), "SPINE_LEDGER": "sqlite:///x/l.db"})
    assert settings.ledger == f"sqlite:///{tmp_path}/x/l.db"


def test_unknown_price_is_none_and_never_zero(tmp_path: Path) -> None:
    assert load(tmp_path, environ={"SPINE_RATE_PER_HOUR": "unknown"}).rate_per_hour is None
    assert load(tmp_path, environ={}).rate_per_hour is None, "nobody knows what this machine costs"


def test_prices_of_tokens_are_a_table_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text(
        '[cost]\ncurrency = "EUR"\nprice_version = "7"\n[cost.tokens."v0.3.0"]\ninput = 0.15\n[cost.tokens."*"]\n'
    )
    prices = load(tmp_path, environ={}).cost
    assert (prices.currency, prices.price_version) == ("EUR", "7")
    assert load(tmp_path, environ={}).price_version == "7"
    assert load(tmp_path, environ={"SPINE_PRICE_VERSION": "8"}).price_version == "8", "the later one wins"
    assert (prices.tokens["v0.3.0"].input, prices.tokens["v0.3.0"].output) == (0.15, None)
    assert prices.tokens["*"].input is None


@pytest.mark.parametrize(
    "row",
    ['tokens."v0.3.0".input = -1', 'tokens."v0.3.0".input = nan', 'tokens."v0.3.0".cached = 1',
     'currency = "euro"', "rate = 1"],
)  # fmt: skip
def test_a_price_table_that_is_wrong_is_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "spine.toml").write_text(f"[cost]\n{row}\n")
    with pytest.raises(BadInput, match="the setting cost is not valid") as refused:
        load(tmp_path, environ={})
    assert refused.value.hint == "correct it in spine.toml"


def test_a_price_of_no_entry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text("[cost.tokens.best]\ninput = 1\n")
    with pytest.raises(BadInput, match=r"tokens\.best names no entry") as refused:
        load(tmp_path, environ={})
    assert "semver" in refused.value.hint


@pytest.mark.parametrize(
    ("toml", "what"),
    [
        ("prot = 1", "did you mean 'port'"),
        ("port = 'many'", "not valid"),
        ("env = 'staging'", "not valid"),
        ("port = [", "cannot be read"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, toml: str, what: str) -> None:
    (tmp_path / "spine.toml").write_text(toml)
    with pytest.raises(BadInput) as caught:
        load(tmp_path, environ={})
    assert what in caught.value.message + caught.value.hint


def test_a_name_of_a_service_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text('service = "house prices"\n')
    with pytest.raises(BadInput, match="up to 40 letters of A-Z and a-z") as refused:
        load(tmp_path, environ={})
    assert "regex" not in refused.value.message


def test_passwords_are_masked() -> None:
    assert masked("postgresql://ada:s3cret@db:5432/x") == "postgresql://ada:•••@db:5432/x"
    assert masked("sqlite:////a/b") == "sqlite:////a/b"
    assert masked("sqlite:////a/b@c/d?mode=ro") == "sqlite:////a/b@c/d?mode=ro"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ghp_t0ken@host/x", "https://•••@host/x"),
        ("postgresql://ada:p@ss/w0rd@db/x", "postgresql://ada:•••@db/x"),
        ("postgresql://:s3cret@db/x", "postgresql://:•••@db/x"),
        ("http://h/?token=s3cret&page=1", "http://h/?token=•••&page=1"),
        ("http://h/x?page=1&X-Amz-Signature=s3cret#a", "http://h/x?page=1&X-Amz-Signature=•••#a"),
        ("postgresql://db/x?user=ada&password=s3cret&sslpassword=s3cret",
         "postgresql://db/x?user=ada&password=•••&sslpassword=•••"),
        ("http://h:5000/x", "http://h:5000/x"),
    ],
)  # fmt: skip
def test_tokens_and_users_without_a_password_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_without_any_marker_the_folder_itself_is_the_root(tmp_path: Path) -> None:
    assert find_root(tmp_path / "nowhere") == tmp_path / "nowhere"


def test_closed_days_may_be_in_a_bucket(tmp_path: Path) -> None:
    def parquet(value: str) -> str:
        return load(tmp_path, environ={"SPINE_ROOT": str(tmp_path), "SPINE_PARQUET": value}).parquet

    assert parquet("days") == str(tmp_path / "days")
    assert parquet("S3://bucket/days/") == "s3://bucket/days"
    assert parquet("file:///srv/with%20space") == "/srv/with space"
    for wrong in (
        "ftp://host/days",
        "s3://key:hunter2@bucket/days",
        "s3://",
        "memory://days",
        "s3://b/days?sig=hunter2",
    ):
        with pytest.raises(BadInput, match="the setting parquet in SPINE_PARQUET") as caught:
            parquet(wrong)
        assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("name", ["home", "artifacts", "cache", "drift_reports", "eval_baseline", "trust", "testers"])
def test_a_path_that_is_a_url_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "spine.toml").write_text(f'{name} = "s3://key:hunter2@bucket/x"\n')
    with pytest.raises(BadInput, match=rf"the setting {name} in spine.toml is a URL, s3://…") as caught:
        load(tmp_path, environ={})
    assert "hunter2" not in caught.value.message + caught.value.hint
    assert list(tmp_path.iterdir()) == [tmp_path / "spine.toml"]


def test_info_does_not_ask_a_bucket_without_being_told_to() -> None:
    from modelspine.cli.info_stores import _objects

    shown = _objects("s3://bucket/days", "day")
    assert (shown["where"], shown["state"]) == ("s3://bucket/days", "not_checked")
