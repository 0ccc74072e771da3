"""One row of the runtime bench, in a process of its own so that peak memory is its own.

Run by `bench.runtime`: `python -m bench.runtime_rows ROW FOLDER LINES THREADS [BATCH]`. The last line of output is one
JSON document.
"""

import dataclasses
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.runtime_lines import SINGLE_TOKENS, pictures, token_counts

Read = Callable[[list[NDArray[np.uint8]], list[int]], list[list[int]]]


def ours(folder: Path, threads: int, precision: str) -> Read:
    """Our runtime."""
    from core.transcription import Decoding  # noqa: PLC0415
    from worker.line_image import LineImage  # noqa: PLC0415
    from worker.recognizer.base import LineToRead  # noqa: PLC0415
    from worker.recognizer.checkpoint import resolve_checkpoint  # noqa: PLC0415
    from worker.recognizer.trocr import TrocrRecognizer  # noqa: PLC0415

    recognizer = TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision=precision, threads=threads)
    recognizer.warm_up()  # chooses how many lines to have in hand
    never = dataclasses.replace(recognizer.rules, end_tokens=(-1,))
    recognizer.batch._rules = never  # lengths are forced, in every row alike

    def read(lines: list[NDArray[np.uint8]], counts: list[int]) -> list[list[int]]:
        wanted = [
            LineToRead(LineImage(pixels), Decoding(max_new_tokens=count))
            for pixels, count in zip(lines, counts, strict=True)
        ]
        return [list(hypotheses[0].tokens) for hypotheses in recognizer.hypotheses(wanted)]

    return read


def transformers_generate(folder: Path, threads: int, *, batch: int, use_cache: bool) -> Read:
    """Processor, generate and nothing else: what the image-to-text pipeline did before transformers 5 removed it."""
    from transformers import AutoImageProcessor, VisionEncoderDecoderModel  # noqa: PLC0415

    torch.set_num_threads(threads)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = VisionEncoderDecoderModel.from_pretrained(folder).eval()
    return read_by_generate(model, processor, batch=batch, use_cache=use_cache)


class ForcedLengths:
    """A logits processor that ends each line after its number of tokens, and not before."""

    def __init__(self, counts: list[int]) -> None:
        self._counts = torch.tensor(counts)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (lines, vocabulary) that leave only the end token, or everything else."""
        last = input_ids.shape[1] >= self._counts
        scores[:, 2] = float("-inf")
        scores[last] = float("-inf")
        scores[last, 2] = 0.0
        return scores


def read_by_generate(model: Any, processor: Any, *, batch: int, use_cache: bool) -> Read:
    """Return a reader over anything that has transformers' generate."""

    def read(lines: list[NDArray[np.uint8]], counts: list[int]) -> list[list[int]]:
        tokens: list[list[int]] = []
        for start in range(0, len(lines), batch):
            some, lengths = lines[start : start + batch], counts[start : start + batch]
            pixels = processor(images=some, return_tensors="pt").pixel_values
            with torch.inference_mode():
                out = model.generate(
                    pixels, use_cache=use_cache, max_new_tokens=max(lengths), num_beams=1, do_sample=False,
                    logits_processor=[ForcedLengths(lengths)],
                )  # fmt: skip
            tokens += [row[1 : length + 1] for row, length in zip(out.tolist(), lengths, strict=True)]
        return tokens

    return read


def build(row: str, folder: Path, threads: int, batch: int) -> Read:
    """Load what a row is about."""
    if row == "ours-float32":
        return ours(folder, threads, "float32")
    if row == "ours-int8":
        return ours(folder, threads, "int8")
    if row == "pipeline-cached":
        return transformers_generate(folder, threads, batch=1, use_cache=True)
    if row == "pipeline-as-shipped":
        return transformers_generate(folder, threads, batch=1, use_cache=False)
    if row == "generate-batched":
        return transformers_generate(folder, threads, batch=batch, use_cache=True)
    from bench.runtime_peers import build_peer  # noqa: PLC0415

    return build_peer(row, folder, threads, batch)


def resident_mb() -> float:
    """Return what of this process is in memory now."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def main() -> None:
    """Measure one row."""
    row, folder, lines, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    batch = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    start = time.perf_counter()
    read = build(row, folder, threads, batch)
    load_seconds = time.perf_counter() - start
    if not lines:  # only converts, so that a measured process does not
        return
    images, counts = pictures(lines), token_counts(lines)
    read(images[:1], [4])
    read(images[: min(batch, lines)], [3] * min(batch, lines))
    singles = []
    for number in range(4):
        start = time.perf_counter()
        read([images[number % lines]], [SINGLE_TOKENS])
        singles.append(time.perf_counter() - start)
    start, cpu_start = time.perf_counter(), time.process_time()
    tokens = read(images, counts)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    document: dict[str, Any] = {
        "row": row,
        "batch": batch,
        "lines": lines,
        "lines_per_second": lines / seconds,
        "seconds_per_line": seconds / lines,
        "cpu_seconds_per_line": cpu_seconds / lines,
        "first_line_seconds": min(singles),
        "load_seconds": load_seconds,
        "resident_memory_mb": resident_mb(),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "tokens": tokens,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
