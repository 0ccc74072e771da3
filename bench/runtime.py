"""How fast TrOCR-base is here: our runtime beside what a user would run instead, in one run on one machine.

Run: `python -m bench.runtime [--quick] [--rounds 2] [--threads 2] [--install-peers] [--only ROW ...]`.

What the numbers mean: random weights of the exact trocr-base shape (334 M parameters), line pictures of the size of
scans, and forced lengths of 5 to 45 tokens from a fixed table, so every row does the same work. Every row runs alone in
a process of its own and includes preprocessing. All rows are measured in turn, and again in every further round (the
others then at their best batch size); a row keeps its best, since a shared machine is slower at one minute than at
another. `s/line` is the time of all lines by their number, `CPU s/line` the processor time of all threads (a busy
machine distorts it less); `first line` is the time of one line of 20 tokens alone, with everything loaded and warm;
`limit` the share of what this machine could do at best, by its measured peak rates and the model's operation count (see
`bench.runtime_hardware`).

The `service` rows are the whole service around the same model (`bench.runtime_service`): 64 clients that POST a line
each and wait for it; their memory and CPU are the worker's, their ratio the lower one of both precisions.

Our tokens are compared with generate's (`tokens_equal`), and int8's CER with float32's on the starter model's held-out
lines. A busy machine makes every figure worse and no comparison fair: the load average is printed and kept.

The last line of standard output is one JSON document with `rows` and `ratios`.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from bench.runtime_hardware import floor_seconds
from bench.runtime_lines import token_counts
from bench.runtime_peers import PACKAGES, PEERS, is_converted
from bench.runtime_report import OWN_ROWS, SERVICE_ROWS, print_table, ratios, tokens_equal
from worker.recognizer.spinning import SPIN_COUNT, SPIN_VARIABLE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PEERS_PYTHON = ROOT / "bench" / ".venv-peers" / "bin" / "python"
HELD_OUT = ROOT / "tests" / "data" / "starter_lines"

# rows that are compared stand side by side, since a shared machine is faster at one hour than at another
ROWS = (
    *("service-int8", "ours-int8", "openvino-int8", "onnxruntime-int8"),
    *("service-float32", "ours-float32", "generate-batched", "pipeline-cached", "pipeline-as-shipped"),
    *("onnxruntime-float32", "openvino-float32"),
)
BATCHES = (4, 8, 16)


def checkpoint() -> Path:
    """Return the folder of the random checkpoint, made the first time."""
    folder = RESULTS / "trocr-base-random"
    if not (folder / "tokenizer.json").is_file():
        code = (
            "from pathlib import Path; from tests.unit.recognizer.checkpoints import REAL_BASE, save_checkpoint; "
            f"save_checkpoint(Path({str(folder)!r}), REAL_BASE)"
        )
        run([sys.executable, "-c", code])
    return folder


def run(command: list[str], *, timeout_seconds: float = 3600.0, **environment: str) -> str:
    """Run a program from the repository's root and return its standard output."""
    done = subprocess.run(
        command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=timeout_seconds,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **environment},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def measure_row(row: str, folder: Path, lines: int, threads: int, batches: tuple[int, ...]) -> dict[str, Any]:
    """Return a row at its best batch size."""
    python = str(PEERS_PYTHON) if row in PEERS else sys.executable
    # as `load_recognizer` does; the others run as they come
    environment = {SPIN_VARIABLE: SPIN_COUNT} if row in OWN_ROWS else {}
    if row in SERVICE_ROWS:
        command = [python, "-m", "bench.runtime_service", row, str(folder), str(lines // 64), str(threads)]
        found = json.loads(run(command).splitlines()[-1])
        print(f"  {row}: {found['seconds_per_line']:.3f} s/line", flush=True)
        return found
    if row in PEERS and not is_converted(row, folder):
        run([python, "-m", "bench.runtime_rows", row, str(folder), "0", str(threads)])
    best: dict[str, Any] | None = None
    for batch in batches:
        command = [python, "-m", "bench.runtime_rows", row, str(folder), str(lines), str(threads), str(batch)]
        found = json.loads(run(command, **environment).splitlines()[-1])
        print(f"  {row} batch {batch}: {found['seconds_per_line']:.3f} s/line", flush=True)
        best = better(best, found)
    if best is None:
        raise AssertionError("a row without a batch size")
    return best


def better(best: dict[str, Any] | None, found: dict[str, Any]) -> dict[str, Any]:
    """Return the faster of two measurements of a row, with the shorter time of a line alone of both."""
    if best is None:
        return found
    first = min(found["first_line_seconds"], best["first_line_seconds"])
    faster = min(best, found, key=lambda row: row["seconds_per_line"])
    return {**faster, "first_line_seconds": first}


def lines_of(row: str, *, quick: bool) -> int:
    """Return how many lines a row reads; where batches have no end that runs empty, few tell as much as many."""
    if row == "pipeline-as-shipped":  # without its cache generate takes 4 s a line
        return 4 if quick else 8
    if row in SERVICE_ROWS:  # every client reads at least one
        return 64 if quick else 128
    if row in OWN_ROWS:
        return 64
    return 12 if quick else 32


def preprocessing_ms(folder: Path) -> float:
    """Return what the pixel values of a coloured line cost, the least of many; grey ones cost less."""
    import numpy as np  # noqa: PLC0415

    from bench.runtime_hardware import best_seconds  # noqa: PLC0415
    from bench.runtime_lines import pictures  # noqa: PLC0415
    from worker.recognizer.preprocess import Preprocessor  # noqa: PLC0415

    np.empty(16 * 1024**2, np.uint8)  # freed at once: from now on the heap keeps such blocks, as it does in a worker
    preprocessor = Preprocessor(folder, (384, 384))
    coloured = pictures(1)[0].copy()
    coloured[0, 0] = (1, 2, 3)
    return 1000 * best_seconds(lambda: preprocessor.pixel_values(coloured), 20)


def cer_of_starter(precision: str) -> float | None:
    """Return the starter model's CER, in percent, on its held-out lines."""
    from core.transcription import Decoding  # noqa: PLC0415
    from worker.recognizer.checkpoint import BUNDLED_MODELS, STARTER_MODEL  # noqa: PLC0415

    if not (BUNDLED_MODELS / STARTER_MODEL / "model.safetensors").is_file() or not HELD_OUT.is_dir():
        return None
    import jiwer  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from worker.line_image import LineImage  # noqa: PLC0415
    from worker.recognizer.base import LineToRead  # noqa: PLC0415
    from worker.recognizer.loading import load_recognizer  # noqa: PLC0415

    references, lines = [], []
    for table in sorted(HELD_OUT.glob("*.tsv")):
        with table.open(encoding="utf-8", newline="") as file:
            for path, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                references.append(text)
                pixels = np.asarray(Image.open(HELD_OUT / path).convert("RGB"))
                lines.append(LineToRead(LineImage(pixels), Decoding()))
    read = load_recognizer(STARTER_MODEL, device="cpu", precision=precision).recognise(lines)
    return float(100 * jiwer.cer(references, [line.text for line in read]))


def install_peers() -> None:
    """Make the environment of the other runtimes."""
    venv.create(PEERS_PYTHON.parents[1], with_pip=True)
    run([str(PEERS_PYTHON), "-m", "pip", "install", "-q", PACKAGES[0]])
    run([str(PEERS_PYTHON), "-m", "pip", "install", "-q", *PACKAGES])


def main() -> None:
    """Measure every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer lines and batch sizes; under 10 minutes")
    parser.add_argument("--rounds", type=int, help="how often each row is measured; 2, or 1 with --quick")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="measure only these rows")
    parser.add_argument("--install-peers", action="store_true", help="make bench/.venv-peers first")
    options = parser.parse_args()
    if options.install_peers:
        install_peers()
    batches = (8,) if options.quick else BATCHES
    rounds = options.rounds or (1 if options.quick else 2)
    wanted = options.only or [row for row in ROWS if row not in PEERS or PEERS_PYTHON.is_file()]
    folder = checkpoint()
    load = os.getloadavg()[0]
    print(f"{options.threads} threads, load average before {load:.2f}", flush=True)
    hardware = json.loads(run([sys.executable, "-m", "bench.runtime_hardware", str(options.threads)]))
    print(json.dumps(hardware), flush=True)
    print(f"preprocessing: {preprocessing_ms(folder):.2f} ms a line of one core", flush=True)
    rows: dict[str, dict[str, Any]] = {}
    for turn in range(rounds):
        for row in wanted:
            sizes = batches if row == "generate-batched" or row in PEERS else (1,)
            if turn and row not in rows:
                continue
            if turn:
                sizes = (rows[row]["batch"],)
            some = lines_of(row, quick=options.quick)
            try:
                found = measure_row(row, folder, some, options.threads, sizes)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"  {row} could not be measured: {str(error)[-600:]}", flush=True)
                continue
            counts = token_counts(some)
            floor = floor_seconds(hardware, sum(counts) / len(counts), int8=row.endswith("int8"))
            best = better(rows.get(row), found)
            rows[row] = {**best, "limit_share": floor / best["seconds_per_line"]}
    float32, int8 = cer_of_starter("float32"), cer_of_starter("int8")
    delta = None if float32 is None or int8 is None else int8 - float32
    print_table(rows)
    equal = tokens_equal(rows)
    if equal is not None:
        print(f"\n{equal[0]} of {equal[1]} float32 tokens equal generate's")
    if delta is not None:
        print(f"starter model, held-out lines: CER {float32:.2f} % in float32, {int8:.2f} % in int8")
    document = {
        "rows": [{key: value for key, value in row.items() if key != "tokens"} for row in rows.values()],
        "ratios": ratios(rows, hardware, delta),
        "tokens_equal": equal,
        "load_average_before": load,
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()
