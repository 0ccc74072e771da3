"""Write the trained model as a checkpoint folder in the Hugging Face layout, loadable with stock classes."""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GenerationConfig, PreTrainedTokenizerFast

from training.fonts import CHARACTERS
from training.model import BOS, EOS, HEIGHT, MAX_TOKENS, PAD, PIXEL_STD, SPECIAL, WIDTH, Trainee
from training.team import load_average
from training.train import RUN

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent / "worker" / "models" / "inkpost-starter"

# DETR's processor is the stock one that keeps the ratio and pads: after normalisation, with 0, at the right and below.
IMAGE_PROCESSOR = {
    "image_processor_type": "DetrImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"max_height": HEIGHT, "max_width": WIDTH},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [1.0, 1.0, 1.0],
    "image_std": [PIXEL_STD] * 3,
    "do_pad": True,
    "pad_size": {"height": HEIGHT, "width": WIDTH},
    "do_convert_annotations": False,
    "format": "coco_detection",
}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: every printable ASCII character is a token."""
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *CHARACTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[BOS]} $A {SPECIAL[EOS]}",
        special_tokens=[(SPECIAL[BOS], BOS), (SPECIAL[EOS], EOS)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[BOS],
        pad_token=SPECIAL[PAD],
        eos_token=SPECIAL[EOS],
        unk_token=SPECIAL[3],
        clean_up_tokenization_spaces=False,
        model_max_length=MAX_TOKENS,
    )


def export(trainee: Trainee, target: Path) -> None:
    """Write weights (float16), configurations, tokenizer and image processor."""
    trainee.write_colour_weights()
    model = trainee.model.eval()
    model.generation_config = GenerationConfig(
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        max_length=MAX_TOKENS,
        use_cache=True,
    )
    target.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(target)
    build_tokenizer().save_pretrained(target)
    (target / "preprocessor_config.json").write_text(json.dumps(IMAGE_PROCESSOR, indent=2) + "\n", encoding="utf-8")
    # The weights are stored in half precision to be small; a plain from_pretrained must still compute in float32.
    path = target / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for part in (config, config["encoder"], config["decoder"]):
        part["dtype"] = "float32"
        part.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    # The name that older releases of transformers know too.
    path = target / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (target / "model.safetensors").chmod(0o644)


def main() -> None:
    """Export the averaged weights of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=RUN)
    parser.add_argument("--target", type=Path, default=MODEL)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trainee, counters = load_average(arguments.folder)
    export(trainee, arguments.target)
    print(f"{arguments.target}: {', '.join(f'{name} {value:.0f}' for name, value in counters.items())}")


if __name__ == "__main__":
    main()
