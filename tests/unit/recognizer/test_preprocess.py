"""Our pixel values are the checkpoint's own image processor's, bit for bit."""

import io
import json
import time

import numpy as np
import pytest
from PIL import Image
from transformers import AutoImageProcessor

from worker.recognizer.preprocess import Preprocessor

HALF = [0.5, 0.5, 0.5]
PROCESSORS = {
    "vit": ((384, 384), {"image_processor_type": "ViTImageProcessor", "size": {"height": 384, "width": 384}}),
    "vit as trocr-base ships it": (
        (384, 384),
        {
            "do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
            "image_mean": HALF, "image_std": HALF, "resample": 2, "size": 384,
        },
    ),
    "deit without crop": (
        (384, 384),
        {"image_processor_type": "DeiTImageProcessor", "size": {"height": 384, "width": 384}, "do_center_crop": False,
         "resample": 3, "image_mean": HALF, "image_std": HALF},
    ),
    "beit, not square": (
        (48, 768),
        {"image_processor_type": "BeitImageProcessor", "size": {"height": 48, "width": 768}, "resample": 3},
    ),
    "vit without normalising": (
        (64, 96),
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 96}, "do_normalize": False},
    ),
    "vit without rescaling": (
        (64, 96),
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 64, "width": 96}, "do_rescale": False,
         "image_mean": [120.0, 121.0, 122.0], "image_std": [50.0, 51.0, 52.0]},
    ),
    "detr, keeping the shape and padding": (
        (48, 768),
        {"image_processor_type": "DetrImageProcessor", "size": {"max_height": 48, "max_width": 768}, "do_pad": True,
         "pad_size": {"height": 48, "width": 768}, "image_mean": HALF, "image_std": HALF},
    ),
    "detr with its own mean": (
        (48, 768),
        {"image_processor_type": "DetrImageProcessor", "size": {"max_height": 48, "max_width": 768}, "do_pad": True,
         "pad_size": {"height": 48, "width": 768}, "resample": 3},
    ),
}  # fmt: skip


def write_settings(folder, settings):
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text("{}")
    return folder


def by_transformers(folder, pixels):
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor(images=[pixels], input_data_format="channels_last", return_tensors="np").pixel_values[0]


def through_a_file(picture, file_format):
    """Return the RGB pixels of a picture after a trip through a file."""
    file = io.BytesIO()
    picture.save(file, file_format)
    file.seek(0)
    opened = Image.open(file)
    if opened.mode.startswith("I"):  # 16 bits of grey
        opened = Image.fromarray((np.asarray(opened).astype(np.uint32) >> 8).astype(np.uint8))
    return np.asarray(opened.convert("RGB"))


RNG = np.random.default_rng(1)
NOISE = RNG.integers(0, 256, (61, 493, 3), dtype=np.uint8)
PICTURES = {
    "PNG RGB": through_a_file(Image.fromarray(NOISE), "PNG"),
    "JPEG RGB": through_a_file(Image.fromarray(NOISE), "JPEG"),
    "PNG grey": through_a_file(Image.fromarray(NOISE[:, :, 0]), "PNG"),
    "JPEG grey": through_a_file(Image.fromarray(NOISE[:, :, 0]), "JPEG"),
    "PNG palette": through_a_file(Image.fromarray(NOISE).quantize(32), "PNG"),
    "PNG alpha": through_a_file(Image.fromarray(np.dstack([NOISE, NOISE[:, :, 0]]), "RGBA"), "PNG"),
    "PNG 16 bit": through_a_file(Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 257), "PNG"),
    "three rows": np.ascontiguousarray(NOISE[:3]),
    "one column": np.ascontiguousarray(NOISE[:, :1].repeat(2, axis=1)),
    "already the right size": RNG.integers(0, 256, (48, 768, 3), dtype=np.uint8),
}


@pytest.mark.parametrize("name", list(PROCESSORS))
def test_pixel_values_equal_those_of_the_checkpoints_own_processor(tmp_path, name):
    image, settings = PROCESSORS[name]
    folder = write_settings(tmp_path, settings)
    ours = Preprocessor(folder, image)

    assert ours.recipe is not None
    for kind, pixels in PICTURES.items():
        try:
            theirs = by_transformers(folder, pixels)
        except ValueError:  # transformers rounds a side of a very thin picture down to nothing; we stop at one pixel
            continue
        np.testing.assert_array_equal(ours.pixel_values(pixels).numpy(), theirs, err_msg=kind)


def test_a_processor_that_we_do_not_know_runs_as_transformers_wrote_it(tmp_path):
    settings = {
        "image_processor_type": "DeiTImageProcessor", "size": {"height": 72, "width": 72},
        "do_center_crop": True, "crop_size": {"height": 64, "width": 64},
    }  # fmt: skip
    folder = write_settings(tmp_path, settings)
    ours = Preprocessor(folder, (64, 64))

    assert ours.recipe is None
    np.testing.assert_array_equal(ours.pixel_values(NOISE).numpy(), by_transformers(folder, NOISE))


def test_settings_nested_in_a_processor_file_are_found(tmp_path):
    image, settings = PROCESSORS["vit"]
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": settings}))

    assert Preprocessor(tmp_path, image).recipe is not None


def test_a_line_thinner_than_a_pixel_once_shrunk_still_has_pixel_values(tmp_path):
    image, settings = PROCESSORS["detr, keeping the shape and padding"]
    ours = Preprocessor(write_settings(tmp_path, settings), image)

    values = ours.pixel_values(np.full((1, 3000, 3), 255, dtype=np.uint8))

    assert values.shape == (3, *image)


def test_a_line_with_one_coloured_pixel_is_not_taken_for_grey(tmp_path):
    image, settings = PROCESSORS["vit"]
    folder = write_settings(tmp_path, settings)
    pixels = np.full((48, 384, 3), 200, dtype=np.uint8)
    pixels[20, 100] = (200, 200, 0)

    values = Preprocessor(folder, image).pixel_values(pixels).numpy()

    np.testing.assert_array_equal(values, by_transformers(folder, pixels))


def test_the_cost_of_preprocessing_a_line_is_printed(tmp_path):
    image, settings = PROCESSORS["vit"]
    ours = Preprocessor(write_settings(tmp_path, settings), image)
    line = RNG.integers(0, 256, (110, 1600, 3), dtype=np.uint8)
    seconds = []
    for _ in range(20):
        start = time.perf_counter()
        ours.pixel_values(line)
        seconds.append(time.perf_counter() - start)

    print(f"{min(seconds) * 1000:.2f} ms a line")  # noqa: T201  (the figure belongs in the log)
