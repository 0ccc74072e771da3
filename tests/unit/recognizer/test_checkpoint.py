import hashlib
import json
import pickle

import pytest
import torch
from safetensors import safe_open

from core.errors import ModelUnusable
from tests.unit.recognizer.checkpoints import SHAPES, build_model, resave, save_checkpoint
from worker.recognizer.checkpoint import resolve_checkpoint, served_name
from worker.recognizer.loading import load_recognizer
from worker.recognizer.weights import Weights, canonical_name


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("models") / "my-trocr", SHAPES["base"])


@pytest.fixture
def folder(intact, tmp_path):
    copy = tmp_path / "my-trocr"
    copy.mkdir()
    for path in intact.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def test_a_folder_is_served_under_its_name_and_a_digest_of_its_weights(folder):
    checkpoint = resolve_checkpoint(str(folder))

    assert checkpoint.name == "my-trocr"
    assert checkpoint.revision == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("microsoft/trocr-base-handwritten", "trocr-base-handwritten"),
        ("inkpost-starter", "inkpost-starter"),
        ("fake:5,1", "fake"),
    ],
)
def test_the_served_name_is_the_last_component(model, name):
    assert served_name(model) == name


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_without_a_file_it_needs_names_that_file(folder, missing):
    (folder / missing).unlink()

    with pytest.raises(ModelUnusable, match=missing.replace(".", r"\.")):
        resolve_checkpoint(str(folder))


def test_weights_that_are_only_a_pickle_are_refused_unread(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"harmless": 1}))

    with pytest.raises(ModelUnusable, match="pickle"):
        resolve_checkpoint(str(folder))


def test_a_file_that_its_manifest_does_not_describe_is_refused(folder):
    digest = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  config.json\n")
    resolve_checkpoint(str(folder))

    (folder / "config.json").write_text("{}")

    with pytest.raises(ModelUnusable, match="SHA256SUMS"):
        resolve_checkpoint(str(folder))


@pytest.mark.parametrize("line", ["{digest}  ../outside.txt", "{digest}  absent.json"])
def test_a_manifest_that_names_a_file_outside_or_absent_is_refused(folder, line):
    (folder.parent / "outside.txt").write_text("x")
    (folder / "SHA256SUMS").write_text(line.format(digest=hashlib.sha256(b"x").hexdigest()) + "\n")

    with pytest.raises(ModelUnusable):
        resolve_checkpoint(str(folder))


@pytest.mark.parametrize("model", ["no-such-folder", "./models/absent", "a/b/c", "../x", "https://example.org/m"])
def test_a_name_that_is_neither_a_folder_nor_a_hub_id_is_refused(model):
    with pytest.raises(ModelUnusable, match="neither"):
        resolve_checkpoint(model)


def test_a_hub_id_that_is_not_cached_is_refused_when_offline(monkeypatch, tmp_path):
    from huggingface_hub import constants  # noqa: PLC0415

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(ModelUnusable, match="hub"):
        resolve_checkpoint("nobody/no-such-model")


def test_truncated_weights_are_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(ModelUnusable, match="damaged"):
        load_recognizer(str(folder), device="cpu", threads=1)


def test_weights_that_lack_a_tensor_name_it(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del tensors["decoder.model.decoder.layers.1.fc2.weight"]
    resave(folder, tensors)

    with pytest.raises(ModelUnusable, match=r"layers\.1\.fc2\.weight"):
        load_recognizer(str(folder), device="cpu", threads=1)


@pytest.mark.parametrize("config", ["[]", "{", json.dumps({"model_type": "bert"})])
def test_a_configuration_of_something_else_is_refused(folder, config):
    (folder / "config.json").write_text(config)

    with pytest.raises(ModelUnusable):
        load_recognizer(str(folder), device="cpu", threads=1)


@pytest.mark.parametrize(
    ("device", "precision"), [("cpu", "float8"), ("tpu", "auto"), ("mps", "auto"), ("cuda:99", "auto")]
)
def test_a_device_or_precision_that_is_not_there_is_refused(folder, device, precision):
    with pytest.raises(ModelUnusable):
        load_recognizer(str(folder), device=device, precision=precision)


def test_weights_in_shards_are_found_and_have_one_revision(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    whole = load_recognizer(str(folder), device="cpu", threads=1)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[: len(names) // 2], "model-2.safetensors": names[len(names) // 2 :]}
    for part, held in parts.items():
        resave(folder, {name: tensors[name] for name in held})
        (folder / "model.safetensors").rename(folder / part)
    index = {"weight_map": {name: part for part, held in parts.items() for name in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    sharded = load_recognizer(str(folder), device="cpu", threads=1)

    assert sharded.revision != whole.revision
    assert len(sharded.revision) == 12


@pytest.mark.parametrize("shape", list(SHAPES))
def test_names_on_disk_become_the_names_in_memory(tmp_path, shape):
    folder = save_checkpoint(tmp_path / "model", SHAPES[shape])
    in_memory = build_model(SHAPES[shape]).state_dict()

    with safe_open(folder / "model.safetensors", "pt") as file:
        on_disk = {canonical_name(name) for name in file.keys()}  # noqa: SIM118

    assert on_disk <= set(in_memory)


def test_weights_stored_in_half_precision_are_read_as_float32(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name).to(torch.float16) for name in file.keys()}  # noqa: SIM118
    resave(folder, tensors)

    weights = Weights([folder / "model.safetensors"])

    assert weights.need("encoder.layernorm.weight").dtype == torch.float32
    assert load_recognizer(str(folder), device="cpu", threads=1).precision == "float32"
