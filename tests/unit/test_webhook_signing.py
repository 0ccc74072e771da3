"""Signatures, held to the published vectors of Standard Webhooks and to two verifiers that others wrote."""

import base64
import datetime as dt
import time

import pytest
from openai import OpenAI
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from core.webhooks.signing import (
    BadSecret,
    BadSignature,
    new_secret,
    parse_secret,
    secret_text,
    sign,
    signed_headers,
    verify,
)

# github.com/standard-webhooks/standard-webhooks, libraries/javascript/src/webhook.test.ts: "sign function works"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def test_the_published_vector_is_signed_alike() -> None:
    signature = sign(parse_secret(SECRET), EVENT_ID, 1614265330, BODY)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("length", [24, 32, 64])
def test_the_standard_library_accepts_what_we_sign(length: int) -> None:
    secret = bytes(range(length))
    body = '{"type":"job.succeeded","data":{"name":"Müller"}}'.encode()
    headers = signed_headers([new_secret(), secret], EVENT_ID, int(time.time()), body)
    Webhook(secret_text(secret)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(new_secret())).verify(body, headers)


def test_the_openai_library_accepts_what_we_sign() -> None:
    secret = new_secret()
    headers = signed_headers([secret], EVENT_ID, int(time.time()), BODY)
    client = OpenAI(api_key="none", webhook_secret=secret_text(secret))
    client.webhooks.verify_signature(BODY, headers)


def test_we_accept_what_the_standard_library_signs() -> None:
    now = dt.datetime.now(dt.UTC)
    signature = Webhook(SECRET).sign(EVENT_ID, now, BODY.decode())
    headers = {
        "webhook-id": EVENT_ID,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v2,abc v1,{base64.b64encode(b'x' * 32).decode()} {signature}",
    }
    verify(parse_secret(SECRET), headers, BODY, now=time.time())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": "another"}, "No signature fits"),
        ({"webhook-signature": "v1,dawfeoifkpqwoekfpqoekf"}, "No signature fits"),
        ({"webhook-signature": "v1,"}, "No signature fits"),
        ({"webhook-signature": "é"}, "No signature fits"),
        ({"webhook-timestamp": "hello"}, "not a number"),
        ({"webhook-timestamp": "1614265330"}, "five minutes"),
        ({"webhook-timestamp": None}, "missing"),
        ({"webhook-signature": None}, "missing"),
        ({"webhook-id": None}, "missing"),
    ],
)
def test_what_was_altered_is_refused(change: dict[str, str | None], reason: str) -> None:
    secret = parse_secret(SECRET)
    headers: dict[str, str | None] = {**signed_headers([secret], EVENT_ID, int(time.time()), BODY), **change}
    with pytest.raises(BadSignature, match=reason):
        verify(secret, {name: value for name, value in headers.items() if value is not None}, BODY, now=time.time())


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "whsec_" + "QUJD" * 30, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"],
)
def test_a_secret_too_short_too_long_or_not_base64_is_refused(text: str) -> None:
    with pytest.raises(BadSecret) as raised:
        parse_secret(text)
    assert not text or text not in str(raised.value)


def test_a_new_secret_reads_back() -> None:
    secret = new_secret()
    assert parse_secret(secret_text(secret)) == secret
    assert len(secret) == 32
