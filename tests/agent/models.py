"""Small causal models built from a config with random weights, and saved as a user's model folder would be.

The tokenizer is a byte-level BPE of its own with ChatML's control tokens, so nothing is downloaded.
"""

import json
import warnings
from pathlib import Path
from typing import Literal

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from agent.generation.rendering import PASSAGES_RULE

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = (
    "The team thinks up ideas together and asks its questions about the documents it wrote.",
    "Wie viele Urlaubstage habe ich? Thirty days a year, and they can be carried over until March.",
    PASSAGES_RULE,
    "user assistant system 会议 在 星期一 举行 🙂 façade naïve",
)


def build_tokenizer(vocabulary: int | None = None, *, template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """A byte-level BPE with ChatML's control tokens. vocabulary: size to pad to."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, special_tokens=list(CONTROL))
    tokenizer.train_from_iterator(CORPUS, trainer)
    if vocabulary is not None:
        _pad(tokenizer, vocabulary)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.add_special_tokens({"extra_special_tokens": ["<|im_start|>"]})
    fast.chat_template = template
    return fast


def _pad(tokenizer: Tokenizer, size: int) -> None:
    """Fill the vocabulary up with longer words, so that what a random model says is read back as it was said."""
    tokens: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    merges = [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
    endings = [token for token in tokens if token.isascii() and token.isalpha()]
    words = [token for token in tokens if token.startswith("Ġ") and token[1:].isalpha()]
    for word in words:  # grows while it is read
        for ending in endings:
            if len(tokens) == size:
                tokenizer.model = models.BPE(vocab=tokens, merges=merges)
                return
            if word + ending not in tokens:
                tokens[word + ending] = len(tokens)
                merges.append((word, ending))
                words.append(word + ending)


def build_model(
    folder: Path,
    family: Literal["llama", "qwen3"] = "llama",
    *,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    ffn: int = 128,
    head_dim: int = 16,
    vocabulary: int | None = None,
    window: int = 2048,
    sliding: int | None = None,
    tied: bool = False,
    template: str | None = TEMPLATE,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Path:
    """Save a random model and its tokenizer into `folder`, which is returned."""
    tokenizer = build_tokenizer(vocabulary, template=template)
    sizes = {
        "vocab_size": vocabulary or len(tokenizer),
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "head_dim": head_dim,
        "max_position_embeddings": window,
        "tie_word_embeddings": tied,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
    }
    if sliding is not None:  # from the second layer on; Qwen3 only
        sizes |= {"use_sliding_window": True, "sliding_window": sliding, "max_window_layers": 1}
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**sizes)) if family == "llama" else Qwen3ForCausalLM(Qwen3Config(**sizes))
    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_adapter(folder: Path, base: Path, *, seed: int = 1, **settings: object) -> Path:
    """Save a LoRA for `base` with random weights, large enough to change what it says."""
    config = {"r": 4, "lora_alpha": 64, "target_modules": ["q_proj", "v_proj", "down_proj"]} | settings
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing`", FutureWarning
        )  # peft 0.21 on transformers 5.23
        tuned = get_peft_model(model, LoraConfig(**({"init_lora_weights": False} | config)))
        tuned.save_pretrained(folder)
    return folder
