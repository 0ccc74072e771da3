"""Templates: how a kind of form is cut, described once by its client."""

import uuid
from collections.abc import Sequence

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from core.documents.cutting import CutWish
from core.documents.wishes import stored_pages, stored_regions, wish_of
from core.errors import Fault, InvalidRequest, NotFound, TemplateExists
from core.ids import new_uuid
from core.settings import Limits
from core.tables import Template

_LOCK_CLIENT = text("SELECT FROM clients WHERE id = :client_id FOR NO KEY UPDATE")


def create_template(session: Session, client_id: uuid.UUID, name: str, wish: CutWish, limits: Limits) -> Template:
    """Store a template of a new name.

    Raises:
        TemplateExists: the client has one of this name.
        InvalidRequest: the client has as many as it may keep.
    """
    template, is_new = put_template(session, client_id, name, wish, limits, may_replace=False)
    if not is_new:
        raise TemplateExists
    return template


def put_template(
    session: Session, client_id: uuid.UUID, name: str, wish: CutWish, limits: Limits, *, may_replace: bool = True
) -> tuple[Template, bool]:
    """Store a template, in place of the client's one of this name; return it and whether it is new.

    The client's row is locked, so that two at once cannot both be the last that it may keep.

    Raises:
        InvalidRequest: the client has as many as it may keep.
    """
    session.execute(_LOCK_CLIENT, {"client_id": client_id})
    template = _find(session, client_id, name)
    is_new = template is None
    if template is None:
        kept = select(func.count()).where(Template.client_id == client_id)
        if session.scalars(kept).one() >= limits.max_templates:
            detail = f"A client keeps at most {limits.max_templates} templates."
            raise InvalidRequest([Fault("", detail, "too_many")])
        template = Template(id=new_uuid(), client_id=client_id, name=name)
        session.add(template)
    elif not may_replace:
        return template, False
    template.cut = wish.cut.value
    template.pages = stored_pages(wish.pages)  # type: ignore[assignment]  # JSON of any kind
    template.regions = stored_regions(wish.regions)  # type: ignore[assignment]
    template.updated_at = func.now()
    session.flush()
    session.refresh(template)
    return template, is_new


def find_template(session: Session, client_id: uuid.UUID, name: str) -> Template:
    """Return the client's template.

    Raises:
        NotFound: there is none of this name; another client's looks the same.
    """
    template = _find(session, client_id, name)
    if template is None:
        raise NotFound
    return template


def list_templates(
    session: Session, client_id: uuid.UUID, *, limit: int, after: str | None = None
) -> Sequence[Template]:
    """Return the client's templates by name, starting after the one named `after`."""
    query = select(Template).where(Template.client_id == client_id)
    if after is not None:
        query = query.where(Template.name > after)
    return session.scalars(query.order_by(Template.name).limit(limit)).all()


def delete_template(session: Session, client_id: uuid.UUID, name: str) -> None:
    """Forget a template. Documents that it was used for keep what they took from it.

    Raises:
        NotFound: there is none of this name.
    """
    session.delete(find_template(session, client_id, name))


def wish_of_template(template: Template) -> CutWish:
    """Return the wish that a template holds."""
    return wish_of(template.cut, template.pages, template.regions)


def _find(session: Session, client_id: uuid.UUID, name: str) -> Template | None:
    query = select(Template).where(Template.client_id == client_id, Template.name == name)
    return session.scalars(query).one_or_none()
