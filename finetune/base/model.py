"""The starter's network: Qwen3's shape in plain torch, with the attention that trees need.

Its parameters carry transformers' names, so a saved folder loads with `AutoModelForCausalLM.from_pretrained`. Sources:
Qwen3 (arXiv 2505.09388): grouped heads, RMS norms on queries and keys, SwiGLU, rotary positions, tied embeddings.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, rms_norm, scaled_dot_product_attention, silu

EPSILON = 1e-6
THETA = 10_000.0


@dataclass(frozen=True, slots=True)
class Shape:
    vocabulary: int
    width: int
    layers: int
    heads: int
    key_heads: int
    inner: int
    head: int = 64

    @property
    def parameters(self) -> int:
        attention = self.width * self.head * 2 * (self.heads + self.key_heads) + 2 * self.head
        layer = attention + 3 * self.width * self.inner + 2 * self.width
        return self.vocabulary * self.width + self.layers * layer + self.width


# "full" is what ships; "small" is for two cores and an evening; "tiny" is for tests.
PRESETS = {
    "full": {"width": 512, "layers": 9, "heads": 8, "key_heads": 4, "inner": 1280, "head": 64},
    "deep": {"width": 384, "layers": 16, "heads": 6, "key_heads": 3, "inner": 1024, "head": 64},
    "small": {"width": 320, "layers": 6, "heads": 5, "key_heads": 5, "inner": 832, "head": 64},
    "tiny": {"width": 64, "layers": 2, "heads": 2, "key_heads": 1, "inner": 128, "head": 32},
}


class _Linear(nn.Linear):
    """Weights are kept in float32 and multiplied in the activations' type."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight.to(x.dtype))


class _Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), EPSILON)


class _Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.head = shape.head
        self.q_proj = _Linear(shape.width, shape.heads * shape.head)
        self.k_proj = _Linear(shape.width, shape.key_heads * shape.head)
        self.v_proj = _Linear(shape.width, shape.key_heads * shape.head)
        self.o_proj = _Linear(shape.heads * shape.head, shape.width)
        self.q_norm, self.k_norm = _Norm(shape.head), _Norm(shape.head)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Any) -> Tensor:
        rows, length, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(rows, length, -1, self.head)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(rows, length, -1, self.head)).transpose(1, 2)
        v = self.v_proj(x).view(rows, length, -1, self.head).transpose(1, 2)
        q, k = _turned(q, turn), _turned(k, turn)
        if isinstance(mask, Tensor):
            mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        else:
            from torch.nn.attention.flex_attention import flex_attention

            mixed = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, length, -1))
        return out


class _Inner(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = _Linear(shape.width, shape.inner)
        self.up_proj = _Linear(shape.width, shape.inner)
        self.down_proj = _Linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.self_attn, self.mlp = _Attention(shape), _Inner(shape)
        self.input_layernorm, self.post_attention_layernorm = _Norm(shape.width), _Norm(shape.width)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Any) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), turn, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class _Body(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = _Norm(shape.width)


class Starter(nn.Module):
    """A decoder over rows of tokens, each with its position and what it may see."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape
        self.model = _Body(shape)
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                into_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
                spread = 0.02 if "embed" in name else weight.shape[1] ** -0.5
                spread *= (2 * shape.layers) ** -0.5 if into_stream else 1.0
                with torch.no_grad():
                    weight.normal_(0.0, spread, generator=generator)

    def hidden(self, ids: Tensor, positions: Tensor, mask: Any, dtype: torch.dtype) -> Tensor:
        """(rows, length) int64 ids and positions to (rows, length, width) in `dtype`."""
        x = self.model.embed_tokens(ids).to(dtype)
        turn = _turn(positions, self.shape.head, dtype)
        for layer in self.model.layers:
            x = layer(x, turn, mask)
        return self.model.norm(x)  # type: ignore[no-any-return] # a module's call is untyped

    def logits(self, hidden: Tensor) -> Tensor:
        return linear(hidden, self.model.embed_tokens.weight.to(hidden.dtype))

    def forward(self, ids: Tensor, positions: Tensor, mask: Any, targets: Tensor, dtype: torch.dtype) -> Tensor:
        """Cross-entropy of every token, (rows, length) float32."""
        logits = self.logits(self.hidden(ids, positions, mask, dtype))
        return cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)

    def config(self) -> dict[str, Any]:
        """What transformers' config.json says of it."""
        shape = self.shape
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.width,
            "intermediate_size": shape.inner,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.key_heads,
            "head_dim": shape.head,
            "hidden_act": "silu",
            "max_position_embeddings": 2048,
            "rms_norm_eps": EPSILON,
            "rope_parameters": {"rope_type": "default", "rope_theta": THETA},
            "rope_theta": THETA,
            "attention_bias": False,
            "attention_dropout": 0.0,
            "tie_word_embeddings": True,
            "use_cache": True,
            "use_sliding_window": False,
            "initializer_range": 0.02,
            "dtype": "bfloat16",
        }


def shape_of(preset: str, vocabulary: int) -> Shape:
    return Shape(vocabulary, **PRESETS[preset])


def described(shape: Shape) -> dict[str, int]:
    return {**asdict(shape), "parameters": shape.parameters}


def _turn(positions: Tensor, head: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every position's angles, (rows, 1, length, head)."""
    frequencies = THETA ** (-torch.arange(0, head, 2, device=positions.device, dtype=torch.float32) / head)
    angles = (positions.float()[..., None] * frequencies).repeat(1, 1, 2)[:, None]
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * turn[0] + torch.cat((-second, first), dim=-1) * turn[1]


def dense_mask(seen: Tensor) -> Tensor:
    """Who sees whom, (rows, 1, length, length) bool: of one's tree the beginning and one's own branch.

    seen: tree * 64 + branch of every token.
    """
    tree, branch = seen // 64, seen % 64
    length = seen.shape[1]
    before = torch.ones(length, length, dtype=torch.bool, device=seen.device).tril()
    one_tree = tree[:, :, None] == tree[:, None, :]
    open_ = (branch[:, None, :] == 0) | (branch[:, :, None] == branch[:, None, :])
    return (before & one_tree & open_)[:, None]


def block_mask(seen: Tensor) -> Any:
    """The same for flex attention on a GPU."""
    from torch.nn.attention.flex_attention import create_block_mask

    tree, branch = seen // 64, seen % 64

    def sees(row: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        del head
        open_ = (branch[row, k] == 0) | (branch[row, q] == branch[row, k])
        return (q >= k) & (tree[row, q] == tree[row, k]) & open_

    rows, length = seen.shape
    return create_block_mask(sees, rows, None, length, length, device=seen.device.type)
