"""The shipped starter model: it loads with stock classes, stays small, and reads what it was never shown."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")
distance = pytest.importorskip("rapidfuzz.distance")

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "worker" / "models" / "inkpost-starter"
SAMPLE = ROOT / "tests" / "data" / "starter_lines"
EXAMPLES = ROOT / "examples" / "lines"
MAX_WEIGHT_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    reference: str
    text: str
    confidence: float

    @property
    def is_right(self):
        return self.text == self.reference


class Reader:
    def __init__(self, folder):
        self.model = transformers.VisionEncoderDecoderModel.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.processor = transformers.AutoImageProcessor.from_pretrained(folder)

    def pixels(self, paths):
        images = [Image.open(path).convert("RGB") for path in paths]
        return self.processor(images=images, return_tensors="pt").pixel_values

    def read(self, tsv):
        rows = [row.split("\t", 1) for row in tsv.read_text(encoding="utf-8").splitlines()]
        with torch.inference_mode():
            output = self.model.generate(
                self.pixels([tsv.parent / path for path, _ in rows]), output_scores=True, return_dict_in_generate=True
            )
            scores = self.model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
        written = output.sequences[:, 1:] != self.tokenizer.pad_token_id
        means = torch.where(written, scores, 0.0).sum(1) / written.sum(1)
        texts = self.tokenizer.batch_decode(output.sequences, skip_special_tokens=True)
        return [
            Reading(reference, text, math.exp(mean))
            for (_, reference), text, mean in zip(rows, texts, means.tolist(), strict=True)
        ]


def character_error_rate(readings):
    edits = sum(distance.Levenshtein.distance(reading.reference, reading.text) for reading in readings)
    return edits / sum(len(reading.reference) for reading in readings)


@pytest.fixture(scope="module")
def reader():
    return Reader(MODEL)


def test_the_shipped_weights_are_small_and_compute_in_float32(reader):
    sizes = [path.stat().st_size for path in MODEL.glob("*.safetensors")]

    assert sum(sizes) <= MAX_WEIGHT_BYTES
    assert reader.model.dtype == torch.float32


def test_the_checkpoint_has_what_generate_needs():
    generation = json.loads((MODEL / "generation_config.json").read_text(encoding="utf-8"))

    assert generation["use_cache"] is True
    assert generation["max_length"] == 96
    assert {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"} <= generation.keys()
    assert (MODEL / "MODEL_CARD.md").stat().st_size > 1000


def test_every_printable_character_survives_the_tokenizer(reader):
    text = "".join(chr(code) for code in range(33, 127)) + "  two spaces, then 'quotes' don't . move"

    ids = reader.tokenizer(text).input_ids

    assert len(ids) == len(text) + 2
    assert reader.tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("size", [(40, 10), (300, 48), (3000, 60), (50, 400), (784, 48)])
def test_the_image_processor_keeps_the_ratio_and_pads_with_blank_paper(reader, size):
    dark = Image.new("RGB", size, (0, 0, 0))

    pixels = reader.processor(images=dark, return_tensors="pt").pixel_values[0, 0]

    ink = pixels < -1
    height, width = ink.any(1).sum().item(), ink.any(0).sum().item()
    assert pixels.shape == (48, 784)
    assert abs(width - height * size[0] / size[1]) <= size[0] / size[1] + 1
    assert pixels[~ink].abs().sum() == 0


def test_lines_in_fonts_seen_in_training_are_read_with_few_errors(reader):
    readings = reader.read(SAMPLE / "seen.tsv")

    assert len(readings) == 60
    assert character_error_rate(readings) <= 0.05


def test_lines_in_fonts_never_seen_in_training_are_read_with_few_errors(reader):
    readings = reader.read(SAMPLE / "unseen.tsv")

    assert len(readings) == 60
    assert character_error_rate(readings) <= 0.12


def test_most_of_the_ten_examples_are_read_right_and_doubt_falls_on_the_wrong_ones(reader):
    readings = reader.read(EXAMPLES / "references.tsv")

    right = [reading.confidence for reading in readings if reading.is_right]
    wrong = [reading.confidence for reading in readings if not reading.is_right]
    assert len(readings) == 10
    assert len(right) >= 8
    assert max(wrong, default=0.0) < min(right)


def test_the_training_forward_pass_computes_what_transformers_computes(tmp_path):
    for package in ("faker", "fontTools"):
        pytest.importorskip(package)
    from training.export import export  # noqa: PLC0415 - the training extra may be missing
    from training.model import EOS, HEIGHT, PIXEL_STD, WIDTH, Trainee  # noqa: PLC0415

    torch.manual_seed(3)
    trainee = Trainee()
    grey = torch.randint(0, 256, (2, HEIGHT, WIDTH)).float()
    normalised = (grey / 255 - 1) / PIXEL_STD
    tokens = torch.tensor([[EOS, 40, 41, 42, 43], [EOS, 70, 71, 72, 73]])
    export(trainee, tmp_path)

    stock = transformers.VisionEncoderDecoderModel.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        expected = stock(pixel_values=normalised[:, None].expand(-1, 3, -1, -1), decoder_input_ids=tokens).logits
        scores, _ = trainee.float().read(trainee.encode(normalised), tokens)

    assert torch.allclose(scores, expected, atol=2e-2)
    assert scores.abs().max() > 1
