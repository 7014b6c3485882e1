"""What is learned of a conversation: the assistant's words and the end of its turn, in every family's own form."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.rendering import PLAIN_TEMPLATE, ChatMessage, render, render_training
from retrieval.errors import DataRefused
from tests.finetune.templates import FAMILIES, tokenizer_of

GOLDEN = Path(__file__).parent / "golden"
CONVERSATION = (
    ChatMessage("system", "Answer kindly and briefly."),
    ChatMessage("user", "How many days of leave are there?"),
    ChatMessage("assistant", "Thirty days a year [1]."),
    ChatMessage("user", "And for parents?"),
    ChatMessage("assistant", "Parents have forty."),
)
TOKENIZERS = {name: tokenizer_of(name) for name in FAMILIES}
TOKENIZERS["none"].chat_template = PLAIN_TEMPLATE  # as agent/generation/loading.py does


def shown(tokenizer, ids, mask) -> str:
    """The text with what is learned between ⟦ and ⟧."""
    parts, start = [], 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or mask[at] != mask[start]:
            text = "".join(piece(tokenizer, ids[start:at]))
            parts.append(f"⟦{text}⟧" if mask[start] else text)
            start = at
    return "".join(parts)


def piece(tokenizer, ids) -> str:
    context = tokenizer.convert_tokens_to_ids("A")  # a decoder may drop the first space of a text
    return tokenizer.decode([context, *ids], clean_up_tokenization_spaces=False)[1:]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_learned_is_the_golden_text(family):
    tokenizer = TOKENIZERS[family]
    ids, mask = render_training(CONVERSATION, tokenizer)
    assert len(ids) == len(mask)
    assert shown(tokenizer, ids, mask) == (GOLDEN / f"{family}.txt").read_text()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("conversation", [CONVERSATION, CONVERSATION[:3], CONVERSATION[1:3], CONVERSATION[1:]])
def test_the_prompt_is_the_one_that_is_served(family, conversation):
    tokenizer = TOKENIZERS[family]
    served = render(conversation[:-1], tokenizer)
    ids, mask = render_training(conversation, tokenizer)
    assert ids[: len(served)] == served
    assert shown(tokenizer, ids[len(served) :], mask[len(served) :]).lstrip("⟦ ").startswith(conversation[-1].content)


@pytest.mark.parametrize("family", ["qwen2", "llama3", "mistral", "gemma", "phi3", "zephyr", "llama2"])
def test_the_ids_are_those_of_the_template(family):
    tokenizer = TOKENIZERS[family]
    conversation = CONVERSATION[1:]
    ids, _ = render_training(conversation, tokenizer)
    plain = [{"role": message.role, "content": message.content} for message in conversation]
    assert ids == tokenizer.apply_chat_template(plain, return_dict=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_learns_to_stop_even_where_padding_is_the_end(family):
    tokenizer = TOKENIZERS[family]
    ids, mask = render_training(CONVERSATION, tokenizer)
    ends = {"gemma": "<end_of_turn>", "phi3": "<|end|>"}
    end = tokenizer.convert_tokens_to_ids(ends.get(family, tokenizer.eos_token))
    assert [id_ for id_, learned in zip(ids, mask, strict=True) if learned][-1] == end
    if family in ("zephyr", "llama2", "mistral"):
        assert tokenizer.pad_token_id == end


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_can_be_left_out(family):
    tokenizer = TOKENIZERS[family]
    ids, mask = render_training(CONVERSATION, tokenizer, untrained={2})
    learned = [id_ for id_, learned in zip(ids, mask, strict=True) if learned]
    assert "Thirty" not in piece(tokenizer, learned)
    assert "Parents have forty." in piece(tokenizer, learned)
    assert not any(mask[: len(render(CONVERSATION[:-1], tokenizer))])
    assert not any(render_training(CONVERSATION, tokenizer, untrained={2, 4})[1])


@pytest.mark.parametrize("family", ["qwen3", "mistral-v3"])
def test_a_reply_whose_prompt_the_template_rewrites_is_not_learned_in_the_past(family):
    ids, mask = render_training(CONVERSATION, TOKENIZERS[family])
    assert sum(mask) == sum(render_training(CONVERSATION, TOKENIZERS[family], untrained={2})[1])
    assert len(ids) > len(render(CONVERSATION[:-1], TOKENIZERS[family]))


@pytest.mark.parametrize("family", ["qwen2", "llama3", "gemma"])
@settings(max_examples=40)
@given(words=st.text(max_size=40), other=st.text("ab <|>_imend\n", max_size=40))
def test_whatever_is_written_is_learned_and_nothing_else(family, words, other):
    tokenizer = TOKENIZERS[family]
    conversation = [ChatMessage("user", other), ChatMessage("assistant", words)]
    ids, mask = render_training(conversation, tokenizer)
    served = render(conversation[:-1], tokenizer)
    assert ids[: len(served)] == served
    assert not any(mask[: len(served)])
    first, last = mask.index(True), len(mask) - 1 - mask[::-1].index(True)
    assert all(mask[first : last + 1])
    control = set(tokenizer.added_tokens_decoder)
    inside = [id_ for id_ in ids[first : last + 1] if id_ in control and id_ in tokenizer.all_special_ids]
    assert len([id_ for id_ in inside if tokenizer.decode([id_]) in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>")]) == 1


def test_a_token_that_reaches_over_the_border_is_parted():
    tokenizer = tokenizer_of("none")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}a{{ m.content }}{% endfor %}{% if add_generation_prompt %}assistanta"
        "{% endif %}"
    )
    conversation = (ChatMessage("user", "Hello"), ChatMessage("assistant", "nd for parents"))
    served = render(conversation[:-1], tokenizer)
    ids, mask = render_training(conversation, tokenizer)
    assert ids[: len(served)] == served
    assert all(mask[len(served) :])
    assert tokenizer.decode(ids[len(served) : -1]) == "nd for parents"


@pytest.mark.parametrize("conversation", [(), CONVERSATION[:2], CONVERSATION[2:3]])
def test_a_conversation_without_a_reply_is_refused(conversation):
    with pytest.raises(DataRefused, match="ends with the assistant's reply"):
        render_training(conversation, TOKENIZERS["qwen2"])
