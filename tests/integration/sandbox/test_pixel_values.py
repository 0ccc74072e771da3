"""From the bytes of a file to pixel values: what the checkpoint's own processor makes of what Pillow reads."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor

from worker.line_image import LineImage
from worker.recognizer.preprocess import Preprocessor
from worker.sandbox.image_sandbox import ImageSandbox

NOISE = np.random.default_rng(4).integers(0, 256, (61, 493, 4), dtype=np.uint8)
RGB, GREY = Image.fromarray(NOISE[:, :, :3]), Image.fromarray(NOISE[:, :, 0])
WIDE_GREY = NOISE[:, :, 0].astype(np.uint16) * 256 + NOISE[:, :, 1]


def encode(picture: Image.Image, file_format: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, file_format)
    return file.getvalue()


def on_white(picture: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


# file -> the picture that it shows; Pillow's own conversion of 16 bits would cut everything above 255 to white
FILES = {
    "PNG RGB": (encode(RGB, "PNG"), RGB),
    "PNG grey": (encode(GREY, "PNG"), GREY.convert("RGB")),
    "PNG palette": (encode(RGB.quantize(32), "PNG"), RGB.quantize(32).convert("RGB")),
    "PNG alpha": (encode(Image.fromarray(NOISE), "PNG"), on_white(Image.fromarray(NOISE))),
    "PNG 16 bit": (encode(Image.fromarray(WIDE_GREY), "PNG"), GREY.convert("RGB")),
    "JPEG RGB": (encode(RGB, "JPEG"), Image.open(io.BytesIO(encode(RGB, "JPEG"))).convert("RGB")),
    "JPEG grey": (encode(GREY, "JPEG"), Image.open(io.BytesIO(encode(GREY, "JPEG"))).convert("RGB")),
}
SETTINGS = {
    "ViT": {"image_processor_type": "ViTImageProcessor", "size": {"height": 384, "width": 384}},
    "DeiT": {
        "image_processor_type": "DeiTImageProcessor", "size": {"height": 384, "width": 384}, "do_center_crop": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("processor", SETTINGS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_the_pixel_values_of_the_checkpoints_own_processor(
    sandbox: ImageSandbox, tmp_path: Path, name: str, processor: str
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SETTINGS[processor]))
    (tmp_path / "config.json").write_text("{}")
    data, shown = FILES[name]
    theirs = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(images=[shown], return_tensors="np")

    (image,) = sandbox.decode([data])

    assert isinstance(image, LineImage)
    ours = Preprocessor(tmp_path, (384, 384)).pixel_values(image.pixels).numpy()
    np.testing.assert_array_equal(ours, theirs.pixel_values[0])
