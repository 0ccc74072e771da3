from collections.abc import Iterator

import pytest

from worker.sandbox.image_sandbox import ImageSandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[ImageSandbox]:
    """One sandbox for all tests of a module: most of them only need something that decodes."""
    with ImageSandbox() as shared:
        yield shared
