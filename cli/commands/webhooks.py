"""`inkpost webhooks`: try a receiver's side of webhooks."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from cli.failure import CommandFailed
from core.webhooks.signing import BadSecret, BadSignature, new_secret, parse_secret, secret_text, verify

MAX_BODY_BYTES = 1024 * 1024
SECRET_VARIABLE = "INKPOST_WEBHOOK_SECRET"  # noqa: S105 - its name

secret_option = click.option(
    "--secret",
    envvar=SECRET_VARIABLE,
    show_envvar=True,
    help="The endpoint's secret, whsec_...; better in the environment than in your shell's history.",
)


@click.group()
def webhooks() -> None:
    """Receive and verify webhooks on this machine.

    \b
    Examples:
      inkpost webhooks listen
      inkpost webhooks verify --id evt_... --timestamp 1767323045 --signature v1,... body.json
    """


@webhooks.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8787, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port.")
@click.option("--status", default=200, show_default=True, type=click.IntRange(200, 599), help="What to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line for each delivery.")
@secret_option
def listen(*, host: str, port: int, status: int, as_json: bool, secret: str | None) -> None:
    """Receive deliveries, verify each and print it.

    Without a secret a new one is made and shown, to register the endpoint with: {"url": ..., "secret": ...}. The
    service must be allowed to reach this machine; for `inkpost up` beside it:

    \b
      export INKPOST_WEBHOOKS__ALLOW_HTTP=true
      export INKPOST_WEBHOOKS__ALLOWED_NETWORKS='["127.0.0.0/8"]' INKPOST_WEBHOOKS__ALLOWED_PORTS='[8787]'
    """
    key = _parsed(secret) if secret else new_secret()
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise CommandFailed(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    server.key, server.status, server.as_json = key, status, as_json
    bound = server.server_address[1]
    click.echo(f"Listening on http://{host}:{bound}/ and answering {status}; Ctrl-C ends it.", err=True)
    if not secret:
        click.echo(f"Register with this secret: {secret_text(key)}", err=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    finally:
        server.server_close()


@webhooks.command(name="verify")
@click.option("--id", "event_id", required=True, help="The header webhook-id.")
@click.option("--timestamp", required=True, help="The header webhook-timestamp.")
@click.option("--signature", required=True, help="The header webhook-signature.")
@click.option("--any-age", is_flag=True, help="Do not ask that the timestamp is within five minutes of now.")
@click.argument("body", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@secret_option
def verify_command(
    *, event_id: str, timestamp: str, signature: str, any_age: bool, body: Path, secret: str | None
) -> None:
    """Check the signature of a delivery that was kept: BODY is a file with its exact bytes, or - for standard input.

    Exit status 1 when it is not to be trusted.
    """
    if not secret:
        raise click.UsageError(f"Give the secret as --secret or in {SECRET_VARIABLE}.")
    content = sys.stdin.buffer.read() if str(body) == "-" else body.read_bytes()
    headers = {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    now = float(timestamp) if any_age and timestamp.isdigit() else time.time()
    try:
        verify(_parsed(secret), headers, content, now=now)
    except BadSignature as error:
        raise CommandFailed(f"Not to be trusted. {error}") from error
    click.echo("The signature is right.")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    key: bytes
    status: int
    as_json: bool


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30

    def do_POST(self) -> None:
        """Verify, print and answer."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.send_error(413)
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            verify(self.server.key, headers, body, now=time.time())
            fault = None
        except BadSignature as error:
            fault = str(error)
        self._print(headers.get("webhook-id"), body, fault)
        self.send_response(400 if fault else self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Say to a browser what this is."""
        self.send_error(405, explain="Inkpost's webhooks are POSTed here.")

    def _print(self, event_id: str | None, body: bytes, fault: str | None) -> None:
        try:
            shown = json.loads(body)
        except ValueError:
            shown = None
        if self.server.as_json:
            line = json.dumps({"webhook_id": event_id, "is_verified": fault is None, "fault": fault, "body": shown})
        else:
            verdict = f"refused: {fault}" if fault else "verified"
            line = f"{event_id or '(no webhook-id)'} {verdict}"
            if shown is not None:
                line += f"\n{json.dumps(shown, indent=2, ensure_ascii=False)}"
        sys.stdout.write(line + os.linesep)
        sys.stdout.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Print nothing of its own."""


def _parsed(secret: str) -> bytes:
    try:
        return parse_secret(secret)
    except BadSecret as error:
        raise CommandFailed(str(error)) from error
