"""Turn a model's name into a loaded recogniser; torch is imported only when a real model is asked for."""

from core.errors import ModelUnusable
from worker.recognizer.base import Recognizer
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.fake import FakeRecognizer
from worker.recognizer.spinning import limit_spinning

PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")


def load_recognizer(
    model: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Recognizer:
    """Load a model and return its recogniser.

    Args:
        model: the bundled model's name, a folder, a hub id, or `fake[:BATCH_MS[,LINE_MS[,misbehave]]]`.
        device: `auto` (CUDA where there is some), `cpu`, `cuda` or `cuda:N`.
        precision: `auto` (float32 on a CPU, bfloat16 on CUDA), `float32`, `bfloat16`, `float16` or `int8` (CPU only).
        threads: how many CPU threads one forward pass uses; None leaves torch's choice, one per core.

    Raises:
        ModelUnusable: the model cannot be served as asked.
    """
    if model == "fake" or model.startswith("fake:"):
        return _fake(model)
    if precision not in PRECISIONS:
        raise ModelUnusable(f"There is no precision {precision!r}; choose one of {', '.join(PRECISIONS)}.")
    checkpoint = resolve_checkpoint(model)
    limit_spinning()
    from worker.recognizer.trocr import TrocrRecognizer  # noqa: PLC0415  (torch takes seconds to import)

    return TrocrRecognizer(checkpoint, device=device, precision=precision, threads=threads)


def _fake(model: str) -> FakeRecognizer:
    options = model.partition(":")[2]
    numbers = [option for option in options.split(",") if option]
    misbehave = "misbehave" in numbers
    if misbehave:
        numbers.remove("misbehave")
    try:
        batch_ms, line_ms = ([float(number) for number in numbers] + [0.0, 0.0])[:2]
    except ValueError as error:
        raise ModelUnusable(f"{model!r} is not of the form fake:BATCH_MS,LINE_MS,misbehave.") from error
    return FakeRecognizer(batch_seconds=batch_ms / 1000, line_seconds=line_ms / 1000, misbehave=misbehave)
