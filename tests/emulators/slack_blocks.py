"""Block Kit as Slack's server sees it: the limits it enforces, what a reader sees, and what can be pressed.

Sources: https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/block-kit/block-elements
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

JSON = dict[str, Any]  # what travels: Slack's payloads are JSON objects whose shape the API pages give

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100  # https://docs.slack.dev/reference/block-kit/blocks
MARKDOWN_LIMIT = 12_000  # all of a payload's together: https://docs.slack.dev/reference/block-kit/blocks/markdown-block
# https://docs.slack.dev/reference/block-kit/blocks lists the kinds; a kind Slack does not know is invalid_blocks.
KINDS = frozenset(
    "actions alert call card carousel context context_actions divider file header image input markdown plan rich_text "
    "section table task_card video".split()
)


class Refused(Exception):
    """Slack's answer {"ok": false, "error": error}, with whatever else the method says beside it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass(frozen=True, slots=True)
class Pressable:
    """One thing a person can press: an ordinary button, an icon button, or one half of feedback_buttons."""

    label: str
    action_id: str
    block_id: str
    value: str
    kind: str
    text: JSON


def parse_blocks(given: Any) -> list[JSON]:
    """Blocks as a list. They may come as a JSON string in a form. Raises Refused("invalid_blocks_format")."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given else []
        except ValueError as error:
            raise Refused("invalid_blocks_format") from error
    if not isinstance(given, list) or not all(isinstance(block, dict) for block in given):
        raise Refused("invalid_blocks_format")
    return given


def check_blocks(blocks: Sequence[JSON], most: int = MESSAGE_BLOCKS) -> None:
    """Raise Refused("invalid_blocks" or "msg_blocks_too_long") for what Slack's servers do not take."""
    if len(blocks) > most:
        raise _invalid(f"no more than {most} items allowed", "")
    if sum(len(str(block.get("text", ""))) for block in blocks if block.get("type") == "markdown") > MARKDOWN_LIMIT:
        raise Refused("msg_blocks_too_long")
    seen_ids: set[str] = set()
    for number, block in enumerate(blocks):
        where = f"/{number}"
        if block.get("type") not in KINDS:
            raise _invalid(f"unsupported type: {block.get('type')}", where)
        block_id = block.get("block_id", "")
        if len(block_id) > 255:
            raise _invalid("must be less than 256 characters", f"{where}/block_id")
        if block_id and block_id in seen_ids:  # "block_id should be unique for each message"
            raise _invalid(f"duplicate block_id: {block_id}", where)
        seen_ids.add(block_id)
        _check_block(block, where)


def _check_block(block: JSON, where: str) -> None:
    kind = block["type"]
    if kind == "section":  # https://docs.slack.dev/reference/block-kit/blocks/section-block
        if "text" not in block and not block.get("fields"):
            raise _invalid("a section needs text or fields", where)
        if "text" in block:
            _check_text(block["text"], 3_000, f"{where}/text")
        fields = block.get("fields", [])
        if len(fields) > 10:
            raise _invalid("no more than 10 items allowed", f"{where}/fields")
        for number, field in enumerate(fields):
            _check_text(field, 2_000, f"{where}/fields/{number}")
        if "accessory" in block:
            _check_elements([block["accessory"]], where)
    elif kind == "header":  # https://docs.slack.dev/reference/block-kit/blocks/header-block
        _check_text(block.get("text"), 150, f"{where}/text", kinds=("plain_text",))
    elif kind == "markdown":
        if not isinstance(block.get("text"), str) or not block["text"]:
            raise _invalid("must be more than 0 characters", f"{where}/text")
    elif kind in {"actions", "context", "context_actions"}:
        # https://docs.slack.dev/reference/block-kit/blocks/context-block (10), actions-block (25), context-actions (5)
        most = {"actions": 25, "context": 10, "context_actions": 5}[kind]
        elements = block.get("elements")
        if not isinstance(elements, list) or not 1 <= len(elements) <= most:
            raise _invalid(f"must have 1 to {most} items", f"{where}/elements")
        if kind == "context":
            for number, element in enumerate(elements):
                if element.get("type") != "image":
                    _check_text(element, 3_000, f"{where}/elements/{number}")
        else:
            _check_elements(elements, where, feedback=kind == "context_actions")
    elif kind == "input":  # https://docs.slack.dev/reference/block-kit/blocks/input-block
        _check_text(block.get("label"), 2_000, f"{where}/label", kinds=("plain_text",))
        _check_elements([block.get("element", {})], where)


def _check_text(text: Any, most: int, where: str, kinds: Sequence[str] = ("plain_text", "mrkdwn")) -> None:
    """https://docs.slack.dev/reference/block-kit/composition-objects/text-object"""
    if not isinstance(text, dict) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        raise _invalid(f"must be a text object of type {' or '.join(kinds)}", where)
    if not 1 <= len(text["text"]) <= most:
        raise _invalid(f"must be more than 0 and less than {most + 1} characters", f"{where}/text")


def _check_elements(elements: Sequence[JSON], where: str, *, feedback: bool = False) -> None:
    action_ids: set[str] = set()
    for number, element in enumerate(elements):
        here = f"{where}/elements/{number}"
        kind = element.get("type")
        if not kind or feedback != (kind in {"feedback_buttons", "icon_button"}):
            raise _invalid(f"unsupported type: {kind}", here)
        action_id = element.get("action_id", "")
        if len(action_id) > 255:
            raise _invalid("must be less than 256 characters", f"{here}/action_id")
        if action_id and action_id in action_ids:  # "unique among all other action_ids in the containing block"
            raise _invalid(f"`action_id` {action_id} already exists", here)
        action_ids.add(action_id)
        for half in _halves(element):
            _check_text(half.get("text"), 75, f"{here}/text", kinds=("plain_text",))
            if len(half.get("value", "")) > 2_000:
                raise _invalid("must be less than 2001 characters", f"{here}/value")
            if len(half.get("url", "")) > 3_000:
                raise _invalid("must be less than 3001 characters", f"{here}/url")
            if kind == "feedback_buttons" and not half.get("value"):
                raise _invalid("missing required field: value", here)


def _halves(element: JSON) -> list[JSON]:
    """The buttons an element shows. https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element"""
    if element.get("type") == "feedback_buttons":
        return [element.get("positive_button", {}), element.get("negative_button", {})]
    return [element] if element.get("type") in {"button", "icon_button"} else []


def _invalid(message: str, where: str) -> Refused:
    explained = f"[ERROR] {message} [json-pointer:/blocks{where}]"
    return Refused("invalid_blocks", response_metadata={"messages": [explained]})


def with_ids(blocks: Sequence[JSON], prefix: str) -> list[JSON]:
    """Copies in which every block has a block_id and every pressable element an action_id, as Slack fills them in."""
    filled = []
    for number, given in enumerate(blocks):
        block = {"block_id": f"{prefix}{number}", **given}
        if block["type"] in {"actions", "context_actions"}:
            block["elements"] = [
                {"action_id": f"{prefix}{number}.{place}", **element} for place, element in enumerate(block["elements"])
            ]
        filled.append(block)
    return filled


def pressables(blocks: Sequence[JSON]) -> Iterator[Pressable]:
    """All buttons of blocks that have been through with_ids, in reading order."""
    for block in blocks:
        elements = block.get("elements", []) if block["type"] in {"actions", "context_actions"} else []
        if block["type"] == "section" and "accessory" in block:
            elements = [block["accessory"]]
        for element in elements:
            for half in _halves(element):
                text = half["text"]
                yield Pressable(
                    label=text["text"],
                    action_id=element.get("action_id", ""),
                    block_id=block["block_id"],
                    value=half.get("value", ""),
                    kind=element["type"],
                    text=text,
                )


def reads(blocks: Sequence[JSON]) -> str:
    """What blocks say to a reader, one line a block; buttons are not text. Slack's markup is left as it was sent."""
    return "\n".join(said for said in map(_says, blocks) if said)


def _says(block: JSON) -> str:
    kind = block.get("type")
    if kind == "markdown":
        return str(block["text"])
    if kind in {"section", "header"}:
        texts = [block["text"]] if "text" in block else []
        return "\n".join(text["text"] for text in [*texts, *block.get("fields", [])])
    if kind == "context":
        return " ".join(element.get("text", element.get("alt_text", "")) for element in block["elements"])
    if kind == "image":
        return str(block.get("alt_text", ""))
    if kind == "rich_text":
        return _rich(block)
    if kind == "table":  # https://docs.slack.dev/reference/block-kit/blocks/table-block
        return "\n".join(" | ".join(cell.get("text") or _rich(cell) for cell in row) for row in block.get("rows", []))
    return ""


def _rich(node: JSON) -> str:
    """https://docs.slack.dev/reference/block-kit/blocks/rich-text-block"""
    kind = node.get("type")
    if kind == "user":
        return f"<@{node['user_id']}>"
    if kind == "link":
        return str(node.get("text") or node["url"])
    if kind == "emoji":
        return f":{node['name']}:"
    if "text" in node:
        return str(node["text"])
    between = "\n" if kind in {"rich_text", "rich_text_list"} else ""
    return between.join(_rich(child) for child in node.get("elements", []))
