"""The starter in memory: Qwen3's shape (arXiv 2505.09388) in plain torch, for one reader, and its tokenizer.

transformers would give the same numbers; but importing it takes longer than all else at the start of a chat, and its
layers spend half of a word's time in Python. Models that a team brings are loaded by it (`loading`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.generation.loading import check_files
from retrieval.errors import ModelFolderError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Kept = list[tuple[Tensor, Tensor]]  # keys and values of what was read, of each layer: (1, heads, length, head)

END, END_OF_TEXT = "<|end|>", "<|endoftext|>"


def check_folder(folder: Path) -> None:
    """Raises ModelFolderError where the files of a starter are not all there; its weights are not read yet."""
    from safetensors import SafetensorError, safe_open

    check_files(folder)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "np"):
                pass
        except (SafetensorError, OSError) as error:
            raise ModelFolderError(f"{path} is damaged: {error}. Install Atelier again.") from error


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights, named as in the folder. qkv: queries, keys and values in one product; gate_up: likewise."""

    input_layernorm: "Tensor"
    qkv: "Tensor"
    q_norm: "Tensor"
    k_norm: "Tensor"
    o_proj: "Tensor"
    post_attention_layernorm: "Tensor"
    gate_up: "Tensor"
    down_proj: "Tensor"


class Network:
    """Holds no state between calls: what was read is the caller's."""

    def __init__(self, folder: Path, device: str, dtype: "torch.dtype") -> None:
        """Load a folder that `finetune.base.export` wrote. Raises ModelFolderError."""
        try:
            self._read_folder(folder, device, dtype)
        except Exception as error:  # files from outside may raise anything
            raise ModelFolderError(f"The starter in {folder} is damaged: {error}. Install Atelier again.") from error

    def _read_folder(self, folder: Path, device: str, dtype: "torch.dtype") -> None:
        import torch
        from safetensors.torch import load_file

        config = json.loads((folder / "config.json").read_text())
        if config["model_type"] != "qwen3" or not config["tie_word_embeddings"] or config["use_sliding_window"]:
            raise ValueError("its config is not a starter's")
        found: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            found |= {name: weight.to(device, dtype) for name, weight in load_file(path).items()}
        self.window = int(config["max_position_embeddings"])
        self.device = device
        self._head = int(config["head_dim"])
        self._heads, self._key_heads = int(config["num_attention_heads"]), int(config["num_key_value_heads"])
        self._epsilon = float(config["rms_norm_eps"])
        self._words, self._norm = found["model.embed_tokens.weight"], found["model.norm.weight"]
        exponents = torch.arange(0, self._head, 2, dtype=torch.float32) / self._head
        angles = torch.arange(self.window).float()[:, None] * config["rope_parameters"]["rope_theta"] ** -exponents
        angles = torch.cat((angles, angles), dim=1)
        self._cosines, self._sines = angles.cos().to(device, dtype), angles.sin().to(device, dtype)
        self._layers = []
        for number in range(int(config["num_hidden_layers"])):

            def own(*names: str, at: str = f"model.layers.{number}") -> "Tensor":
                return torch.cat([found[f"{at}.{name}.weight"] for name in names])

            self._layers.append(
                _Layer(
                    input_layernorm=own("input_layernorm"),
                    qkv=own("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
                    q_norm=own("self_attn.q_norm"),
                    k_norm=own("self_attn.k_norm"),
                    o_proj=own("self_attn.o_proj"),
                    post_attention_layernorm=own("post_attention_layernorm"),
                    gate_up=own("mlp.gate_proj", "mlp.up_proj"),
                    down_proj=own("mlp.down_proj"),
                )
            )

    def read(self, ids: Sequence[int], kept: "Kept") -> "Tensor":
        """Logits of what comes behind `ids`, (vocabulary,) float32; adds their keys and values to `kept`.

        The first call may have many ids, every further one has one.
        """
        import torch
        from torch.nn.functional import linear, scaled_dot_product_attention, silu

        before = kept[0][0].shape[2] if kept else 0
        assert len(ids) == 1 or not before
        sizes = [self._heads * self._head, self._key_heads * self._head, self._key_heads * self._head]
        turn = self._cosines[before : before + len(ids)], self._sines[before : before + len(ids)]
        x = self._words[torch.tensor(ids, device=self.device)]
        for number, layer in enumerate(self._layers):
            q, k, v = torch.split(linear(self._normed(x, layer.input_layernorm), layer.qkv), sizes, dim=-1)
            q = _turned(self._normed(self._by_head(q), layer.q_norm), turn)
            k, v = _turned(self._normed(self._by_head(k), layer.k_norm), turn), self._by_head(v)
            if before:
                k, v = torch.cat((kept[number][0], k), dim=2), torch.cat((kept[number][1], v), dim=2)
                kept[number] = k, v
            else:
                kept.append((k, v))
            mixed = scaled_dot_product_attention(q, k, v, is_causal=len(ids) > 1, enable_gqa=True)
            x = x + linear(mixed[0].transpose(0, 1).flatten(1), layer.o_proj)
            gate, up = linear(self._normed(x, layer.post_attention_layernorm), layer.gate_up).chunk(2, dim=-1)
            x = x + linear(silu(gate) * up, layer.down_proj)
        return linear(self._normed(x[-1], self._norm), self._words).float()

    def _normed(self, x: "Tensor", weight: "Tensor") -> "Tensor":
        from torch.nn.functional import rms_norm

        return rms_norm(x, (x.shape[-1],), weight, self._epsilon)

    def _by_head(self, x: "Tensor") -> "Tensor":
        """(length, heads * head) to (1, heads, length, head)."""
        return x.view(1, len(x), -1, self._head).transpose(1, 2)


def _turned(x: "Tensor", turn: "tuple[Tensor, Tensor]") -> "Tensor":
    import torch

    first, second = x.chunk(2, dim=-1)
    return x * turn[0] + torch.cat((-second, first), dim=-1) * turn[1]


class Tokens:
    """The starter's tokenizer: of transformers' interface what `rendering` asks for."""

    bos_token = None
    eos_token = END

    def __init__(self, folder: Path) -> None:
        """Raises ModelFolderError."""
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from tokenizers import Tokenizer

        try:
            self._core: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self.chat_template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
            self._template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(
                self.chat_template
            )
        except Exception as error:  # files from outside may raise anything
            raise ModelFolderError(f"The tokenizer in {folder} cannot be read: {error}") from error
        self.added_tokens_decoder = self._core.get_added_tokens_decoder()
        self.eos_token_id: int | None = self._core.token_to_id(END)
        self.ends = frozenset(self._core.token_to_id(token) for token in (END, END_OF_TEXT))

    def __len__(self) -> int:
        return int(self._core.get_vocab_size())

    def __call__(self, text: str, **_: bool) -> dict[str, Any]:
        """Ids, without any special token added, and from where to where each stands."""
        found = self._core.encode(text, add_special_tokens=False)
        return {"input_ids": found.ids, "offset_mapping": found.offsets}

    def apply_chat_template(self, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool, **_: bool) -> str:
        return self._template.render(messages=messages, add_generation_prompt=add_generation_prompt)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool, **_: bool) -> str:
        text: str = self._core.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text
