"""Attention over packed examples, each by itself: the time grows with each one's square, not with that of the row.

transformers masks a packed row's examples from each other, and computes and masks all pairs of tokens: on a CPU most of
a pass. Nothing is masked here, so nothing can leak. On a GPU this is torch's own variable-length flash attention.
"""

import inspect
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

from retrieval.errors import FinetuneError

NAME = "atelier_packed"
TOLERANCE = 0.02  # of the largest logit; a leak changes them by several times as much, bfloat16 by less


def attend_each(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query: (1, heads, tokens, size); key, value: (1, kv_heads, tokens, size). Returns (1, tokens, heads, size).

    cu_seq_lens_q: (examples + 1,) where each begins, and the end. max_length_q: of the longest.
    """
    if attention_mask is not None or any(
        kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")
    ):
        raise ValueError("attention of a kind of its own")
    if query.is_cuda and dropout == 0.0:
        return _on_gpu(query, key, value, cu_seq_lens_q, max_length_q, scaling, sliding_window), None
    dropout = dropout if module.training else 0.0
    return _one_by_one(query, key, value, cu_seq_lens_q, dropout, scaling, sliding_window), None


@torch.compiler.disable  # type: ignore[untyped-decorator] # its loop is over data; torch leaves it untyped
def _one_by_one(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    attended = [
        functional.scaled_dot_product_attention(
            query[:, :, first:last],
            key[:, :, first:last],
            value[:, :, first:last],
            attn_mask=_window(last - first, window, query.device),
            is_causal=not window or last - first <= window,
            dropout_p=dropout,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for first, last in pairwise(bounds.tolist())
        if first < last
    ]
    return torch.cat(attended, dim=2).transpose(1, 2).contiguous()


def _window(length: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    if not window or length <= window:
        return None
    distance = torch.arange(length, device=device)[:, None] - torch.arange(length, device=device)
    return (distance >= 0) & (distance < window)


def _on_gpu(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    known, groups = inspect.signature(varlen_attn).parameters, query.shape[1] // key.shape[1]
    if groups > 1:  # older torch knows no grouped queries here
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else query.dtype
    if scaling is not None and "scale" not in known:
        query, scaling = query * (scaling * query.shape[-1] ** 0.5), None
    q, k, v = (tensor[0].transpose(0, 1).to(dtype).contiguous() for tensor in (query, key, value))
    options: dict[str, Any] = {} if scaling is None else {"scale": scaling}
    if "window_size" in known:
        options["window_size"] = (window - 1 if window else -1, 0)
    elif window:
        raise ValueError("this torch attends to windows only by a mask")
    else:
        options["is_causal"] = True
    attended = varlen_attn(q, k, v, bounds, bounds, longest, longest, **options)
    assert isinstance(attended, torch.Tensor)
    return attended[None]


def part_packed(model: Any, autocast: Any) -> None:
    """Let `model` keep packed examples apart, by this attention where it gives the same as the model's own.

    Both ways are tried out on the model, since nothing in a config says reliably what it does. autocast: a context
    manager that passes run in. Raises FinetuneError if neither keeps them apart.
    """
    own = model.config._attn_implementation  # noqa: SLF001 - transformers has no public name for it
    lone, packed, _ = _tried(model, autocast)
    if own == "sdpa":
        AttentionInterface.register(NAME, attend_each)
        AttentionMaskInterface.register(NAME, _no_mask)
        try:
            model.set_attn_implementation(NAME)
            _, _, other = _tried(model, autocast)
        except (
            ImportError,
            RuntimeError,
            TypeError,
            ValueError,
        ):  # no such kernel, no such argument, another attention
            other = None
        if other is not None and _same(lone, other):
            return
        model.set_attn_implementation(own)
    if not _same(lone, packed):
        raise FinetuneError("This model sees from one packed example into the next. Set packing = false in the recipe.")


def parts(model: Any) -> bool:
    """Whether part_packed chose this attention for the model, so that it wants to be told where examples begin."""
    return bool(model.config._attn_implementation == NAME)  # noqa: SLF001 - as above


def bounds_of(lengths: list[int], device: Any) -> dict[str, Any]:
    """What this attention has to be told, under transformers' names for it.

    The numbers of a few sizes only, by empty examples at the end: a compiled layer is compiled anew for each.
    """
    filled = [0, *lengths, *[0] * (-len(lengths) % 32)]
    starts = torch.tensor(filled).cumsum(0).to(device, torch.int32)
    longest = 1 << (max(lengths) - 1).bit_length()
    return {"cu_seq_lens_q": starts, "cu_seq_lens_k": starts, "max_length_q": longest, "max_length_k": longest}


def _no_mask(*_: Any, **__: Any) -> None:
    return None


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return bool(torch.isfinite(second).all() and (first - second).abs().max() <= TOLERANCE * first.abs().max())


@torch.no_grad()
def _tried(model: Any, autocast: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of a few random tokens: alone, behind others, and behind others with the bounds told."""
    device, vocabulary = next(model.parameters()).device, model.config.get_text_config().vocab_size
    lengths = [24, 12]
    ids = torch.randint(vocabulary, (1, sum(lengths)), generator=torch.Generator().manual_seed(0)).to(device)
    positions = torch.cat([torch.arange(length) for length in lengths])[None].to(device)
    was_training = model.training
    model.eval()

    def said(first: int, **kwargs: Any) -> torch.Tensor:
        output = model(input_ids=ids[:, first:], position_ids=positions[:, first:], use_cache=False, **kwargs)
        return torch.as_tensor(output.logits[0, -lengths[1] :]).float()

    try:
        with autocast:
            if parts(model):
                told = said(0, **bounds_of(lengths, device))
                return told, told, told
            alone = said(lengths[0])
            return alone, said(0), alone
    finally:
        model.train(was_training)
