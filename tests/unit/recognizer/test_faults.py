import pytest
import torch

from core.errors import DeviceLost, OutOfMemory
from core.transcription import Decoding
from tests.unit.recognizer.checkpoints import SHAPES, save_checkpoint
from tests.unit.recognizer.reference import random_lines
from worker.line_image import LineImage
from worker.recognizer.base import LineToRead
from worker.recognizer.checkpoint import resolve_checkpoint
from worker.recognizer.faults import translate
from worker.recognizer.trocr import TrocrRecognizer


@pytest.fixture
def recognizer(tmp_path):
    folder = save_checkpoint(tmp_path / "base", SHAPES["base"])
    return TrocrRecognizer(resolve_checkpoint(str(folder)), device="cpu", precision="float32", threads=1)


def lines_to_read(count):
    return [LineToRead(LineImage(pixels), Decoding(max_new_tokens=12)) for pixels in random_lines(count)]


def limit_memory(recognizer, rows):
    """Let every step of more than so many rows fail as an exhausted allocator does."""
    step = recognizer.batch._step

    def limited(tokens, lengths):
        if len(tokens) > rows:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")
        return step(tokens, lengths)

    recognizer.batch._step = limited


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_reads_the_same(recognizer, rows):
    lines = lines_to_read(7)
    expected = recognizer.recognise(lines)
    limit_memory(recognizer, rows)

    read = recognizer.recognise(lines)

    assert [line.text for line in read] == [line.text for line in expected]


def test_a_line_that_does_not_fit_even_alone_is_out_of_memory(recognizer):
    limit_memory(recognizer, 0)

    with pytest.raises(OutOfMemory):
        recognizer.recognise(lines_to_read(3))


def test_after_running_out_of_memory_the_recogniser_still_reads(recognizer):
    lines = lines_to_read(3)
    expected = recognizer.recognise(lines)
    whole = recognizer.batch._step
    limit_memory(recognizer, 0)
    with pytest.raises(OutOfMemory):
        recognizer.recognise(lines)
    recognizer.batch._step = whole

    assert recognizer.recognise(lines) == expected


def test_an_error_that_is_neither_memory_nor_device_is_not_disguised(recognizer):
    def broken(tokens, lengths):
        raise RuntimeError("shape mismatch")

    recognizer.batch._step = broken

    with pytest.raises(RuntimeError, match="shape mismatch"):
        recognizer.recognise(lines_to_read(1))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), OutOfMemory),
        (MemoryError(), OutOfMemory),
        (RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
        (RuntimeError("CUDA error: device-side assert triggered"), DeviceLost),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"), DeviceLost),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), type(None)),
    ],
)
def test_torch_errors_become_memory_device_or_nothing(error, expected):
    assert type(translate(error)) is expected
