"""The shapes of documents and of the templates that say how a form is cut."""

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas import Body, Name, Query
from core.documents.page_ranges import MAX_PAGE
from core.words import Cut, DocumentStatus, RegionUnit

CutWord = Literal["auto", "page", "image", "field", "regions"]
DocumentStatusWord = Literal["queued", "running", "succeeded", "failed", "canceled"]
RegionUnitWord = Literal["points", "fraction"]
# In a path as it is: no slash, no dot in front, nothing that a client would have to escape.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
TEMPLATE_NAME = re.compile(_NAME)
TemplateName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=f"^{_NAME}$")]
assert {word.value for word in Cut} == set(CutWord.__args__)  # type: ignore[attr-defined]  # noqa: S101
assert {word.value for word in DocumentStatus} == set(DocumentStatusWord.__args__)  # type: ignore[attr-defined]  # noqa: S101
assert {word.value for word in RegionUnit} == set(RegionUnitWord.__args__)  # type: ignore[attr-defined]  # noqa: S101


class RegionRequest(Body):
    """A place on a page where a line is written."""

    name: Name = Field(description="The line's `custom_id`; unique among the regions.")
    page: int = Field(ge=1, le=MAX_PAGE, description="The page's number, from 1.")
    box: list[float] = Field(
        min_length=4, max_length=4, description="`[x0, y0, x1, y1]` from the top left corner of the page as it is seen."
    )
    unit: RegionUnitWord = Field("points", description="1/72 inch, or fractions of the page's width and height.")


class CutOptions(Body):
    """How a form is cut into lines."""

    cut: CutWord | None = Field(
        None,
        description="`page`: each page is a line; `image`: each picture; `field`: each form field; `regions`: what "
        "`regions` says; `auto` takes fields if the form has them, else pictures if every page is only pictures, else "
        "pages. Unset is `regions` where there are some, else `auto`.",
    )
    pages: str | None = Field(
        None, max_length=2_000, description="Which pages to look at, such as `1-3,7`; unset is all of them."
    )
    regions: list[RegionRequest] | None = Field(
        None, min_length=1, description="Where the lines are, up to `max_template_regions` of `/v1/limits`."
    )


class DocumentOptions(CutOptions):
    """Everything about a document but its bytes: `document` in the `options` part of a multipart body."""

    password: str | None = Field(None, min_length=1, max_length=255, description="Opens an encrypted document.")
    template: TemplateName | None = Field(
        None,
        description="One of your templates decides how the form is cut; beside it `cut` and `regions` are refused, and "
        "`pages` takes the place of the template's.",
    )


class DocumentRequest(DocumentOptions):
    """A form PDF."""

    pdf: str = Field(description="The PDF in base64, plain or as a data: URI.")


class NewTemplate(CutOptions):
    """A template to be made."""

    name: TemplateName


class TemplatesQuery(Query):
    """Which templates to list."""

    limit: int = Field(50, ge=1, description="Templates on the page, up to `max_page_size` of `/v1/limits`.")
    cursor: str | None = Field(None, max_length=500, description="`next_cursor` of the page before.")


class RegionView(BaseModel):
    """A place on a page where a line is written."""

    name: str
    page: int
    box: list[float]
    unit: RegionUnitWord


class TemplateView(BaseModel):
    """How a kind of form is cut."""

    object: Literal["template"]
    name: str
    cut: CutWord
    pages: str | None
    regions: list[RegionView] | None
    created_at: dt.datetime
    updated_at: dt.datetime


class TemplatePage(BaseModel):
    """A page of templates, by name."""

    data: list[TemplateView]
    next_cursor: str | None


class AskedCutView(BaseModel):
    """How the document was asked to be cut; with a template, as the template had it then."""

    cut: CutWord
    pages: str | None


class DocumentSummary(BaseModel):
    """A document as it stands, without its pages."""

    status: DocumentStatusWord
    asked: AskedCutView
    cut: CutWord | None = Field(description="The cut that was made, never `auto`; null before it is made.")
    template: str | None


class PageView(BaseModel):
    """A page that was looked at; width and height in points as it is seen."""

    number: int
    label: str | None
    width: float
    height: float


class SkippedView(BaseModel):
    """A form field that holds no line, such as a check box."""

    name: str
    page: int
    kind: str


class DocumentView(DocumentSummary):
    """A document as it stands."""

    pages: list[PageView]
    skipped: list[SkippedView]
