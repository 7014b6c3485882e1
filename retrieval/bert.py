"""BERT's encoder (Devlin et al. 2019, arXiv 1810.04805) in plain torch: what the default encoder runs on.

The numbers are those of transformers' BertModel; but importing that takes several seconds at every start, and its
layers spend a third of a short message's pass in Python. Other encoders still come by transformers.
"""

import json
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

_IN_BF16 = ("cpu", torch.bfloat16)
_NAMES = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
    "norm": ("attention.output.LayerNorm",),
    "widen": ("intermediate.dense",),
    "narrow": ("output.dense",),
    "last_norm": ("output.LayerNorm",),
}  # ours, and those of a published folder
FEW_PLACES = {True: 256, False: 64}  # of a pass on one thread, or more: beyond, fetching the weights is not the most
FEW_IN_BF16 = 28  # the same beside weights of bfloat16, which a processor that multiplies them reads sooner in the end
FEW_TEXTS = 4  # of a pass without padding: each is attended to by itself, which takes some fifty microseconds a layer


class Layer(nn.Module):
    """One transformer layer, with queries, keys and values in one product."""

    def __init__(self, dim: int, inner: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps)
        self.widen = nn.Linear(dim, inner)
        self.narrow = nn.Linear(inner, dim)
        self.last_norm = nn.LayerNorm(dim, eps)

    def forward(self, states: Tensor, mask: Tensor | None, lengths: Sequence[int] | None = None) -> Tensor:
        """states: (n, width, dim). mask: (n, 1, 1, width), True where there is a word piece; None: everywhere.

        lengths: of texts that stand one after the other, without padding, in one row.
        """
        n, width, dim = states.shape
        parts = self.qkv(states).view(n, width, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        if lengths is None:
            heard = scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        else:
            texts = parts.split(list(lengths), dim=3)
            heard = torch.cat([scaled_dot_product_attention(q, k, v) for q, k, v in texts], dim=2)
        states = self.norm(states + self.out(heard.transpose(1, 2).reshape(n, width, dim)))
        result: Tensor = self.last_norm(states + self.narrow(gelu(self.widen(states))))
        return result


class Halved(nn.Module):
    """A linear map whose weights lie in memory in 16 bits; products and sums are of 32.

    A short message's pass is mostly spent on fetching weights, so it takes about half as long. Cosine of the encoder's
    vectors to those of full weights: at least .999999.
    """

    def __init__(self, whole: nn.Linear) -> None:
        """Raises AttributeError or RuntimeError where torch has no such product, as on other processors than x86."""
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch means to drop it some day: then the full weights serve again
            self._packed = torch.fbgemm_pack_gemm_matrix_fp16(whole.weight.detach().float().contiguous())
            self._bias = whole.bias.detach().float()
            self(self._bias.new_zeros(1, whole.in_features))

    def forward(self, states: Tensor) -> Tensor:
        made: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(states, *self.kept)
        return made

    @property
    def kept(self) -> tuple[Tensor, Tensor]:
        """The weights, as torch packs them, and the bias."""
        return self._packed, self._bias


class Halves(NamedTuple):
    """What `Halved` keeps of a layer's products, each weight followed by its bias, and the layer's norms."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm: Tensor
    norm_bias: Tensor
    widen: Tensor
    widen_bias: Tensor
    narrow: Tensor
    narrow_bias: Tensor
    last_norm: Tensor
    last_norm_bias: Tensor

    @classmethod
    def of(cls, layer: Layer) -> "Halves":
        found: list[Tensor] = []
        for part in (layer.qkv, layer.out, layer.norm, layer.widen, layer.narrow, layer.last_norm):
            if isinstance(part, nn.Linear):
                found += Halved(part).kept
            else:
                found += (part.weight.detach().float(), part.bias.detach().float())
        return cls(*found)


def halves_through(
    states: Tensor, mask: Tensor | None, lengths: list[int] | None, layers: list[Halves], heads: int, eps: float
) -> list[Tensor]:
    """What the layers make of `states`, one after another, and first `states`: as `Layer` does, for TorchScript."""
    n, width, dim = states.shape
    made = [states]
    for each in layers:
        qkv = torch.fbgemm_linear_fp16_weight_fp32_activation(states, each.qkv, each.qkv_bias)
        parts = qkv.view(n, width, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        if lengths is None:
            heard = scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        else:
            texts = parts.split_with_sizes(lengths, dim=3)
            heard = torch.cat([scaled_dot_product_attention(text[0], text[1], text[2]) for text in texts], dim=2)
        heard = heard.transpose(1, 2).reshape(n, width, dim)
        out = torch.fbgemm_linear_fp16_weight_fp32_activation(heard, each.out, each.out_bias)
        states = layer_norm(states + out, [dim], each.norm, each.norm_bias, eps)
        wide = gelu(torch.fbgemm_linear_fp16_weight_fp32_activation(states, each.widen, each.widen_bias))
        narrow = torch.fbgemm_linear_fp16_weight_fp32_activation(wide, each.narrow, each.narrow_bias)
        states = layer_norm(states + narrow, [dim], each.last_norm, each.last_norm_bias, eps)
        made.append(states)
    return made


@lru_cache(maxsize=1)
def in_one_call() -> Callable[..., list[Tensor]]:
    """`halves_through` without Python between its steps; itself where torch cannot compile it.

    Beside another thread that does the same, each step would wait for that one's Python, hundreds of times a message.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to drop it some day: then Python goes from step to step again
        try:
            compiled: Callable[..., list[Tensor]] = torch.jit.script(halves_through)
        except Exception:  # noqa: BLE001 - whatever a compiler raises
            return halves_through
        return compiled


class Quick:
    """Layers for passes that are short, of float32 in and out: their products' weights lie in 16 bits."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        """Raises as Halved."""
        self._heads, self._eps = layers[0].heads, layers[0].norm.eps
        self._layers = [Halves.of(each) for each in layers]
        self._run = in_one_call()

    def __deepcopy__(self, _: object) -> "Quick":
        """Itself: its weights never change, and what TorchScript compiles cannot be copied."""
        return self

    def __call__(
        self,
        states: Tensor,
        mask: Tensor | None = None,
        lengths: Sequence[int] | None = None,
        start: int = 0,
        depth: int | None = None,
    ) -> list[Tensor]:
        """What layer after layer makes of `states`, and first these. mask, lengths: as of `Layer`.

        start, depth: the first layer that reads, and the one before which to end (None: all).
        """
        return self._run(
            states, mask, None if lengths is None else list(lengths), self._layers[start:depth], self._heads, self._eps
        )


def for_short(layers: Sequence[nn.Module]) -> Quick | None:
    """The same layers for short passes; None where that cannot be.

    Beside bfloat16 they take 3.5 MB a layer more, and a message of 8 tokens takes half as long (EPYC of 2023). AMX
    reads bfloat16 sooner yet, so there they are none.
    """
    own = [each for each in layers if isinstance(each, Layer)]
    kinds = {(each.out.weight.device.type, each.out.weight.dtype) for each in own}
    if len(own) == len(layers) and (kinds == {("cpu", torch.float32)} or (kinds == {_IN_BF16} and not _has_amx())):
        with suppress(AttributeError, RuntimeError):
            return Quick(own)
    return None


def for_short_of(product: nn.Linear) -> nn.Module:
    """The same of one product: itself where that cannot be."""
    with suppress(AttributeError, RuntimeError):
        return Halved(product)
    return product


def is_short(places: int, weights: torch.dtype = torch.float32) -> bool:
    """Whether a pass of so many takes less time with the layers `for_short`: their products take one thread alone.

    weights: of the layers that they stand in for.
    """
    return places <= (FEW_IN_BF16 if weights == torch.bfloat16 else FEW_PLACES[torch.get_num_threads() == 1])


def _has_amx() -> bool:
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return ask is not None and bool(ask())


class Bert(nn.Module):
    """Embeddings and layers. A message is one segment, so there is one type of token.

    layers: with full weights. quick: those for short passes, where there are others.
    """

    def __init__(self, dim: int, inner: int, heads: int, depth: int, eps: float) -> None:
        super().__init__()
        self.dim = dim
        self.words = self.places = self.kind = torch.empty(0)  # (vocabulary, dim), (positions, dim), (dim,)
        self.norm = nn.LayerNorm(dim, eps)
        self.layers = nn.ModuleList(Layer(dim, inner, heads, eps) for _ in range(depth))
        self.quick: Quick | None = None

    @classmethod
    def load(cls, folder: Path, device: str, dtype: torch.dtype) -> "Bert":
        """From a published folder. Raises OSError, ValueError, KeyError or SafetensorError where it is not one."""
        config = json.loads((folder / "config.json").read_text())
        found = {name: weight.to(device, dtype) for name, weight in load_file(folder / "model.safetensors").items()}
        with torch.device("meta"):  # the weights come from the file
            bert = cls(
                config["hidden_size"],
                config["intermediate_size"],
                config["num_attention_heads"],
                config["num_hidden_layers"],
                config["layer_norm_eps"],
            )
        bert.words = found["embeddings.word_embeddings.weight"]
        bert.places = found["embeddings.position_embeddings.weight"]
        bert.kind = found["embeddings.token_type_embeddings.weight"][0]
        own = {f"norm.{kind}": found[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")}
        for number in range(len(bert.layers)):
            for name, theirs in _NAMES.items():
                for kind in ("weight", "bias"):
                    parts = torch.cat([found[f"encoder.layer.{number}.{each}.{kind}"] for each in theirs])
                    # lying so, it need not be turned around for each product: a fifth less for a short message
                    own[f"layers.{number}.{name}.{kind}"] = parts.t().contiguous().t() if parts.dim() == 2 else parts
        bert.load_state_dict(own, assign=True)
        bert.eval().requires_grad_(requires_grad=False)
        bert.quick = for_short(list(bert.layers))
        return bert

    def forward(
        self, tokens: Tensor, mask: Tensor, kept: Collection[int] = (), depth: int | None = None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Token states, (n, width, dim), and those of the layers `kept` (0: what the first layer reads).

        tokens: (n, width), int64. mask: (n, width), True where there is a word piece. depth: layers that are run (all).
        """
        states = self.norm(self.words[tokens] + self.kind + self.places[: tokens.shape[1]])
        return self.above(states, None if bool(mask.all()) else mask, kept, 0, depth)

    def above(
        self, states: Tensor, mask: Tensor | None, kept: Collection[int], start: int, depth: int | None = None
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The same from the states of the layer `start` on; `kept` are this layer or higher ones.

        mask: None where nothing is padding.
        """
        if mask is None:
            return self._through(states, None, None, kept, start, depth)
        if len(states) > FEW_TEXTS:
            return self._through(states, mask[:, None, None, :], None, kept, start, depth)
        # a few texts of different lengths in one row: no product is made for places where there is nothing
        shape = (*mask.shape, self.dim)
        last, states_of = self._through(states[mask][None], None, mask.sum(1).tolist(), kept, start, depth)

        def padded(states: Tensor) -> Tensor:
            made = states.new_zeros(shape)
            made[mask] = states[0]
            return made

        return padded(last), {number: padded(each) for number, each in states_of.items()}

    def _through(
        self,
        states: Tensor,
        wide: Tensor | None,
        lengths: Sequence[int] | None,
        kept: Collection[int],
        start: int,
        depth: int | None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        if self.quick is not None and is_short(states.shape[0] * states.shape[1], self.norm.weight.dtype):
            states = states if states.dtype == torch.float32 else states.float()
            made = self.quick(states, wide, lengths, start, depth)
            return made[-1], {number: each for number, each in enumerate(made, start) if number in kept}
        states = states.to(self.norm.weight.dtype)
        states_of = {start: states} if start in kept else {}
        for number, layer in enumerate(islice(self.layers, start, depth), start + 1):
            states = layer(states, wide, lengths)
            if number in kept:
                states_of[number] = states
        return states, states_of
