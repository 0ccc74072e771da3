"""Find a model's files on this machine: a bundled model, a folder, or a repository of the Hugging Face hub."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelUnusable
from core.settings import served_name

BUNDLED_MODELS = Path(__file__).resolve().parent.parent / "models"
STARTER_MODEL = "inkpost-starter"

WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
MANIFEST_FILE = "SHA256SUMS"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_HUB_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors", MANIFEST_FILE)
_PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "sentencepiece.bpe.model")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder in the Hugging Face layout that was found complete, with the name and revision it is served under."""

    name: str
    revision: str
    folder: Path
    weights: tuple[Path, ...]


def resolve_checkpoint(model: str) -> Checkpoint:
    """Find and check the files of `model`: the bundled model's name, a folder, or a hub id.

    Raises:
        ModelUnusable: files are missing, damaged, or in a format that could run code when read.
    """
    if model == STARTER_MODEL and not Path(model).is_dir():
        return _check(BUNDLED_MODELS / STARTER_MODEL, STARTER_MODEL, None)
    if Path(model).is_dir():
        return _check(Path(model).resolve(), served_name(model), None)
    if _HUB_ID.fullmatch(model) is None:
        raise ModelUnusable(f"{model!r} is neither a folder nor the id of a model on the Hugging Face hub.")
    folder = _download(model)
    return _check(folder, served_name(model), folder.name)


def _download(hub_id: str) -> Path:
    """Return the local folder of a hub repository, named after its commit; HF_HUB_OFFLINE=1 looks only at the cache."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415  (slow to import, and only a hub id needs it)

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(_HUB_PATTERNS)))
    # the hub client raises its own, httpx's and OSError's families, and all of them mean the same to the operator
    except Exception as error:
        raise ModelUnusable(f"The model {hub_id!r} cannot be fetched from the Hugging Face hub: {error}") from error


def _check(folder: Path, name: str, commit: str | None) -> Checkpoint:
    if not folder.is_dir():
        raise ModelUnusable(f"The model folder {folder} does not exist.")
    weights = _weights_files(folder)
    missing = [
        " or ".join(choices)
        for choices in (("config.json",), _PROCESSOR_FILES, _TOKENIZER_FILES)
        if not any((folder / choice).is_file() for choice in choices)
    ]
    if missing:
        raise ModelUnusable(f"The model folder {folder} lacks {', '.join(missing)}.")
    digests = {path.name: _sha256(path) for path in weights} if commit is None else {}
    _check_manifest(folder, digests)
    return Checkpoint(name, commit or _revision(digests), folder, weights)


def _weights_files(folder: Path) -> tuple[Path, ...]:
    """Return the safetensors files of a folder: one, or the shards that its index names."""
    if (folder / WEIGHTS_FILE).is_file():
        return (folder / WEIGHTS_FILE,)
    index = folder / WEIGHTS_INDEX_FILE
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelUnusable(f"{index} is damaged.") from error
        shards = tuple(folder / Path(name).name for name in names)
        absent = [shard.name for shard in shards if not shard.is_file()]
        if absent:
            raise ModelUnusable(f"The model folder {folder} lacks {', '.join(absent)}.")
        return shards
    if any(path for pattern in _PICKLES for path in folder.glob(pattern)):
        raise ModelUnusable(
            f"The model folder {folder} holds its weights only as a pickle, which can run code when it is read. "
            f"Convert it to {WEIGHTS_FILE} on a machine where you trust it."
        )
    raise ModelUnusable(f"The model folder {folder} lacks {WEIGHTS_FILE}.")


def _check_manifest(folder: Path, known: dict[str, str]) -> None:
    """Compare the files with the SHA256SUMS beside them, where there is one (the format of `sha256sum`)."""
    manifest = folder / MANIFEST_FILE
    if not manifest.is_file():
        return
    for line in manifest.read_text("utf-8").splitlines():
        if not line.strip():
            continue
        digest, _, name = line.strip().partition(" ")
        path = folder / name.strip().lstrip("*")
        if not path.resolve().is_relative_to(folder.resolve()) and not path.is_symlink():
            raise ModelUnusable(f"{manifest} names a file outside the model folder.")
        if not path.is_file():
            raise ModelUnusable(f"The model folder {folder} lacks {path.name}, which its {MANIFEST_FILE} names.")
        if (known.get(path.name) or _sha256(path)) != digest.lower():
            raise ModelUnusable(f"{path} is not the file that its {MANIFEST_FILE} describes; fetch the model again.")


def _revision(digests: dict[str, str]) -> str:
    if len(digests) == 1:
        return next(iter(digests.values()))[:12]
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
