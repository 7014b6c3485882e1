"""The bot's methods that put messages before people: send, edit, delete, draft, react, answer."""

import re
import time

from tests.emulators.telegram_params import MOST_UPLOAD, Params, Upload
from tests.emulators.telegram_text import Formatted, format_text, utf16
from tests.emulators.telegram_values import Answer, Draft, Json, bad_request
from tests.emulators.telegram_world import Chat, Content, Message, StoredFile, World

MOST_TEXT = 4096  # UTF-16 units; https://core.telegram.org/bots/api#sendmessage
MOST_CAPTION = 1024  # https://core.telegram.org/bots/api#sendphoto
MOST_PHOTO = 10_000_000  # bytes; https://core.telegram.org/bots/api#sendphoto
MOST_ANSWER = 200  # https://core.telegram.org/bots/api#answercallbackquery
MOST_BUTTONS = 100  # undocumented; python-telegram-bot's constants.InlineKeyboardMarkupLimit
DELETABLE_SECONDS = 48 * 3600  # https://core.telegram.org/bots/api#deletemessage
ACTIONS = frozenset(  # https://core.telegram.org/bots/api#sendchataction
    "typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker "
    "find_location record_video_note upload_video_note".split()
)
REACTIONS = frozenset(  # https://core.telegram.org/bots/api#reactiontypeemoji
    "👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 "
    "🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 "
    "🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡".split()
)
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current content "
    "and reply markup of the message"
)


def plain_emoji(emoji: str) -> str:
    """Without variation selectors: libraries write them, the API page does not."""
    return emoji.replace("\ufe0f", "")


def send_message(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendmessage"""
    chat = world.writable(params.integer("chat_id"))
    formatted = _text(params)
    return _send(world, params, chat, _content(params, formatted))


def send_photo(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendphoto"""
    return _send_file(world, params, "photo")


def send_document(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#senddocument"""
    return _send_file(world, params, "document")


def edit_message_text(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagetext"""
    chat, message = _editable(world, params)
    formatted = _text(params)
    if message.now.file:
        raise bad_request("there is no text in the message to edit")
    return _edit(world, chat, message, _content(params, formatted))


def edit_message_media(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagemedia: a photo or a document, or one in place of a text."""
    chat, message = _editable(world, params)
    media = Params(params.mapping("media"), params.files)
    kind = media.text("type")
    if kind not in {"photo", "document"}:
        raise bad_request("can't parse InputMedia: only photos and documents are known here")
    caption = format_text(media.text("caption"), media.text("parse_mode"), media.parsed("caption_entities"))
    if utf16(caption.text) > MOST_CAPTION:
        raise bad_request("message caption is too long")
    given = media.file("media")
    stored = _store(world, kind, given) if isinstance(given, Upload) else world.files.get(given)
    if stored is None:
        raise bad_request("wrong file identifier/HTTP URL specified")
    content = Content(caption.text, caption.entities, _markup(params), stored, dropped=caption.dropped)
    return _edit(world, chat, message, content)


def edit_message_reply_markup(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagereplymarkup"""
    chat, message = _editable(world, params)
    now = message.now
    return _edit(
        world, chat, message, Content(now.text, now.entities, _markup(params), now.file, now.preview, now.dropped)
    )


def delete_message(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletemessage"""
    chat = world.writable(params.integer("chat_id"))
    message = world.message(chat, params.integer("message_id"), "to delete")
    own = message.author is world.bot or chat.kind == "private" or chat.bot == "administrator"
    if not own or time.time() - message.date > DELETABLE_SECONDS:
        raise bad_request("message can't be deleted")
    message.deleted = True
    return True


def send_message_draft(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#sendmessagedraft"""
    chat = world.writable(params.integer("chat_id"))
    if chat.kind != "private":
        raise bad_request("TEXTDRAFT_PEER_INVALID")
    draft_id = params.integer("draft_id")
    if not draft_id:
        raise bad_request("draft_id must be non-zero")
    text = format_text(params.text("text"), params.text("parse_mode"), params.parsed("entities")).text
    if utf16(text) > MOST_TEXT:  # an empty text is allowed: it shows "Thinking…"
        raise bad_request("message is too long")
    chat.draft = Draft(draft_id, text, time.monotonic())
    chat.drafts.append(chat.draft)
    return True


def send_chat_action(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#sendchataction"""
    chat = world.writable(params.integer("chat_id"))
    world.topic(chat, params.integer("message_thread_id"))
    if params.text("action") not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    return True


def answer_callback_query(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#answercallbackquery"""
    query = params.text("callback_query_id")
    if query not in world.queries:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    text = params.text("text")
    if utf16(text) > MOST_ANSWER:
        raise bad_request("MESSAGE_TOO_LONG")
    world.queries[query] = Answer(text, params.flag("show_alert"))
    return True


def set_message_reaction(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setmessagereaction: a bot sets at most one, of a fixed list."""
    chat = world.writable(params.integer("chat_id"))
    message = world.message(chat, params.integer("message_id"), "to react")
    reactions = params.parsed("reaction") or []
    if not isinstance(reactions, list) or not all(isinstance(reaction, dict) for reaction in reactions):
        raise bad_request("can't parse reaction: expected an Array of Object")
    emojis = [plain_emoji(str(reaction.get("emoji"))) for reaction in reactions]
    if len(emojis) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    if not REACTIONS.issuperset(emojis):
        raise bad_request("REACTION_INVALID")
    world.react(chat, message, world.bot, emojis)
    return True


def _text(params: Params) -> Formatted:
    if not params.text("text"):
        raise bad_request("message text is empty")
    formatted = format_text(params.text("text"), params.text("parse_mode"), params.parsed("entities"))
    if not formatted.text:
        raise bad_request("text must be non-empty")
    if utf16(formatted.text) > MOST_TEXT:
        raise bad_request("message is too long")
    return formatted


def _content(params: Params, formatted: Formatted) -> Content:
    # https://core.telegram.org/bots/api#linkpreviewoptions
    linked = any(entity["type"] in {"url", "text_link"} for entity in formatted.entities)
    hidden = params.mapping("link_preview_options").get("is_disabled") or params.flag("disable_web_page_preview")
    return Content(
        formatted.text,
        formatted.entities,
        _markup(params),
        preview=linked and not hidden,
        dropped=formatted.dropped,
    )


def _send(world: World, params: Params, chat: Chat, content: Content) -> Json:
    thread = world.topic(chat, params.integer("message_thread_id"))
    reply_to = _reply_to(chat, params)
    if thread is None and reply_to is not None and chat.messages[reply_to].topic:
        thread = chat.messages[reply_to].thread
    message = world.post(chat, world.bot, content, thread=thread, reply_to=reply_to)
    return world.json(chat, message)


def _reply_to(chat: Chat, params: Params) -> int | None:
    """https://core.telegram.org/bots/api#replyparameters"""
    reply = params.mapping("reply_parameters")
    wanted = Params(reply).integer("message_id") or params.integer("reply_to_message_id")
    if wanted is None:
        return None
    found = chat.messages.get(wanted)
    if found is not None and not found.deleted:
        return wanted
    if reply.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply"):
        return None
    raise bad_request("message to be replied not found")


def _markup(params: Params) -> Json | None:
    """Check a reply markup. https://core.telegram.org/bots/api#inlinekeyboardbutton"""
    markup = params.mapping("reply_markup")
    rows = markup.get("inline_keyboard")
    if rows is None:
        placeholder = str(markup.get("input_field_placeholder") or "")
        if len(placeholder) > 64:  # https://core.telegram.org/bots/api#forcereply
            raise bad_request("input field placeholder is too long")
        return markup or None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request("can't parse inline keyboard: expected an Array of Array")
    buttons = [button for row in rows for button in row]
    if len(buttons) > MOST_BUTTONS:
        raise bad_request("reply markup is too long")
    for button in buttons:
        if not isinstance(button, dict) or not isinstance(button.get("text"), str):
            raise bad_request("can't parse inline keyboard button: can't find field \"text\"")
        if not button["text"].strip():
            raise bad_request("inline keyboard button text is empty")
        if "callback_data" in button:
            if not 1 <= len(str(button["callback_data"]).encode()) <= 64:
                raise bad_request("BUTTON_DATA_INVALID")
        elif len(button) == 1:
            raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    rows = [row for row in rows if row]
    return {"inline_keyboard": rows} if rows else None


def _editable(world: World, params: Params) -> tuple[Chat, Message]:
    """The bot's own message. https://core.telegram.org/bots/api#updating-messages"""
    chat = world.writable(params.integer("chat_id"))
    message = world.message(chat, params.integer("message_id"), "to edit")
    markup = message.now.markup
    # "it is currently only possible to edit messages without reply_markup or with inline keyboards"
    if message.author is not world.bot or message.service or (markup and "inline_keyboard" not in markup):
        raise bad_request("message can't be edited")
    if params.mapping("reply_markup") and "inline_keyboard" not in params.mapping("reply_markup"):
        raise bad_request("inline keyboard expected")
    return chat, message


def _edit(world: World, chat: Chat, message: Message, content: Content) -> Json:
    if content == message.now:
        raise bad_request(NOT_MODIFIED)
    world.edit(message, content)
    return world.json(chat, message)


def _send_file(world: World, params: Params, kind: str) -> Json:
    chat = world.writable(params.integer("chat_id"))
    caption = format_text(params.text("caption"), params.text("parse_mode"), params.parsed("caption_entities"))
    if utf16(caption.text) > MOST_CAPTION:
        raise bad_request("message caption is too long")
    given = params.file(kind)
    stored = _store(world, kind, given) if isinstance(given, Upload) else world.files.get(given)
    if stored is None and re.match(r"https?://", str(given)):  # nothing here reaches the internet
        raise bad_request("failed to get HTTP URL content")
    if stored is None or stored.kind != kind:
        raise bad_request("wrong file identifier/HTTP URL specified")
    content = Content(caption.text, caption.entities, _markup(params), stored, dropped=caption.dropped)
    return _send(world, params, chat, content)


def _store(world: World, kind: str, upload: Upload) -> StoredFile:
    if not upload.content:
        raise bad_request("file must be non-empty")
    if len(upload.content) > (MOST_PHOTO if kind == "photo" else MOST_UPLOAD):
        raise bad_request(f"file is too big for a {kind}")
    pictures = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF")
    if kind == "photo" and not upload.content.startswith(pictures):
        raise bad_request("IMAGE_PROCESS_FAILED")
    return world.store(kind, upload.name, upload.mime, upload.content)
