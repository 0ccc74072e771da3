"""`inkpost template`: how a kind of form is cut, described once."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cli.failure import CommandFailed
from cli.formhtr import BadRegionFile, import_regions
from cli.options import service_options
from cli.service_client import ServiceClient

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@click.group()
def template() -> None:
    """Keep templates with a running service: how a kind of form is cut, described once.

    \b
    Examples:
      export INKPOST_API_KEY=$(cat inkpost-data/api-key)
      inkpost template import front.json back.json --name logsheet
      inkpost template list
      inkpost read scan.pdf --template logsheet --format csv
    """


@template.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="The template's name; default: that of the first file. One of this name is replaced.")
@service_options
def import_(*, files: Sequence[Path], name: str | None, url: str, api_key: str) -> None:
    """Make a template of formHTR region files, one FILE a page, in the pages' order.

    Check boxes and barcodes are left out, and named on standard error.
    """
    try:
        found = import_regions([file.read_text(encoding="utf-8") for file in files])
    except (BadRegionFile, UnicodeDecodeError) as error:
        raise CommandFailed(str(error)) from error
    if not found.regions:
        raise CommandFailed("There is no region of handwriting in this.")
    name = name or _NOT_IN_A_NAME.sub("-", files[0].stem).strip("._-") or "template"
    with ServiceClient(url, api_key) as client:
        made = client.put_template(name, {"cut": "regions", "regions": found.regions})
    if found.skipped:
        click.echo(f"Left out, for they hold no line of text: {', '.join(found.skipped)}", err=True)
    click.echo(f"{made.name}: {len(found.regions)} regions on {len(files)} page{'s'[: len(files) > 1]}.")


@template.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@service_options
def list_(*, as_json: bool, url: str, api_key: str) -> None:
    """List the templates, by name."""
    with ServiceClient(url, api_key) as client:
        found = list(client.templates())
    if as_json:
        click.echo(json.dumps([each.model_dump() for each in found], ensure_ascii=False))
        return
    table = Table("name", "cut", "pages", "regions")
    for each in found:
        table.add_row(each.name, each.cut, each.pages or "all", str(len(each.regions or ())))
    Console().print(table)


@template.command()
@click.argument("name")
@service_options
def show(*, name: str, url: str, api_key: str) -> None:
    """Print the template NAME as JSON."""
    with ServiceClient(url, api_key) as client:
        click.echo(json.dumps(client.template(name).model_dump(), ensure_ascii=False, indent=2))


@template.command()
@click.argument("name")
@service_options
def delete(*, name: str, url: str, api_key: str) -> None:
    """Delete the template NAME. Forms that were submitted already keep what they took from it."""
    with ServiceClient(url, api_key) as client:
        client.delete_template(name)
    click.echo(f"Deleted {name}.")
