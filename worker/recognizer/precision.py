"""Which number formats a model computes in, and where."""

from dataclasses import dataclass

import torch

from core.errors import ModelUnusable


@dataclass(frozen=True, slots=True)
class Precision:
    """The formats of one loaded model.

    `stream` is what flows between layers, `matmul` what attention multiplies in; `int8` says that the linear layers
    hold and multiply 8-bit integers.
    """

    name: str
    device: torch.device
    stream: torch.dtype
    matmul: torch.dtype
    int8: bool = False

    @property
    def packs(self) -> bool:
        """Whether oneDNN's prepacked kernels apply; few CPUs have them for float16."""
        if self.device.type != "cpu" or not has_onednn():
            return False
        if self.stream == torch.float16:
            return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())
        return True


_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_precision(precision: str, device: str) -> Precision:
    """Return the formats for a precision (`auto` or a name) on a device (`auto` or torch's name of one).

    Raises:
        ModelUnusable: the device is absent, or cannot compute in this precision.
    """
    place = _choose_device(device)
    name = precision
    if precision == "auto":
        name = "bfloat16" if place.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
        if place.type == "cuda" and name == "float32":
            name = "float16"
    if name == "int8":
        if place.type != "cpu":
            raise ModelUnusable("int8 runs on a CPU only; choose bfloat16 or float16 on a GPU.")
        if not has_onednn():
            raise ModelUnusable("int8 needs a build of torch with oneDNN.")
        matmul = torch.bfloat16 if has_fast_bfloat16() else torch.float32
        return Precision(name, place, torch.float32, matmul, int8=True)
    if name not in _DTYPES:
        raise ModelUnusable(f"There is no precision {precision!r}.")
    return Precision(name, place, _DTYPES[name], _DTYPES[name])


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ModelUnusable(f"{device!r} is not a device; choose auto, cpu, cuda or cuda:N.") from error
    if place.type not in {"cpu", "cuda"}:
        raise ModelUnusable(f"{device!r} is not supported; choose auto, cpu, cuda or cuda:N.")
    if place.type == "cuda" and not (torch.cuda.is_available() and (place.index or 0) < torch.cuda.device_count()):
        raise ModelUnusable(f"There is no device {device!r} here.")
    return place


def has_onednn() -> bool:
    """Return whether this build of torch has oneDNN."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def has_fast_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (AVX512-BF16 or AMX); elsewhere float32 is faster."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
