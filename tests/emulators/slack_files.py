"""The Web API's file methods: three steps to upload, one to look up."""

import mimetypes

from tests.emulators import slack_events as events
from tests.emulators.slack_blocks import JSON, Refused
from tests.emulators.slack_chat import missing, writable
from tests.emulators.slack_world import BOT_USER, File, Message, World


def file_info(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/files.info: only what was shared where the bot is."""
    file = world.files.get(str(given.get("file", "")))
    if file is None or not readable(world, file):
        raise Refused("file_not_found")
    return {"file": world.file_json(file), "comments": [], "response_metadata": {"next_cursor": ""}}


def readable(world: World, file: File) -> bool:
    return file.user == BOT_USER or any(world.channels[channel].bot_in for channel in file.channels)


def upload_url(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/files.getUploadURLExternal"""
    name = str(given.get("filename") or "")
    if not name or not str(given.get("length") or "").isdigit():
        raise missing("filename or length")
    file = File(world.new_id("F"), name, mimetypes.guess_type(name)[0] or "application/octet-stream", BOT_USER)
    world.files[file.id] = file
    return {"upload_url": f"{world.url}/upload/v1/{file.id}", "file_id": file.id}


def complete_upload(world: World, given: JSON) -> JSON:
    """https://docs.slack.dev/reference/methods/files.completeUploadExternal: with a channel it posts a message."""
    wanted = given.get("files")
    if not isinstance(wanted, list) or not wanted:
        raise missing("files")
    files = [world.files.get(str(one.get("id", ""))) for one in wanted]
    done = [file for file in files if file is not None and file.content is not None]
    if len(done) != len(files):
        raise Refused("file_not_found")
    for file, one in zip(done, wanted, strict=True):
        file.title = str(one.get("title") or file.name)
    channels = [given["channel_id"]] if given.get("channel_id") else str(given.get("channels") or "").split(",")
    for key in filter(None, channels):
        channel = writable(world, {"channel": key})
        for file in done:
            file.channels.append(channel.id)
        said = str(given.get("initial_comment") or "")
        message = Message(world.ts(), channel.id, BOT_USER, said, thread_ts=given.get("thread_ts"))
        message.files = [file.id for file in done]
        world.add(message)
        world.announce(events.message(world, message))
    return {"files": [world.file_json(file) for file in done]}
