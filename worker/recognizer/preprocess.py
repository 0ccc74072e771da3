"""From plain pixels to pixel values, exactly as the checkpoint's own image processor computes them, but faster.

The processors of TrOCR models resize with Pillow and then map each 8-bit value, channel by channel, to a float. The map
has 256 entries a channel, so it is computed once and looked up ever after. A processor that is not recognised runs as
transformers wrote it; importing its module costs 120 MB, so nothing here does it before it must.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.errors import ModelUnusable

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)
# what a processor class assumes where its settings are silent: resample, crops, pads, mean, std
_DEFAULTS: dict[str, tuple[int, bool, bool, tuple[float, ...], tuple[float, ...]]] = {
    "ViT": (2, False, False, _HALF, _HALF),
    "DeiT": (3, True, False, _HALF, _HALF),
    "Beit": (3, False, False, _HALF, _HALF),
    "Detr": (2, False, True, _IMAGENET_MEAN, _IMAGENET_STD),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a known image processor does: resize, look values up, pad with zeros at the right and the bottom."""

    exact: tuple[int, int] | None  # (height, width) to resize to
    fits_in: tuple[int, int] | None  # else the largest size of the same shape within
    resample: int
    table: NDArray[np.float32]  # (3, 256)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) that a picture is resized to."""
        if self.exact is not None:
            return self.exact
        most_height, most_width = self.fits_in or (height, width)
        scale = min(most_height / height, most_width / width)
        return max(1, int(height * scale)), max(1, int(width * scale))


class Preprocessor:
    """Makes pixel values (3, height, width), float32, of line images (height, width, 3), uint8."""

    def __init__(self, folder: Path, image: tuple[int, int]) -> None:
        self._image = image
        self.recipe = read_recipe(folder, image)
        self._processor: Any = None if self.recipe is not None else _load_processor(folder)

    def pixel_values(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the pixel values of one line image."""
        if self.recipe is None:
            return self._by_processor(pixels)
        height, width = self.recipe.size(pixels.shape[0], pixels.shape[1])
        if _is_grey(pixels):  # as most scans are: a third of the work, and Pillow resizes each channel alone anyway
            pixels = pixels[:, :, 0]
        picture = Image.fromarray(pixels).resize((width, height), resample=self.recipe.resample)
        resized = np.asarray(picture).reshape(height, width, -1)  # (height, width, 1 or 3)
        target = np.zeros((3, *self._image), dtype=np.float32)
        for channel in range(3):
            values = resized[:, :, min(channel, resized.shape[2] - 1)]
            # in place: fresh memory for each channel would cost as much as the look-up itself
            np.take(self.recipe.table[channel], values, out=target[channel, :height, :width], mode="clip")
        return torch.from_numpy(target)

    def _by_processor(self, pixels: NDArray[np.uint8]) -> Tensor:
        values = self._processor(images=[pixels], input_data_format="channels_last", return_tensors="pt").pixel_values
        tensor: Tensor = values[0].to(torch.float32)
        if tuple(tensor.shape[1:]) != self._image:
            raise ModelUnusable(f"The image processor makes pictures of {tuple(tensor.shape[1:])}, not {self._image}.")
        return tensor


def _is_grey(pixels: NDArray[np.uint8]) -> bool:
    red, green, blue = np.moveaxis(pixels, 2, 0)
    return np.array_equal(red, green) and np.array_equal(green, blue)


def read_recipe(folder: Path, image: tuple[int, int]) -> Recipe | None:
    """Return what the processor in a checkpoint folder does, or None when it is not one that we compute ourselves."""
    settings = _read_settings(folder)
    name = str(settings.get("image_processor_type") or settings.get("feature_extractor_type") or "")
    kind = name.removesuffix("Fast").removesuffix("ImageProcessor").removesuffix("FeatureExtractor")
    if kind not in _DEFAULTS:
        return None
    resample, crops, pads, mean, std = _DEFAULTS[kind]
    pads = bool(settings.get("do_pad", settings.get("pad_and_return_pixel_mask", pads)))
    if not settings.get("do_resize", True) or settings.get("do_center_crop", crops) or pads != (kind == "Detr"):
        return None
    size, pad = settings.get("size"), settings.get("pad_size")
    exact = fits_in = None
    if not pads:
        exact = (size, size) if isinstance(size, int) else _height_and_width(size, "height", "width")
        if exact != image:
            return None
    else:
        exact = _height_and_width(size, "height", "width")
        fits_in = _height_and_width(size, "max_height", "max_width")
        largest = exact or fits_in
        if largest is None or _height_and_width(pad, "height", "width") != image:
            return None
        if largest[0] > image[0] or largest[1] > image[1]:
            return None
    table = _value_table(settings, settings.get("image_mean") or mean, settings.get("image_std") or std)
    return Recipe(exact, fits_in, int(settings.get("resample", resample)), table)


def _read_settings(folder: Path) -> dict[str, Any]:
    """Return the image processor's settings, from the file of its own or from the one it shares with the tokenizer."""
    try:
        if (folder / "preprocessor_config.json").is_file():
            settings = json.loads((folder / "preprocessor_config.json").read_bytes())
        else:
            settings = json.loads((folder / "processor_config.json").read_bytes()).get("image_processor", {})
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"The image processor's settings in {folder} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise ModelUnusable(f"The image processor's settings in {folder} are not an object.")
    return settings


def _height_and_width(size: object, height: str, width: str) -> tuple[int, int] | None:
    if isinstance(size, dict) and set(size) == {height, width}:
        return int(size[height]), int(size[width])
    return None


def _value_table(settings: dict[str, Any], mean: Any, std: Any) -> NDArray[np.float32]:
    """Return what each 8-bit value becomes, (3, 256), by the arithmetic and the roundings of transformers."""
    values: NDArray[np.float32] = np.arange(256, dtype=np.float32)
    if settings.get("do_rescale", True):
        values = (np.arange(256, dtype=np.float64) * float(settings.get("rescale_factor", 1 / 255))).astype(np.float32)
    table = np.repeat(values[None, :], 3, axis=0)
    if settings.get("do_normalize", True):
        table = (table - np.array(mean, dtype=np.float32)[:, None]) / np.array(std, dtype=np.float32)[:, None]
    return np.ascontiguousarray(table, dtype=np.float32)


def _load_processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor  # noqa: PLC0415  (120 MB, for the few models that need it)

    try:
        return AutoImageProcessor.from_pretrained(folder, backend="pil")
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ModelUnusable(f"The image processor of the model in {folder} cannot be loaded: {error}") from error
