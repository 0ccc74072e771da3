"""The page to read: the OpenAPI document as HTML, without scripts or external parts."""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from api.faults import FAULTS
from api.problems import STATUSES
from core.errors import DocumentError, InkpostError, LineError, RecognitionError

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}
h1,h2,h3{line-height:1.2}h3{margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}
code,pre{font:14px/1.4 ui-monospace,monospace;background:#f4f4f2;border-radius:3px;padding:.1em .3em}
table{border-collapse:collapse;width:100%;margin:.5rem 0}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;
border-bottom:1px solid #e5e5e5}th{font-weight:600}.method{color:#06c;font-weight:700}.quiet{color:#666}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}code,pre{background:#2a2a2a}
h3,td,th{border-color:#444}.quiet{color:#999}.method{color:#6af}}
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CODE = re.compile(r"`([^`]+)`")


def _meanings() -> dict[str, tuple[list[str], str]]:
    """Return every code that a client can meet: where, and what it means."""
    found: dict[str, tuple[list[str], str]] = {}

    def add(code: str, place: str, meaning: str) -> None:
        places, _ = found.setdefault(code, ([], meaning))
        if place not in places:
            places.append(place)

    for error, status in STATUSES.items():
        add(error.code, str(int(status)), error.title)
    for code, meaning in FAULTS.items():
        add(code, "422", meaning)
    for error in _leaves(LineError, RecognitionError):
        add(error.code, "a line", error.title)
    for error in _leaves(DocumentError):
        add(error.code, "a job", error.title)
    add("all_lines_failed", "a job", "No line could be read; each line says why.")
    return dict(sorted(found.items()))


def _leaves(*families: type[InkpostError]) -> Iterable[type[InkpostError]]:
    for family in families:
        yield from _leaves(*family.__subclasses__()) if family.__subclasses__() else (family,)


_MEANINGS = _meanings()


def render_page(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as a page."""
    operations_html = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas_html = "".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    info = document["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} <span class=quiet>{escape(info['version'])}</span></h1>"
        f"<p>{_prose(info['description'])}</p><p>For programs: <a href='/openapi.json'>/openapi.json</a></p>"
        f"<h2>Calls</h2>{operations_html}<h2>Shapes</h2>{schemas_html}<h2>Errors</h2>{_errors()}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = operation.get("x-scope")
    key = f"needs a key with <code>{escape(scope)}</code>" if scope else "needs no key"
    bodies = operation.get("requestBody", {}).get("content", {})
    return (
        f"<h3 id='{escape(operation['operationId'])}'><span class=method>{method.upper()}</span> "
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</h3>"
        f"<p>{_prose(operation['description'])} <span class=quiet>({key})</span></p>"
        + _table(
            ("Parameter", "In", "Meaning"),
            [(parameter["name"], parameter["in"], _prose(parameter.get("description", "")))
             for parameter in operation.get("parameters", [])],
        )
        + _table(
            ("Body", "Shape"),
            [(kind, _prose(body["schema"].get("description", "")) or _shape(body["schema"]))
             for kind, body in bodies.items()],
        )
        + _table(
            ("Answer", "Meaning", "Body"),
            [(status, _prose(answer["description"]), _content(answer))
             for status, answer in operation["responses"].items()],
        )
    )  # fmt: skip


def _content(answer: dict[str, Any]) -> str:
    return " or ".join(
        _shape(content["schema"]) if "$ref" in content["schema"] else escape(media_type)
        for media_type, content in answer.get("content", {}).items()
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = [
        (field + ("" if field in schema.get("required", []) else "?"), _shape(value),
         _prose(value.get("description", "")))
        for field, value in schema.get("properties", {}).items()
    ]  # fmt: skip
    described = f"<p>{_prose(schema.get('description', ''))}</p>"
    return f"<h3 id='{escape(name)}'>{escape(name)}</h3>{described}{_table(('Field', 'Type', 'Meaning'), rows)}"


def _shape(schema: dict[str, Any]) -> str:
    """Say a JSON Schema in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f"<a href='#{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_shape(option) for option in schema["anyOf"])
    if "enum" in schema:
        return escape(" | ".join(map(str, schema["enum"])))
    if "const" in schema:
        return escape(str(schema["const"]))
    if schema.get("type") == "array":
        return f"list of {_shape(schema.get('items', {}))}"
    return escape(str(schema.get("type", "anything")))


def _errors() -> str:
    body = "".join(
        f"<tr id='{escape(code)}'><td><code>{escape(code)}</code><td>{', '.join(places)}<td>{_prose(meaning)}"
        for code, (places, meaning) in _MEANINGS.items()
    )
    return f"<table><tr><th>Code<th>Status<th>Meaning{body}</table>"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table of a plain first column and others in HTML; nothing when it has no row."""
    if not rows:
        return ""
    body = "".join(
        "<tr><td><code>" + escape(row[0]) + "</code>" + "".join(f"<td>{cell}" for cell in row[1:]) for row in rows
    )
    return f"<table><tr>{''.join(f'<th>{escape(name)}' for name in head)}{body}</table>"


def _prose(text: str) -> str:
    """Return text as HTML: what stands in backticks as code, and an error's code as a link to its meaning."""

    def mark(found: re.Match[str]) -> str:
        code = f"<code>{found[1]}</code>"
        return f"<a href='#{found[1]}'>{code}</a>" if found[1] in _MEANINGS else code

    return _CODE.sub(mark, escape(text))
