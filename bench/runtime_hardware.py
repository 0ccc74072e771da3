"""What this machine gives at best: matrix products and memory, measured in the run that they are compared with.

The floor of a line is computed from trocr-base's operation count, as if every product ran at the peak rate and the
decoder's weights were read at the full bandwidth, once per step of a full batch.
"""

import json
import sys
import time
from collections.abc import Callable

import torch

ENCODER_GFLOP = 112.0
CROSS_GFLOP = 22.0
TOKEN_GFLOP = 0.5
TOKEN_WEIGHTS = 247e6
FLOOR_BATCH = 16


def best_seconds(work: Callable[[], object], times: int) -> float:
    """Return the least duration of some calls, after one that is not counted."""
    work()
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return min(durations)


def measure(threads: int, times: int = 12) -> dict[str, float]:
    """Return peak GFLOP/s in float32, GOP/s in int8 and GB/s of memory."""
    torch.set_num_threads(threads)
    rows, inputs, outputs = 1154, 3072, 1024
    operations = 2 * rows * inputs * outputs / 1e9
    with torch.inference_mode():
        x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        float32 = best_seconds(lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""), times)
        default = best_seconds(lambda: torch.nn.functional.linear(x, weight), times)
        quantized = torch.randint(0, 255, x.shape, dtype=torch.uint8)
        weights = torch.randint(-127, 127, weight.shape, dtype=torch.int8)
        packed8 = torch.ops.onednn.qlinear_prepack(weights, [rows, inputs])
        scales, zeros = torch.rand(outputs), torch.zeros(outputs, dtype=torch.int64)
        int8 = best_seconds(
            lambda: torch.ops.onednn.qlinear_pointwise(
                quantized, 1.0, 128, packed8, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
            ),
            times,
        )
        block = torch.ones(128 * 1024**2)  # 512 MB, far beyond every cache
        reading = best_seconds(block.sum, max(3, times // 3))
    return {
        "float32_gflops": operations / min(float32, default),
        "int8_gops": operations / int8,
        "memory_gb_per_second": block.nbytes / reading / 1e9,
    }


def floor_seconds(hardware: dict[str, float], tokens: float, *, int8: bool) -> float:
    """Return the least time that a line of so many tokens can take."""
    rate = hardware["int8_gops" if int8 else "float32_gflops"]
    weight_bytes = TOKEN_WEIGHTS * (1 if int8 else 4)
    reading = weight_bytes / FLOOR_BATCH / (hardware["memory_gb_per_second"] * 1e9)
    per_token = max(TOKEN_GFLOP / rate, reading)
    return (ENCODER_GFLOP + CROSS_GFLOP) / rate + tokens * per_token


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
