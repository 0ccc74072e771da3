"""A wish comes back from its row as it was."""

import json

import pytest

from core.documents.cutting import CutWish, Region
from core.documents.wishes import stored_pages, stored_regions, wish_of
from core.words import Cut, RegionUnit


@pytest.mark.parametrize(
    "wish",
    [
        CutWish(),
        CutWish(Cut.FIELD, password="s3cret"),
        CutWish(Cut.PAGE, pages=((3, 3), (1, 2))),
        CutWish(
            Cut.REGIONS,
            pages=((1, 1),),
            regions=(
                Region("family name", 1, (10.0, 20.5, 200.0, 40.0)),
                Region("given name", 1, (0.1, 0.2, 0.9, 0.3), RegionUnit.FRACTION),
            ),
        ),
    ],
)
def test_a_wish_survives_its_storage_as_json(wish: CutWish) -> None:
    pages, regions = (
        json.loads(json.dumps(value)) for value in (stored_pages(wish.pages), stored_regions(wish.regions))
    )

    assert wish_of(wish.cut.value, pages, regions, wish.password) == wish
