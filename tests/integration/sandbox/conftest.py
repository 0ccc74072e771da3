from collections.abc import Iterator

import pytest

from core.settings import Settings
from worker.sandbox.image_sandbox import ImageSandbox
from worker.sandbox.limits import pdf_limits
from worker.sandbox.pdf_sandbox import PdfCutter
from worker.sandbox.pdf_writing import PdfWriter


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ImageSandbox]:
    """One sandbox for all tests of a module: most of them only need something that decodes."""
    with ImageSandbox() as shared:
        yield shared


@pytest.fixture(scope="module")
def cutter() -> Iterator[PdfCutter]:
    """One cutter for all tests of a module: most of them only need something that cuts."""
    with PdfCutter(pdf_limits(Settings())) as shared:
        yield shared


@pytest.fixture(scope="module")
def writer() -> Iterator[PdfWriter]:
    """One writer for all tests of a module: most of them only need something that writes."""
    with PdfWriter(pdf_limits(Settings())) as shared:
        yield shared
