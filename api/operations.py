"""Operations: what a view promises, written where the view is, and used to check calls and to generate OpenAPI.

A view takes a `Call` and the ids in its path. By the time it runs, the caller is known, holds the scope, and the query
parameters have been checked.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flask import Flask, Response, request
from pydantic import BaseModel

from api.credentials import identify
from api.faults import validate_query
from api.services import Services, services
from core.clients import Principal
from core.errors import InkpostError
from core.words import Scope


class NoQuery(BaseModel):
    """No query parameters; any is refused."""

    model_config = {"extra": "forbid"}


Q = TypeVar("Q", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[Q]):
    """One request that may be answered."""

    services: Services
    query: Q
    principal: Principal | None

    @property
    def caller(self) -> Principal:
        """Who calls; operations without a scope have no caller."""
        if self.principal is None:
            raise LookupError("this operation asks for no key")
        return self.principal


@dataclass(frozen=True, slots=True)
class Content:
    """A body that is sent or accepted: one media type, its schema or what a person should know."""

    media_type: str
    schema: type[BaseModel] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer; `also` are the other media types that it may have."""

    description: str
    content: Content | None = None
    headers: dict[str, str] = field(default_factory=dict)
    also: tuple[Content, ...] = ()

    @property
    def contents(self) -> tuple[Content, ...]:
        """Everything that its body may be."""
        return (() if self.content is None else (self.content,)) + self.also


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path. `errors` are those beyond what every operation may answer."""

    method: str
    path: str
    tag: str
    summary: str
    description: str
    name: str
    scope: Scope | None
    query: type[BaseModel]
    headers: dict[str, str]
    bodies: tuple[Content, ...]
    answers: dict[int, Answer]
    errors: tuple[type[InkpostError], ...]
    view: Callable[..., Response]

    def answer(self, **ids: str) -> Response:
        """Answer the current request."""
        own = services()
        principal = None
        if self.scope is not None and not self._is_open(own):
            principal = identify(own, request.headers.get("Authorization"), self.scope)
        query = validate_query(self.query, request.args)
        return self.view(Call(own, query, principal), **ids)

    def _is_open(self, own: Services) -> bool:
        return self.path == "/metrics" and own.settings.api.open_metrics


_REGISTERED = "inkpost-operations"
View = TypeVar("View", bound=Callable[..., Response])


class Operations:
    """The operations of one module."""

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._found: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._found)

    def add(
        self,
        method: str,
        path: str,
        *,
        summary: str,
        scope: Scope | None,
        answers: dict[int, Answer],
        query: type[BaseModel] = NoQuery,
        headers: dict[str, str] | None = None,
        bodies: tuple[Content, ...] = (),
        errors: tuple[type[InkpostError], ...] = (),
    ) -> Callable[[View], View]:
        """Add the decorated view. Its docstring is the operation's description; its name is the operation's id."""

        def decorate(view: View) -> View:
            self._found.append(
                Operation(
                    method=method,
                    path=path,
                    tag=self._tag,
                    summary=summary,
                    description=" ".join((view.__doc__ or "").split()),
                    name=view.__name__,
                    scope=scope,
                    query=query,
                    headers=headers or {},
                    bodies=bodies,
                    answers=answers,
                    errors=errors,
                    view=view,
                )
            )
            return view

        return decorate


def register(app: Flask, operations: Iterable[Operation]) -> None:
    """Route requests to operations. HEAD comes with each GET; OPTIONS is not offered."""
    app.extensions[_REGISTERED] = tuple(operations)
    for operation in described_operations(app):
        app.add_url_rule(
            operation.path,
            endpoint=operation.name,
            view_func=operation.answer,
            methods=[operation.method],
            provide_automatic_options=False,
        )


def described_operations(app: Flask) -> tuple[Operation, ...]:
    """Return the operations of an application."""
    found: tuple[Operation, ...] = app.extensions[_REGISTERED]
    return found
