"""Passwords and tokens are kept out of sight, whatever URI they stand in; what is none stays as it is."""

from __future__ import annotations

import string
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.redaction import holds_secret, redact
from benchmark.spec import read_suite
from trackers.location import remedy, without_login
from trackers.names import value_text

PASSWORDS = st.text(string.ascii_letters + string.digits + string.punctuation + "äß€ ", min_size=6, max_size=20)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
SCHEMES = st.sampled_from(["http", "https", "postgresql", "postgresql+psycopg", "mysql", "s3", "ssh"])
FIELDS = st.sampled_from(["password", "token", "access_token", "api_key", "apikey", "X-Amz-Signature", "sig", "client_secret", "passwd"])


@given(SCHEMES, NAMES, PASSWORDS, st.sampled_from(["host", "10.0.0.1:5000", "[::1]:80", "db.example/bench?sslmode=require"]))
def test_a_password_in_a_uri_is_never_shown(scheme, user, password, rest):
    """Percent-encoded, as it must be written, and as people write it anyway."""
    assume(password not in f"{scheme}://{user}:@{rest}")
    encoded = f"{scheme}://{user}:{quote(password, safe='')}@{rest}"
    shown = redact(f"cannot reach {encoded}, tried twice")
    assert quote(password, safe="") not in shown
    assert shown == f"cannot reach {scheme}://{user}:***@{rest}, tried twice"
    assert holds_secret(encoded)
    if " " not in password:
        assert password not in redact(f"{scheme}://{user}:{password}@{rest}")


@given(NAMES, FIELDS, st.text(string.ascii_letters + string.digits + "%-_.~+/", min_size=6))
def test_a_token_in_a_query_is_never_shown(host, field, token):
    assume(token not in f"https://{host}/path?a=1&{field}=&b=2")
    uri = f"https://{host}/path?a=1&{field}={token}&b=2"
    assert redact(uri) == f"https://{host}/path?a=1&{field}=***&b=2"
    assert holds_secret(uri)


@given(st.text(max_size=60))
def test_twice_is_once(text):
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "uri", ["postgresql://me:hunter2@host/x", "https://host/x?token=hunter2&b=2", "https://host/x?b=1&password=hunter2"]
)
def test_what_is_hidden_already_is_no_secret_but_what_only_begins_so_is_one(uri):
    assert not holds_secret(redact(uri))
    assert not holds_secret(f"run --storage '{redact(uri)}' --jobs 2")
    assert holds_secret(uri.replace("hunter2", "***hunter2"))


def test_connection_strings_and_lone_tokens_are_hidden():
    assert redact("host=db user=me password='hunter 2' dbname=x") == "host=db user=me password=*** dbname=x"
    assert redact("https://ghp_abcdef@github.com/x") == "https://***@github.com/x"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5000",
        "https://medium.com/@someone",
        "a:b@c is no URI",
        "https://example.org/?author=Jim&monkey=1",
        "sqlite:////home/me/mlflow.db",
        "postgresql://db.example/bench",
        "accuracy = 0.9",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text
    assert not holds_secret(text)


def test_parameters_of_runs_are_redacted():
    assert value_text("s3://key:hunter2@bucket/x") == "s3://key:***@bucket/x"


def test_a_suite_with_a_password_is_refused_before_it_stands_in_any_result(tmp_path):
    """Where it stands in a file or in `--set`, and the message does not repeat it."""
    file = tmp_path / "x.yaml"
    suite = "suite: x\nquestion: why\ngrid:\n  dataset: {image-folder: {root: 'https://me:hunter2@host/x'}}\n  model: small-cnn\n"
    file.write_text(suite)
    with pytest.raises(UserError, match=r"x\.yaml:4.*holds a password") as raised:
        read_suite(str(file))
    assert "hunter2" not in str(raised.value)
    file.write_text(suite.replace("me:hunter2@", ""))
    with pytest.raises(UserError, match="--set .*holds a password") as raised:
        read_suite(str(file), overrides=["dataset.root=https://host/x?token=hunter2"])
    assert "hunter2" not in str(raised.value)


@given(NAMES, PASSWORDS)
def test_a_login_is_taken_out_of_a_uri_whole(user, password):
    uri = f"https://{user}:{quote(password, safe='')}@host:5000/base"
    assert without_login(uri) == ("https://host:5000/base", (user, password))
    assert urlsplit(without_login("http://host")[0]).username is None


@pytest.mark.parametrize(
    ("trouble", "advice"),
    [
        ("error code 401 != 200. Response body: 'You are not authenticated.'", "MLFLOW_TRACKING_USERNAME"),
        ("RESOURCE: Permission denied", "EDIT"),
        ("403 Invalid Host header - possible DNS rebinding", "--allowed-hosts"),
        ("403 Client Error: Forbidden for url: http://host", "--allowed-hosts"),
        ("http://127.0.0.1:37403 could not be reached: HTTPConnectionPool(port=37403): Max retries exceeded", "serve --check"),
        ("http://127.0.0.1:40141/api/experiments/401: RemoteDisconnected", "serve --check"),
        ("(sqlite3.OperationalError) database or disk is full", "make room"),
        ("Max retries exceeded: Connection refused", "serve --check"),
        ("Read timed out.", "serve --check"),
        ("something new", "skewbench sync"),
    ],
)
def test_each_trouble_has_its_advice(trouble, advice):
    assert advice in remedy(trouble)
