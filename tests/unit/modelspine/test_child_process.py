"""Which variables a process that runs foreign code does not get."""

from __future__ import annotations

import base64

import pytest

from modelspine.child_process import secrets_in, without_secrets

PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
SECRETS = {
    "by its name": {
        "SPINE_LEDGER": "x", "AWS_SECRET_ACCESS_KEY": "x", "MLFLOW_TRACKING_TOKEN": "x", "PGPASSWORD": "x",
        "MYSQL_PWD": "x", "GH_PAT": "x", "SENTRY_DSN": "x", "AZURE_STORAGE_CONNECTION_STRING": "x", "NETRC": "x",
        "SLACK_WEBHOOK": "x", "KUBECONFIG": "x", "CI_JWT": "x", "SIGNING_PEM": "x", "STORE_SAS": "x",
    },
    "by what it holds": {
        "A": PEM, "B": base64.b64encode(PEM.encode()).decode(), "C": "ghp_" + "a" * 36, "D": "AKIA" + "A" * 16,
        "E": "host=db password=x user=y", "F": "postgresql://me:pw@db/x", "G": "xoxb-123456-abc", "H": "sk-" + "a" * 30,
        "I": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x", "J": "AccountName=x;AccountKey=abc=", "K": "hf_" + "a" * 30,
        "L": '{"type": "service_account", "private_key": "-----BEGIN RSA PRIVATE KEY-----"}',
    },
}  # fmt: skip
PLAIN = {
    "PATH": "/usr/bin:/bin", "HOME": "/home/a", "PWD": "/home/a", "OLDPWD": "/", "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false", "HF_HOME": "/models", "CUDA_VISIBLE_DEVICES": "0",
    "HTTPS_PROXY": "http://proxy:1",
    "LS_COLORS": "rs=0:di=01;34", "XDG_SESSION_TYPE": "tty", "SSL_CERT_FILE": "/etc/ssl/cert.pem",
}  # fmt: skip


@pytest.mark.parametrize("how", SECRETS)
def test_a_variable_that_may_hold_a_secret_is_left_out(how: str) -> None:
    assert secrets_in(SECRETS[how] | PLAIN) == list(SECRETS[how])


def test_what_a_model_needs_is_kept() -> None:
    assert without_secrets(PLAIN) == PLAIN
