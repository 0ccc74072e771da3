"""How fast documents are cut into lines, in how much memory, and how two workers share a form.

Run: `python -m bench.documents [--runs 5] [--quick]`. Documents of 300 lines are cut in the confined child, as a worker
does it, and beside it by what a user would pick instead, in the same run (bench/documents_peers.py): a ratio below 1
says that Inkpost takes less time. Both encode PNG.

- `ms_per_line`: whole time of a cut over its lines, median over the runs; the child is warm. What a
  user would pick instead runs once
    - `field`: a form of 30 fields a page, inked with vector strokes, as a tablet leaves them
    - `field_scanned`: the same on scans of 300 dpi
    - `image`: scanned lines, 1000 x 130 pixels each, 30 a page
    - `page`: pages of the size of a line
- `child_memory_mib`: the child's largest resident memory after a form of 200 scanned pages
- `shared_form`: a form of 1,000 lines through the whole service with two recognisers (fake, 20 ms a batch and 2 ms a
  line), and how many lines each of them read

The last line of output is one JSON document.
"""

import argparse
import base64
import json
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.documents_forms import field_form, page_document, picture_document
from bench.documents_peers import fields_by_poppler, has_poppler, images_by_pikepdf, pages_by_poppler
from bench.documents_workers import read_form
from core.documents.cutting import CutWish
from core.settings import Settings
from core.words import Cut
from worker.sandbox.limits import pdf_limits
from worker.sandbox.pdf_sandbox import PdfCutter

AIMS = {"ms_per_line": 15, "child_memory_mib": 300}
LINES = 300


def ms_per_line(runs: int, lines: int, cut: Callable[[], int]) -> float:
    """Return the median time of a run in milliseconds over its lines; of several, the first one is for warm-up."""
    seconds = []
    for _ in range(runs):
        started_at = time.perf_counter()
        if cut() != lines:
            raise RuntimeError("not as many lines as the document has")
        seconds.append(time.perf_counter() - started_at)
    return statistics.median(seconds[1:] or seconds) * 1000 / lines


def child_memory_mib(pages: int) -> float:
    """Return the largest resident memory of a fresh child after a form of this many scanned pages."""
    form = field_form(pages, 10, scan_dpi=150)
    with PdfCutter(pdf_limits(Settings())) as cutter:
        cutter.cut(form, CutWish(Cut.FIELD))
        cutter.cut(form, CutWish(Cut.PAGE))
        if cutter.child is None:
            raise RuntimeError("the child is gone")
        status = Path(f"/proc/{cutter.child.id}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise RuntimeError("this system does not tell the memory of a process")
    return int(found[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="times that each document is cut, the first one to warm up")
    parser.add_argument("--quick", action="store_true", help="one run of each, and a tenth of the 1,000 lines")
    options = parser.parse_args()
    runs = 1 if options.quick else options.runs
    poppler = has_poppler()
    documents = {
        "field": (Cut.FIELD, field_form(LINES // 30, 30), fields_by_poppler if poppler else None),
        "field_scanned": (
            Cut.FIELD,
            field_form(LINES // 30, 30, scan_dpi=300),
            fields_by_poppler if poppler else None,
        ),
        "image": (Cut.IMAGE, picture_document(LINES, 30), images_by_pikepdf),
        "page": (Cut.PAGE, page_document(LINES), pages_by_poppler if poppler else None),
    }
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    with PdfCutter(pdf_limits(Settings())) as cutter:
        for name, (cut, pdf, peer) in documents.items():
            print(f"{name} ...", flush=True)
            ours[name] = ms_per_line(runs, LINES, lambda cut=cut, pdf=pdf: len(cutter.cut(pdf, CutWish(cut)).lines))  # type: ignore[misc]
            if peer is not None:
                theirs[name] = ms_per_line(1, LINES, lambda peer=peer, pdf=pdf: peer(pdf))  # type: ignore[misc]
    print("memory ...", flush=True)
    memory = child_memory_mib(20 if options.quick else 200)
    print("two workers ...", flush=True)
    form = base64.b64encode(field_form(5 if options.quick else 50, 20)).decode()
    shared = read_form(form, "bench")
    report = {
        "ms_per_line": {name: round(value, 2) for name, value in ours.items()},
        "peer_ms_per_line": {name: round(value, 2) for name, value in theirs.items()},
        "ratios": {name: round(ours[name] / value, 2) for name, value in theirs.items()},
        "child_memory_mib": round(memory),
        "shared_form": shared,
        "aims": AIMS,
    }
    for name, value in ours.items():
        peer_text = f"   peer {theirs[name]:7.2f}   ratio {value / theirs[name]:.2f}" if name in theirs else ""
        print(f"{name:14} ms a line {value:7.2f}{peer_text}")
    print(f"child's memory {memory:7.0f} MiB")
    print(f"1,000 lines    {shared['post_to_finished_ms']:7} ms, by worker {shared['lines_by_worker']}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
