import subprocess
import sys
import time

import numpy as np
import pytest

from core.errors import DeviceLost, ModelUnusable, OutOfMemory
from core.transcription import Decoding
from worker.line_image import LineImage
from worker.recognizer.base import GivenLines, LineToRead
from worker.recognizer.fake import (
    DEVICE_LOST_MARKER,
    HANG_MARKER,
    OUT_OF_MEMORY_MARKER,
    SEGFAULT_MARKER,
    FakeRecognizer,
    fake_text,
)
from worker.recognizer.loading import load_recognizer


def picture(shade, marker=None):
    pixels = np.full((8, 20, 3), shade, dtype=np.uint8)
    if marker is not None:
        pixels[0, 0] = marker
    return pixels


def line(pixels, **decoding):
    return LineToRead(LineImage(pixels), Decoding(**decoding))


def test_the_text_is_a_function_of_the_pixels_and_their_shape():
    texts = {fake_text(picture(10)), fake_text(picture(11)), fake_text(picture(10)[:4]), fake_text(picture(10))}

    assert len(texts) == 3


def test_lines_come_back_in_their_order():
    pictures = [picture(shade) for shade in range(5)]

    read = FakeRecognizer().recognise([line(pixels) for pixels in pictures])

    assert [transcription.text for transcription in read] == [fake_text(pixels) for pixels in pictures]
    assert all(0 <= transcription.confidence <= 1 for transcription in read)


def test_the_first_of_several_alternatives_is_the_transcription_itself():
    (read,) = FakeRecognizer().recognise([line(picture(1), num_beams=5, n_best=3)])

    assert len(read.alternatives) == 3
    assert (read.alternatives[0].text, read.alternatives[0].confidence) == (read.text, read.confidence)


def test_a_batch_takes_the_time_that_was_set():
    fake = load_recognizer("fake:40,10")
    start = time.monotonic()
    (progress,) = fake.stream(GivenLines([line(picture(1)), line(picture(2))]))

    assert time.monotonic() - start >= 0.06
    assert progress.phases.generate == pytest.approx(0.06)


@pytest.mark.parametrize("marker", [SEGFAULT_MARKER, HANG_MARKER, OUT_OF_MEMORY_MARKER, DEVICE_LOST_MARKER])
def test_markers_mean_nothing_unless_asked_for(marker):
    (read,) = FakeRecognizer().recognise([line(picture(1, marker))])

    assert read.text == fake_text(picture(1, marker))


def test_a_marked_line_exhausts_memory_and_loses_the_device():
    fake = load_recognizer("fake:0,0,misbehave")

    with pytest.raises(OutOfMemory):
        fake.recognise([line(picture(1)), line(picture(2, OUT_OF_MEMORY_MARKER))])
    with pytest.raises(DeviceLost):
        fake.recognise([line(picture(1, DEVICE_LOST_MARKER))])


def test_a_batch_beyond_the_fake_memory_is_halved():
    fake = FakeRecognizer(memory_lines=2, misbehave=True)
    pictures = [picture(shade) for shade in range(7)]

    read = fake.recognise([line(pixels) for pixels in pictures])

    assert [transcription.text for transcription in read] == [fake_text(pixels) for pixels in pictures]


def test_a_marked_line_kills_the_process():
    code = (
        "import numpy as np\n"
        "from core.transcription import Decoding\n"
        "from worker.line_image import LineImage\n"
        "from worker.recognizer.base import LineToRead\n"
        "from worker.recognizer.fake import SEGFAULT_MARKER, FakeRecognizer\n"
        "pixels = np.zeros((2, 2, 3), np.uint8)\n"
        "pixels[0, 0] = SEGFAULT_MARKER\n"
        "FakeRecognizer(misbehave=True).recognise([LineToRead(LineImage(pixels), Decoding())])\n"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -11


def test_the_fake_loads_without_torch():
    code = "import sys; from worker.recognizer.loading import load_recognizer; load_recognizer('fake'); "
    code += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("model", ["fake:quick", "fake:1,x"])
def test_a_fake_that_is_misspelt_is_refused(model):
    with pytest.raises(ModelUnusable):
        load_recognizer(model)
