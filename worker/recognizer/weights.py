"""The tensors of a checkpoint, memory-mapped, under one set of names whichever transformers wrote them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import ModelUnusable

# transformers 4 wrote, and transformers 5 still writes, the left names; its modules are called as on the right.
_RENAMES = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^encoder\.encoder\.relative_position_bias\.", "encoder.shared_position_bias."),
        (r"^encoder\.encoder\.layer\.", "encoder.layers."),
        (r"\.attention\.attention\.relative_position_bias\.", ".relative_position_bias."),
        (r"\.attention\.attention\.query\.", ".attention.q_proj."),
        (r"\.attention\.attention\.key\.", ".attention.k_proj."),
        (r"\.attention\.attention\.value\.", ".attention.v_proj."),
        (r"\.attention\.output\.dense\.", ".attention.o_proj."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"^(encoder\.layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    )
)


def canonical_name(name: str) -> str:
    """Return the name that transformers 5 gives the tensor in memory."""
    for old, new in _RENAMES:
        name = old.sub(new, name)
    return name


def _open(path: Path) -> Any:
    """Map a file; safetensors gives out tensors only inside its context, and unmaps when the last of them is gone."""
    return safe_open(path, framework="pt", device="cpu").__enter__()  # type: ignore[no-untyped-call]


class Weights:
    """Reads tensors by name; a float32 tensor is a view of the mapped file until a caller converts or packs it."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._places: dict[str, tuple[Path, str]] = {}
        self._open: dict[Path, Any] = {}
        for path in files:
            names = self._handle(path).keys()
            self._places |= {canonical_name(name): (path, name) for name in names}

    def _handle(self, path: Path) -> Any:
        if path not in self._open:
            try:
                self._open[path] = _open(path)
            except (SafetensorError, OSError) as error:
                raise ModelUnusable(f"{path} is damaged: {error}") from error
        return self._open[path]

    def release(self) -> None:
        """Unmap the files, so that pages read while loading stop counting; they open again when asked for more."""
        self._open.clear()

    def find(self, name: str) -> Tensor | None:
        """Return a tensor in float32, or None when the checkpoint has none of that name."""
        if name not in self._places:
            return None
        path, original = self._places[name]
        tensor: Tensor = self._handle(path).get_tensor(original)
        return tensor.to(torch.float32)

    def mapped(self, name: str) -> Tensor:
        """Return a tensor, in the file's own type, that lives in a mapping of its own: rows not read take no memory.

        Raises:
            ModelUnusable: the checkpoint has no tensor of that name.
        """
        if name not in self._places:
            raise ModelUnusable(f"The checkpoint lacks the tensor {name}.")
        path, original = self._places[name]
        tensor: Tensor = _open(path).get_tensor(original)
        return tensor

    def need(self, name: str) -> Tensor:
        """Return a tensor in float32.

        Raises:
            ModelUnusable: the checkpoint has no tensor of that name.
        """
        tensor = self.find(name)
        if tensor is None:
            raise ModelUnusable(f"The checkpoint lacks the tensor {name}.")
        return tensor

    def joined(self, names: Sequence[str]) -> Tensor:
        """Return tensors joined along their first axis, as a fused projection wants them."""
        return torch.cat([self.need(name) for name in names])

    def joined_bias(self, names: Sequence[str], widths: Sequence[int]) -> Tensor | None:
        """Return joined biases, zeros where one is missing, or None when all are (BEiT's keys have none)."""
        found = [self.find(name) for name in names]
        if all(bias is None for bias in found):
            return None
        return torch.cat(
            [torch.zeros(width) if bias is None else bias for bias, width in zip(found, widths, strict=True)]
        )
