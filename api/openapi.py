"""The OpenAPI 3.1 document, generated from the operations and from the schemas that validate."""

import re
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.job_schemas import MultipartOptions
from api.operations import Content, Operation
from api.problem_schemas import OpenAIError, Problem
from api.problems import OPENAI_PATHS, STATUSES
from core import errors

Json = dict[str, Any]
_REF = "#/components/schemas/{model}"
_EVERYWHERE = (
    errors.InvalidRequest, errors.DatabaseUnavailable, errors.Overloaded, errors.InternalError, errors.BadRequest,
)  # fmt: skip
_WITH_A_KEY = (
    errors.MissingCredentials, errors.InvalidCredentials, errors.KeyRevoked, errors.InsufficientScope,
)  # fmt: skip
_DESCRIPTION = """Post images of handwritten lines, or forms as PDF, and get their text back: submit a job, then ask for
it until it has finished. Every failure is `application/problem+json` with a stable `code`. Every answer carries
`X-Request-Id`; one that you send is taken over. GET answers HEAD too; no route answers OPTIONS or TRACE."""


def describe(operations: Iterable[Operation]) -> Json:
    """Return the document."""
    listed = list(operations)
    paths: dict[str, Json] = {}
    for operation in listed:
        paths.setdefault(template_of(operation.path), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Inkpost", "version": _version(), "description": _DESCRIPTION, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(listed),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "ink_..."}},
        },
    }


def template_of(path: str) -> str:
    """Return a Flask path as OpenAPI writes it."""
    return re.sub(r"<(\w+)>", r"{\1}", path)


@cache
def _version() -> str:
    return version("inkpost")


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "responses": {
            **{str(status): _answer(answer.description, answer.contents, answer.headers)
               for status, answer in operation.answers.items()},
            **_failures(operation),
        },
        "security": [{"key": []}] if operation.scope is not None else [],
    }  # fmt: skip
    if operation.scope is not None:
        described["x-scope"] = operation.scope.value
    parameters = [*_path_parameters(operation), *_query_parameters(operation), *_header_parameters(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.bodies:
        described["requestBody"] = {
            "required": True,
            "content": {body.media_type: _body(body) for body in operation.bodies},
        }
    return described


def _answer(description: str, contents: Iterable[Content], headers: dict[str, str]) -> Json:
    answer: Json = {"description": description}
    if headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        }
    for content in contents:
        schema = {"$ref": _REF.format(model=content.schema.__name__)} if content.schema else {"type": "string"}
        answer.setdefault("content", {})[content.media_type] = {"schema": schema}
    return answer


def _failures(operation: Operation) -> Json:
    """Describe every status of failure once, with the codes that come with it."""
    possible = {*_EVERYWHERE, *operation.errors, *(_WITH_A_KEY if operation.scope is not None else ())}
    by_status: dict[HTTPStatus, list[str]] = {}
    for error in STATUSES:
        if error in possible:
            by_status.setdefault(STATUSES[error], []).append(error.code)
    is_openai = operation.path.startswith(OPENAI_PATHS)
    content = Content("application/json", OpenAIError) if is_openai else Content("application/problem+json", Problem)
    return {
        str(int(status)): _answer(", ".join(f"`{code}`" for code in dict.fromkeys(codes)), (content,), {})
        for status, codes in sorted(by_status.items())
        if int(status) not in operation.answers
    }


def _body(body: Content) -> Json:
    if body.media_type == "multipart/form-data" and body.schema is MultipartOptions:
        return {
            "schema": {
                "type": "object",
                "description": body.description,
                "additionalProperties": False,
                "oneOf": [{"required": ["image"]}, {"required": ["pdf"]}],
                "properties": {
                    "image": {"type": "array", "items": {"type": "string", "contentMediaType": "image/*"}},
                    "pdf": {"type": "string", "contentMediaType": "application/pdf"},
                    "options": {"$ref": _REF.format(model=MultipartOptions.__name__)},
                },
            },
            "encoding": {"options": {"contentType": "application/json"}},
        }
    if body.schema is None:
        return {"schema": {"description": body.description}}
    return {"schema": {"$ref": _REF.format(model=body.schema.__name__)}}


def _path_parameters(operation: Operation) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _described(name),
            "schema": {"type": "string"},
        }
        for name in re.findall(r"<(\w+)>", operation.path)
    ]


def _described(name: str) -> str:
    noun, _, kind = name.rpartition("_")
    return f"The {kind} of the {noun.replace('_', ' ')}."


def _query_parameters(operation: Operation) -> list[Json]:
    properties: Json = operation.query.model_json_schema().get("properties", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": operation.query.model_fields[name].is_required(),
            "description": schema.pop("description", ""),
            "schema": schema,
        }
        for name, schema in properties.items()
    ]


def _header_parameters(operation: Operation) -> list[Json]:
    return [
        {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in operation.headers.items()
    ]


def _schemas(operations: list[Operation]) -> Json:
    wanted: dict[type[BaseModel], None] = {Problem: None, OpenAIError: None}
    for operation in operations:
        answers = (content for answer in operation.answers.values() for content in answer.contents)
        for content in (*operation.bodies, *answers):
            if content.schema is not None:
                wanted[content.schema] = None
    _, document = models_json_schema([(model, "validation") for model in wanted], ref_template=_REF)
    schemas: Json = document["$defs"]
    return schemas
