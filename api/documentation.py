"""/openapi.json and /docs: the contract for programs and for people, both from the same document."""

from typing import Any

from flask import Response, current_app

from api.answers import json_response
from api.openapi import describe
from api.operations import Answer, Call, Content, NoQuery, Operations, described_operations
from api.reference_page import STYLE_HASH, render_page

operations = Operations("Documentation")
_DOCUMENT = "inkpost-openapi"
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@operations.add(
    "GET",
    "/openapi.json",
    summary="This contract",
    scope=None,
    answers={200: Answer("OpenAPI 3.1.", Content("application/json"))},
)
def openapi_document(call: Call[NoQuery]) -> Response:  # noqa: ARG001 - every view takes its call
    """Return the contract for programs, generated from the schemas that check requests."""
    return json_response(_document())


@operations.add(
    "GET",
    "/docs",
    summary="This contract, to read",
    scope=None,
    answers={200: Answer("A page without scripts or external parts.", Content("text/html"))},
)
def docs(call: Call[NoQuery]) -> Response:  # noqa: ARG001 - every view takes its call
    """Return the contract for people."""
    return Response(
        render_page(_document()), content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY}
    )


def _document() -> dict[str, Any]:
    """Return the document of the running application, made once: it takes 50 ms, and anybody may ask for it."""
    document: dict[str, Any] | None = current_app.extensions.get(_DOCUMENT)
    if document is None:
        document = describe(described_operations(current_app))
        current_app.extensions[_DOCUMENT] = document
    return document
