"""`inkpost clients`: who may call the API."""

import datetime as dt
import json
from pathlib import Path

import click
from pydantic import SecretStr
from rich.console import Console
from rich.table import Column, Table

from cli.database import transaction
from cli.failure import CommandFailed
from cli.local.folder import DataFolder
from core.clients import create_client, create_key, list_clients, revoke_key
from core.settings import Settings, load_settings
from core.words import Scope

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data folder of a running `inkpost up`; without it, the database of DATABASE_URL.",
)


@click.group()
def clients() -> None:
    """Make, list and revoke API keys.

    \b
    Examples:
      inkpost clients create billing --data inkpost-data
      inkpost clients list
      inkpost clients revoke 0f3a9c1d2b4e5f60
    """


@clients.command()
@click.argument("name")
@data_option
@click.option("--label", default="", help="A note that tells this key from the client's others.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="Default: all of them.",
)
@click.option("--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Default: it does not expire.")
@click.option("--json", "as_json", is_flag=True, help='Print {"client", "api_key"}.')
def create(
    *, name: str, data: Path | None, label: str, scopes: tuple[str, ...], expires_in_days: float | None, as_json: bool
) -> None:
    """Make a key for the client NAME, who is made too if new. The key is shown this once.

    Several keys of one client see the same jobs; that is how a key is replaced without a pause.
    """
    expires_at = None
    if expires_in_days is not None:
        expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=expires_in_days)
    with transaction(_settings(data)) as session:
        client = create_client(session, name)
        granted = [Scope(scope) for scope in scopes] or list(Scope)
        key = create_key(session, client.id, label=label, scopes=granted, expires_at=expires_at)
    click.echo(json.dumps({"client": name, "api_key": key}) if as_json else key)


@clients.command(name="list")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def list_(data: Path | None, as_json: bool) -> None:
    """List every client and its keys; the keys themselves are not stored."""
    with transaction(_settings(data)) as session:
        rows = [
            {
                "client": client.name,
                "key_id": key.id if key else None,
                "label": key.label if key else None,
                "scopes": list(key.scopes) if key else [],
                "created_at": _iso(key.created_at if key else client.created_at),
                "expires_at": _iso(key.expires_at if key else None),
                "revoked_at": _iso(key.revoked_at if key else None),
            }
            for client, key in list_clients(session)
        ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    key_id = Column("key id", no_wrap=True, min_width=16)  # whole in any terminal: it is what `revoke` wants
    table = Table("client", key_id, "label", "scopes", "created", "expires", "revoked")
    for row in rows:
        table.add_row(*(" ".join(cell) if isinstance(cell, list) else cell or "" for cell in row.values()))
    Console().print(table)


@clients.command()
@click.argument("key_id")
@data_option
def revoke(key_id: str, data: Path | None) -> None:
    """Revoke the key KEY_ID; `inkpost clients list` shows the ids. It stops working within seconds."""
    with transaction(_settings(data)) as session:
        revoke_key(session, key_id)
    click.echo(f"Revoked {key_id}.")


def _settings(data: Path | None) -> Settings:
    settings = load_settings()
    if data is None:
        return settings
    running = DataFolder(data).running()
    if running is None:
        raise CommandFailed(f"No `inkpost up` is running on {data}.")
    return settings.model_copy(update={"database_url": SecretStr(running.database_url)})


def _iso(at: dt.datetime | None) -> str | None:
    return at.astimezone(dt.UTC).isoformat(timespec="seconds") if at else None
