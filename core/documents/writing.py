"""What is written back into a document: values that the tables and the sandbox share."""

from dataclasses import dataclass

from core.documents.cutting import Box


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """A line's text and where it stood. `field` is the fully qualified name of the form field that it was cut from."""

    page: int
    box: Box
    text: str
    field: str | None = None
