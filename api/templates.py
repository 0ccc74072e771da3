"""/v1/templates: how a kind of form is cut, described once."""

from typing import Any, TypeVar

import structlog
from flask import Response

from api.answers import json_response
from api.cursors import read_cursor, write_cursor
from api.cut_options import read_cut
from api.document_schemas import TEMPLATE_NAME, CutOptions, NewTemplate, TemplatePage, TemplatesQuery, TemplateView
from api.json_bodies import MAX_BYTES, MAX_VALUES, read_json
from api.operations import Answer, Call, Content, NoQuery, Operations
from api.pages import page_size
from api.webhook_secret import BODY_ERRORS
from core import errors
from core.documents.page_ranges import write_pages
from core.documents.templates import create_template, delete_template, find_template, list_templates, put_template
from core.errors import NotFound
from core.faults import validate_body
from core.representation import timestamp
from core.settings import Limits
from core.tables import Template
from core.words import Scope

operations = Operations("Documents")
log = structlog.get_logger(__name__)
_LISTING = "templates"
_BYTES_A_REGION = 2_048  # its name may be 255 characters, each written as an escape
_VALUES_A_REGION = 16
Shape = TypeVar("Shape", bound=CutOptions)
_TEMPLATE = Content("application/json", TemplateView)


@operations.add(
    "POST",
    "/v1/templates",
    summary="Make a template",
    scope=Scope.WRITE,
    bodies=(Content("application/json", NewTemplate),),
    answers={201: Answer("The template.", _TEMPLATE, {"Location": "The template."})},
    errors=(*BODY_ERRORS, errors.TemplateExists),
)
def make_template(call: Call[NoQuery]) -> Response:
    """Describe a kind of form once, to be named as `template` by its documents."""
    limits = call.services.settings.limits
    new = _read(NewTemplate, limits)
    wish = read_cut(new, limits, "")
    with call.services.transaction() as session:
        value = _value(create_template(session, call.caller.client_id, new.name, wish, limits))
    log.info("template.created", template=new.name)
    return _created(value)


@operations.add(
    "GET",
    "/v1/templates",
    summary="List templates",
    scope=Scope.READ,
    query=TemplatesQuery,
    answers={200: Answer("A page of templates, by name.", Content("application/json", TemplatePage))},
)
def list_own_templates(call: Call[TemplatesQuery]) -> Response:
    """List the client's templates. Follow `next_cursor` until it is null."""
    query, client_id = call.query, call.caller.client_id
    limit = page_size(query.limit, call.services.settings.limits)
    after = read_cursor(client_id, _LISTING, query.cursor) if query.cursor is not None else None
    with call.services.statements() as session:
        found = list_templates(session, client_id, limit=limit + 1, after=after)
    page = found[:limit]
    more = write_cursor(client_id, _LISTING, page[-1].name) if len(found) > limit else None
    return json_response({"data": [_value(template) for template in page], "next_cursor": more})


@operations.add(
    "GET",
    "/v1/templates/<template_name>",
    summary="Look at a template",
    scope=Scope.READ,
    answers={200: Answer("The template.", _TEMPLATE)},
    errors=(errors.NotFound,),
)
def show_template(call: Call[NoQuery], template_name: str) -> Response:
    """Return the template."""
    with call.services.statements() as session:
        return json_response(_value(find_template(session, call.caller.client_id, _checked(template_name))))


@operations.add(
    "PUT",
    "/v1/templates/<template_name>",
    summary="Make or replace a template",
    scope=Scope.WRITE,
    bodies=(Content("application/json", CutOptions),),
    answers={
        200: Answer("The template, in place of the one before.", _TEMPLATE),
        201: Answer("The template, which is new.", _TEMPLATE, {"Location": "The template."}),
    },
    errors=BODY_ERRORS,
)
def replace_template(call: Call[NoQuery], template_name: str) -> Response:
    """Store the template under this name. Documents that are submitted already keep what they took from it."""
    limits = call.services.settings.limits
    name = validate_body(NewTemplate, {"name": template_name}).name
    wish = read_cut(_read(CutOptions, limits), limits, "")
    with call.services.transaction() as session:
        template, is_new = put_template(session, call.caller.client_id, name, wish, limits)
        value = _value(template)
    log.info("template.created" if is_new else "template.replaced", template=name)
    return _created(value) if is_new else json_response(value)


@operations.add(
    "DELETE",
    "/v1/templates/<template_name>",
    summary="Delete a template",
    scope=Scope.WRITE,
    answers={204: Answer("The template is gone.")},
    errors=(errors.NotFound,),
)
def remove_template(call: Call[NoQuery], template_name: str) -> Response:
    """Forget the template. Documents that are submitted already keep what they took from it."""
    with call.services.transaction() as session:
        delete_template(session, call.caller.client_id, _checked(template_name))
    log.info("template.deleted", template=template_name)
    return Response(status=204)


def _read(schema: type[Shape], limits: Limits) -> Shape:
    regions = limits.max_template_regions
    return read_json(
        schema, max_bytes=MAX_BYTES + regions * _BYTES_A_REGION, max_values=MAX_VALUES + regions * _VALUES_A_REGION
    )


def _checked(name: str) -> str:
    """Return the name of a template in a path.

    Raises:
        NotFound: no template can have this name.
    """
    if not TEMPLATE_NAME.fullmatch(name):
        raise NotFound
    return name


def _value(template: Template) -> dict[str, Any]:
    return {
        "object": "template",
        "name": template.name,
        "cut": template.cut,
        "pages": None if template.pages is None else write_pages(template.pages),
        "regions": template.regions,
        "created_at": timestamp(template.created_at),
        "updated_at": timestamp(template.updated_at),
    }


def _created(value: dict[str, Any]) -> Response:
    response = json_response(value, 201)
    response.headers["Location"] = f"/v1/templates/{value['name']}"
    return response
