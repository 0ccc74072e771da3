"""From what a client says of a cut to a checked wish: what the shapes cannot tell."""

from collections.abc import Iterator, Sequence

from api.document_schemas import CutOptions, DocumentOptions, RegionRequest
from core.documents.cutting import CutWish, Region
from core.documents.page_ranges import PageRanges, parse_pages
from core.errors import Fault, InvalidRequest
from core.settings import Limits
from core.words import Cut, RegionUnit


def read_cut(options: CutOptions, limits: Limits, pointer: str) -> CutWish:
    """Return the wish in a template or a document, without a password; `pointer` is to where it stands.

    Raises:
        InvalidRequest: values that do not go together, or outside the limits; a fault for each.
    """
    asked = options.regions or []
    cut = Cut(options.cut) if options.cut is not None else Cut.REGIONS if asked else Cut.AUTO
    faults = [*_faults(cut, asked, limits, pointer)]
    pages = _read_pages(options.pages, faults, pointer)
    if faults:
        raise InvalidRequest(faults)
    regions = tuple(Region(each.name, each.page, _box(each), RegionUnit(each.unit)) for each in asked)
    return CutWish(cut, pages, regions=regions)


def read_beside_template(options: DocumentOptions) -> PageRanges | None:
    """Return the pages that a document asks for in place of its template's.

    Raises:
        InvalidRequest: it says what its template says.
    """
    detail = "The template decides this; leave one of the two out."
    faults = [
        Fault(f"/document/{name}", detail, "invalid_value")
        for name in ("cut", "regions")
        if getattr(options, name) is not None
    ]
    pages = _read_pages(options.pages, faults, "/document")
    if faults:
        raise InvalidRequest(faults)
    return pages


def _read_pages(text: str | None, faults: list[Fault], pointer: str) -> PageRanges | None:
    try:
        return None if text is None else parse_pages(text)
    except ValueError as error:
        faults.append(Fault(f"{pointer}/pages", str(error), "invalid_pages"))
        return None


def _faults(cut: Cut, regions: Sequence[RegionRequest], limits: Limits, pointer: str) -> Iterator[Fault]:
    place = f"{pointer}/regions"
    if cut == Cut.REGIONS and not regions:
        yield Fault(place, "The cut `regions` needs regions.", "required")
    if cut != Cut.REGIONS and regions:
        yield Fault(place, f"The cut `{cut}` takes no regions.", "invalid_value")
    if len(regions) > limits.max_template_regions:
        yield Fault(place, f"At most {limits.max_template_regions} regions.", "too_many")
        return
    seen: set[str] = set()
    for index, region in enumerate(regions):
        if region.name in seen:
            yield Fault(f"{place}/{index}/name", "Another region has the same name.", "duplicate_name")
        seen.add(region.name)
        yield from _box_faults(region, limits, f"{place}/{index}/box")


def _box_faults(region: RegionRequest, limits: Limits, pointer: str) -> Iterator[Fault]:
    x0, y0, x1, y1 = _box(region)
    most = 1.0 if RegionUnit(region.unit) == RegionUnit.FRACTION else limits.max_page_side_points
    if min(region.box) < 0 or max(region.box) > most:
        yield Fault(pointer, f"Numbers from 0 to {most:g}.", "out_of_range")
    elif x0 >= x1 or y0 >= y1:
        yield Fault(pointer, "x0 is less than x1, and y0 less than y1.", "invalid_box")


def _box(region: RegionRequest) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = region.box
    return x0, y0, x1, y1
