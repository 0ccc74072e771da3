"""Read the lines of a TSV with a checkpoint, through stock transformers alone, and print CER and the worst lines."""

import argparse
import math
from pathlib import Path

import torch
from PIL import Image
from rapidfuzz.distance import Levenshtein
from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

from training.export import MODEL


def read_lines(folder: Path, images: list[Path], batch_lines: int = 50) -> list[tuple[str, float]]:
    """Return each image's text and confidence: exp of the mean log-probability of its tokens."""
    model = VisionEncoderDecoderModel.from_pretrained(folder).eval()
    tokenizer, processor = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    readings = []
    for start in range(0, len(images), batch_lines):
        opened = [Image.open(path).convert("RGB") for path in images[start : start + batch_lines]]
        pixels = processor(images=opened, return_tensors="pt").pixel_values
        with torch.inference_mode():
            output = model.generate(pixels, output_scores=True, return_dict_in_generate=True, do_sample=False)
            scores = model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
        written = output.sequences[:, 1:] != tokenizer.pad_token_id
        means = torch.where(written, scores, 0.0).sum(1) / written.sum(1)
        texts = tokenizer.batch_decode(output.sequences, skip_special_tokens=True)
        readings += [(text, math.exp(mean)) for text, mean in zip(texts, means.tolist(), strict=True)]
    return readings


def main() -> None:
    """Score a TSV of `path<TAB>text`, paths relative to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=Path)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", type=int, default=12, help="how many of the worst lines to print")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [row.split("\t", 1) for row in arguments.lines.read_text(encoding="utf-8").splitlines()]
    readings = read_lines(arguments.model, [arguments.lines.parent / path for path, _ in rows])
    results = [
        (Levenshtein.distance(reference, text), path, reference, text, confidence)
        for (path, reference), (text, confidence) in zip(rows, readings, strict=True)
    ]
    edits, characters = sum(result[0] for result in results), sum(len(reference) for _, reference in rows)
    exact = sum(result[0] == 0 for result in results)
    print(f"{arguments.lines}: CER {100 * edits / characters:.2f} % ({edits}/{characters}), exact {exact}/{len(rows)}")
    for distance, path, reference, text, confidence in sorted(results, reverse=True)[: arguments.show]:
        print(f"{distance:3} {confidence:.3f} {path}: {reference!r} read as {text!r}")


if __name__ == "__main__":
    main()
