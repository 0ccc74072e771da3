"""ONNX Runtime and OpenVINO through optimum, in an environment of their own (`bench/.venv-peers`).

optimum needs an older transformers than ours, so these rows run there; `bench.runtime --install-peers` makes it.
Converted models are kept beside the checkpoint and reused.
"""

from pathlib import Path
from typing import Any

import torch

from bench.runtime_rows import Read, read_by_generate

# torch first, from whichever index serves a build for the CPU: the default one for Linux brings gigabytes of CUDA
PACKAGES = ("torch==2.13.0", "optimum-intel[openvino]==1.27.0", "optimum-onnx[onnxruntime]==0.1.0", "pillow")
PEERS = ("onnxruntime-float32", "onnxruntime-int8", "openvino-float32", "openvino-int8")


def is_converted(row: str, folder: Path) -> bool:
    """Return whether the model that a row is about lies ready beside the checkpoint."""
    runtime, precision = row.rsplit("-", 1)
    if runtime == "openvino":
        return (folder.parent / f"{folder.name}-openvino-{precision}" / "done").is_file()
    if precision == "int8":
        return (folder.parent / f"{folder.name}-onnx-int8" / "done").is_file()
    return (folder.parent / f"{folder.name}-onnx" / "config.json").is_file()


def build_peer(row: str, folder: Path, threads: int, batch: int) -> Read:
    """Load, and the first time convert, what a row is about."""
    from transformers import ViTImageProcessor  # noqa: PLC0415

    torch.set_num_threads(threads)
    runtime, precision = row.rsplit("-", 1)
    model = (
        _onnxruntime(folder, precision, threads) if runtime == "onnxruntime" else _openvino(folder, precision, threads)
    )
    return read_by_generate(model, ViTImageProcessor.from_pretrained(folder), batch=batch, use_cache=True)


def _onnxruntime(folder: Path, precision: str, threads: int) -> Any:
    from onnxruntime import SessionOptions  # noqa: PLC0415
    from optimum.onnxruntime import ORTModelForVision2Seq, ORTQuantizer  # noqa: PLC0415
    from optimum.onnxruntime.configuration import AutoQuantizationConfig  # noqa: PLC0415

    float32 = folder.parent / f"{folder.name}-onnx"
    if not (float32 / "config.json").is_file():
        ORTModelForVision2Seq.from_pretrained(str(folder), export=True).save_pretrained(float32)
    target = float32
    if precision == "int8":
        target = folder.parent / f"{folder.name}-onnx-int8"
        if not (target / "done").is_file():
            recipe = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
            for part in sorted(float32.glob("*.onnx")):
                ORTQuantizer.from_pretrained(float32, file_name=part.name).quantize(
                    save_dir=target, quantization_config=recipe, file_suffix=""
                )
            for part in float32.glob("*.json"):
                (target / part.name).write_bytes(part.read_bytes())
            (target / "done").touch()
    options = SessionOptions()
    options.intra_op_num_threads = threads
    return ORTModelForVision2Seq.from_pretrained(str(target), session_options=options, use_io_binding=False)


def _openvino(folder: Path, precision: str, threads: int) -> Any:
    from optimum.intel import OVModelForVision2Seq  # noqa: PLC0415

    target = folder.parent / f"{folder.name}-openvino-{precision}"
    if not (target / "done").is_file():
        OVModelForVision2Seq.from_pretrained(
            str(folder), export=True, load_in_8bit=precision == "int8", compile=False
        ).save_pretrained(target)
        (target / "done").touch()
    settings = {"INFERENCE_NUM_THREADS": str(threads), "PERFORMANCE_HINT": "LATENCY"}
    if precision == "float32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"  # else it takes bfloat16 where the CPU has it
    return OVModelForVision2Seq.from_pretrained(str(target), ov_config=settings)
