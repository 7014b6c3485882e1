"""The Web API's chat methods, streaming included, with Slack's limits and error codes.

Each takes the world (its lock held) and the call's arguments, and returns what stands beside "ok" in the answer.
"""

import json
import time
from typing import Any

from tests.emulators import slack_events as events
from tests.emulators.slack_blocks import JSON, MARKDOWN_LIMIT, Refused, check_blocks, parse_blocks, with_ids
from tests.emulators.slack_world import BOT_USER, TEAM, Channel, Message, Stream, World

TEXT_LIMIT = 40_000  # https://docs.slack.dev/reference/methods/chat.postMessage
EDIT_LIMIT = 4_000  # https://docs.slack.dev/reference/methods/chat.update: msg_too_long, for the text of an edit


def post_message(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.postMessage"""
    channel = writable(world, given)
    message = _composed(world, given, channel)
    message.metadata = _metadata(given)
    world.add(message)
    world.announce(events.message(world, message))
    return {"channel": channel.id, "ts": message.ts, "message": world.message_json(message)}


def post_ephemeral(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.postEphemeral"""
    channel = writable(world, given)
    if given.get("user") not in channel.members:
        raise Refused("user_not_in_channel")
    message = _composed(world, given, channel)
    message.ephemeral_for = given["user"]
    return {"message_ts": world.add(message).ts}


def update(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.update"""
    channel, message = _own(world, given, "cant_update_message")
    if message.streaming:
        raise Refused("streaming_state_conflict")  # undocumented; reported by many who edited an open stream
    before = world.message_json(message)
    if len(given.get("text") or "") > EDIT_LIMIT:
        raise Refused("msg_too_long")
    new = _composed(world, given, channel)
    message.text = new.text or message.text
    # "If you don't include this field, the message's previous blocks will be retained": a streamed or markdown text
    # is blocks too, so an edit of `text` alone changes only what notifications say.
    if "blocks" in given or new.markdown:
        message.blocks, message.markdown = with_ids(new.blocks, f"e{new.ts[-6:]}"), new.markdown
    if "metadata" in given:
        message.metadata = _metadata(given)
    if message.stream:
        message.stream.open = False
    message.edited = {"user": BOT_USER, "ts": world.ts()}
    world.announce(events.message_changed(world, message, before))
    said = world.message_json(message)
    return {"channel": channel.id, "ts": message.ts, "text": said["text"], "message": said}


def delete(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.delete"""
    channel, message = _own(world, given, "cant_delete_message")
    if message.streaming:
        raise Refused("cant_delete_message")
    before = world.message_json(message)
    del channel.messages[message.ts]
    world.announce(events.message_deleted(world, channel, before))
    return {"channel": channel.id, "ts": message.ts}


def permalink(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.getPermalink"""
    channel = world.channel(str(given.get("channel", "")))
    ts = str(given.get("message_ts", ""))
    if ts not in channel.messages:
        raise Refused("message_not_found")
    return {"channel": channel.id, "permalink": f"{world.url}/archives/{channel.id}/p{ts.replace('.', '')}"}


def start_stream(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.startStream"""
    _streaming(world)
    channel = writable(world, given)
    if not given.get("thread_ts"):
        raise missing("thread_ts")
    if channel.kind != "im":  # "Required when streaming to channels"
        for needed in ("recipient_team_id", "recipient_user_id"):
            if not given.get(needed):
                raise Refused(f"missing_{needed}")
        if given["recipient_team_id"] != TEAM:
            raise Refused("team_not_found")
        if given["recipient_user_id"] not in world.users:
            raise Refused("user_not_found")
    _thread(channel, given["thread_ts"])
    message = Message(world.ts(), channel.id, BOT_USER, thread_ts=given["thread_ts"])
    message.stream = Stream(time.monotonic() + world.stream_seconds)
    _append(message, given)
    world.add(message)
    world.announce(events.message(world, message))
    return {"channel": channel.id, "ts": message.ts}


def append_stream(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.appendStream"""
    message = _live(world, given)
    if not given.get("markdown_text") and not given.get("chunks"):
        raise Refused("no_text")
    _append(message, given)
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/chat.stopStream: blocks go below the text; only here metadata."""
    message = _live(world, given)
    before = world.message_json(message)
    blocks = parse_blocks(given.get("blocks") or [])
    check_blocks(blocks)
    metadata = _metadata(given)
    _append(message, given)
    message.blocks = [*message.blocks, *blocks]
    message.metadata = metadata or message.metadata
    if message.stream:
        message.stream.open = False
    world.add(message)  # again, so that the blocks get their ids
    world.announce(events.message_changed(world, message, before))
    return {"channel": message.channel, "ts": message.ts, "message": world.message_json(message)}


def writable(world: World, given: JSON, key: str = "channel") -> Channel:
    """The channel an app may write to: it must be a member."""
    channel = world.channel(str(given.get(key) or ""))
    if not channel.bot_in:
        raise Refused("not_in_channel" if channel.kind == "channel" else "channel_not_found")
    return channel


def missing(field: str) -> Refused:
    return Refused("invalid_arguments", response_metadata={"messages": [f"[ERROR] missing required field: {field}"]})


def _streaming(world: World) -> None:
    if not world.streaming:  # as on a Slack that does not offer streaming
        raise Refused("unknown_method")


def _composed(world: World, given: JSON, channel: Channel) -> Message:
    text, markdown = str(given.get("text") or ""), str(given.get("markdown_text") or "")
    blocks = parse_blocks(given.get("blocks") or [])
    if markdown and (text or blocks):  # "should not be used in conjunction with blocks or text"
        raise Refused("markdown_text_conflict")
    if len(text) > TEXT_LIMIT or len(markdown) > MARKDOWN_LIMIT:
        raise Refused("msg_too_long")
    check_blocks(blocks)
    if not (text.strip() or markdown.strip() or blocks):
        raise Refused("no_text")
    thread_ts = given.get("thread_ts")
    if thread_ts:
        _thread(channel, thread_ts)
    return Message(world.ts(), channel.id, BOT_USER, text, markdown, blocks, thread_ts)


def _thread(channel: Channel, thread_ts: str) -> None:
    if not any(thread_ts in {line.ts, line.thread_ts} for line in channel.messages.values()):
        raise Refused("thread_not_found")


def _own(world: World, given: JSON, refusal: str) -> tuple[Channel, Message]:
    channel = world.channel(str(given.get("channel") or ""))
    message = channel.messages.get(str(given.get("ts") or ""))
    if message is None or message.ephemeral_for:  # "Ephemeral messages cannot be updated in this way"
        raise Refused("message_not_found")
    if message.author != BOT_USER:
        raise Refused(refusal)
    return channel, message


def _live(world: World, given: JSON) -> Message:
    _streaming(world)
    channel = writable(world, given)
    message = channel.messages.get(str(given.get("ts") or ""))
    if message is None:
        raise Refused("message_not_found")
    if message.author != BOT_USER:
        raise Refused("message_not_owned_by_app")
    if not message.streaming:
        raise Refused("message_not_in_streaming_state")
    return message


def _append(message: Message, given: JSON) -> None:
    """Add what a stream call brings. https://docs.slack.dev/reference/methods/chat.appendStream#chunks"""
    stream = message.stream
    if stream is None:
        raise Refused("message_not_in_streaming_state")
    markdown, chunks = given.get("markdown_text") or "", _loads(given.get("chunks") or [], "invalid_chunks")
    if not isinstance(chunks, list) or not all(isinstance(chunk, dict) for chunk in chunks):
        raise Refused("invalid_chunks")
    mode = "chunks" if chunks else "text" if markdown else None
    if mode and stream.mode and mode != stream.mode:
        raise Refused("streaming_mode_mismatch")  # undocumented: the first payload fixes a stream's kind for its life
    blocks: list[JSON] = []
    for chunk in chunks:
        kind = chunk.get("type")
        if kind == "markdown_text" and isinstance(chunk.get("text"), str):
            markdown += chunk["text"]
        elif kind == "blocks":
            blocks += parse_blocks(chunk.get("blocks"))
        elif kind not in {"task_update", "plan_update"}:
            raise Refused("invalid_chunks")
    if len(markdown) > MARKDOWN_LIMIT or len(message.markdown) + len(markdown) > TEXT_LIMIT:
        raise Refused("msg_too_long")
    check_blocks([*message.blocks, *blocks])
    stream.mode = stream.mode or mode
    message.markdown += markdown
    message.blocks += blocks


def _metadata(given: JSON) -> JSON | None:
    """https://docs.slack.dev/messaging/message-metadata"""
    metadata = _loads(given.get("metadata") or None, "invalid_metadata_format")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    return metadata


def _loads(value: Any, refusal: str) -> Any:
    """A form carries nested arguments as JSON strings; a JSON body carries them as they are."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise Refused(refusal) from error
