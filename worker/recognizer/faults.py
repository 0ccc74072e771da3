"""What a failed forward pass means: too little memory, a lost device, or a bug of ours."""

import torch

from core.errors import DeviceLost, OutOfMemory

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED")
_DEVICE_WORDS = ("CUDA error", "CUBLAS_STATUS", "CUDNN_STATUS", "device-side assert", "NCCL error")


def translate(error: BaseException) -> OutOfMemory | DeviceLost | None:
    """Return our error for one of torch's, or None when it is neither memory nor device.

    A CUDA error other than exhausted memory sticks: every later call of this process fails with it.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return OutOfMemory()
    message = str(error)
    if any(word in message for word in _MEMORY_WORDS):
        return OutOfMemory()
    if isinstance(error, torch.AcceleratorError) or any(word in message for word in _DEVICE_WORDS):
        return DeviceLost(f"The accelerator failed: {message.splitlines()[0][:200] if message else 'no message'}")
    return None
