"""Rows B56, B57 and B59: URLs and secrets that are refused when they are named."""

import pytest

from tests.integration.api.conftest import Caller, Facade, line
from tests.integration.api.test_webhooks import URL, WEBHOOKS, code_of


@pytest.fixture
def facade(shared_facade: Facade) -> Facade:
    return shared_facade


@pytest.mark.parametrize("secret", ["whsec_c2hvcnQ=", "whsec_not base64!", "", "whsec_" + "QUFB" * 30])
def test_a_secret_that_is_none_is_refused(caller: Caller, secret: str) -> None:
    answer = caller("POST", WEBHOOKS, json={"url": URL, "secret": secret})
    assert code_of(answer) == (422, "invalid_secret")
    assert answer.json["errors"][0]["pointer"] == "/secret"
    assert code_of(caller("POST", "/v1/webhook-secret/rotate", json={"secret": secret})) == (422, "invalid_secret")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "https://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/",
        "https://2852039166/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://[::]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://localhost./",
        "https://metadata.google.internal/",
        "https://168.63.129.16/",
        "https://[fec0::1]/",
        "https://224.0.0.1/",
    ],
)
def test_a_url_that_leads_inward_is_refused_with_one_and_the_same_words(caller: Caller, url: str) -> None:
    answer = caller("POST", WEBHOOKS, json={"url": url})
    assert code_of(answer) == (422, "url_not_allowed")
    if url.startswith("https:"):
        assert answer.json["errors"][0]["detail"] == "This URL is not allowed: it must be https at a public address."


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "javascript:alert(1)",
        "https://a@93.184.215.14/",
        "https://93.184.215.14:22/",
        "https://93.184.215.14:6379/",
        "https://93.184.215.14/a\r\nHost: b",
        "https://93.184.215.14/" + "a" * 9_000,
        "https://ex\u0430mple.com/",
        "",
        "https:///x",
    ],
)
def test_a_url_of_another_kind_is_refused(caller: Caller, url: str) -> None:
    for path, body in ((WEBHOOKS, {"url": url}), ("/v1/jobs", {"lines": [line()], "webhook": {"url": url}})):
        assert code_of(caller("POST", path, json=body)) == (422, "url_not_allowed")
