"""The table of the bot's methods, and those about itself, chats and files."""

import re
from collections.abc import Callable
from typing import Any

from tests.emulators import telegram_sending as sending
from tests.emulators.telegram_params import Params
from tests.emulators.telegram_values import Json, bad_request
from tests.emulators.telegram_world import Chat, World

MOST_DOWNLOAD = 20_000_000  # bytes; https://core.telegram.org/bots/api#getfile
MOST_COMMANDS = 100  # https://core.telegram.org/bots/api#setmycommands
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")  # https://core.telegram.org/bots/api#botcommand

Method = Callable[[World, Params], Any]  # the result as JSON


def get_me(world: World, _: Params) -> Json:
    """https://core.telegram.org/bots/api#getme"""
    return {
        **world.bot.json(),
        "can_join_groups": True,
        "can_read_all_group_messages": world.reads_all,
        "supports_inline_queries": False,
    }


def set_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setmycommands"""
    commands = params.parsed("commands")
    if not isinstance(commands, list) or not all(isinstance(command, dict) for command in commands):
        raise bad_request("can't parse commands: expected an Array of Object")
    if len(commands) > MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not _COMMAND.fullmatch(str(command.get("command", "")).removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(str(command.get("description", ""))) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    world.commands[_scope(params)] = commands
    return True


def get_my_commands(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getmycommands: of exactly this scope and language."""
    return world.commands.get(_scope(params), [])


def delete_my_commands(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletemycommands"""
    world.commands.pop(_scope(params), None)
    return True


def _scope(params: Params) -> str:
    """https://core.telegram.org/bots/api#botcommandscope"""
    scope = params.mapping("scope") or {"type": "default"}
    return " ".join([*(str(scope[key]) for key in sorted(scope, reverse=True)), params.text("language_code")]).strip()


def set_chat_menu_button(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setchatmenubutton"""
    button = params.mapping("menu_button") or {"type": "default"}
    if button.get("type") not in {"commands", "web_app", "default"}:
        raise bad_request("can't parse menu button: unsupported type")
    world.menu = button
    return True


def get_chat_menu_button(world: World, _: Params) -> Json:
    """https://core.telegram.org/bots/api#getchatmenubutton"""
    return world.menu


def get_file(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getfile"""
    stored = world.files.get(params.text("file_id"))
    if stored is None:
        raise bad_request("invalid file_id")
    if len(stored.content) > MOST_DOWNLOAD:
        raise bad_request("file is too big")
    return {
        "file_id": stored.file_id,
        "file_unique_id": f"u{stored.file_id}",
        "file_size": len(stored.content),
        "file_path": f"{stored.kind}s/{stored.file_id}",
    }


def get_chat(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#chatfullinfo"""
    gifts = "unlimited_gifts limited_gifts unique_gifts premium_subscription gifts_from_channels".split()
    return {
        **world.chat(params.integer("chat_id")).json(),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": dict.fromkeys(gifts, False),
    }


def get_chat_member(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#getchatmember"""
    chat = _inside(world, params)
    user_id = params.integer("user_id")
    if user_id == world.bot.id:
        return world.member(chat, world.bot)
    known = [user for other in world.chats.values() for user in other.members.values() if user.id == user_id]
    if not known:
        raise bad_request("user not found")
    return world.member(chat, known[0])


def get_chat_administrators(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#getchatadministrators: no bots but this one."""
    chat = _inside(world, params)
    if chat.kind == "private":
        raise bad_request("there are no administrators in the private chat")
    found = [world.member(chat, chat.members[chat.owner])] if chat.owner in chat.members else []
    return [*found, world.member(chat, world.bot)] if chat.bot == "administrator" else found


def leave_chat(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#leavechat"""
    chat = _inside(world, params)
    if chat.kind == "private":
        raise bad_request("chat member status can't be changed in private chats")
    world.bot_becomes(chat, "left", world.bot)
    return True


def _inside(world: World, params: Params) -> Chat:
    return world.writable(params.integer("chat_id"))


def set_webhook(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#setwebhook; plain http is taken, as a local Bot API server does."""
    url = params.text("url")
    if not url:
        return delete_webhook(world, params)
    if not url.startswith(("https://", "http://")):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.text("secret_token")
    if secret and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
        raise bad_request("secret token contains unallowed characters")
    connections = params.integer("max_connections")
    if connections is not None and not 1 <= connections <= 100:
        raise bad_request("max_connections must be between 1 and 100")
    _drop(world, params)
    allow(world, params)
    world.webhook.set(url, secret, connections or 40)
    return True


def delete_webhook(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletewebhook"""
    _drop(world, params)
    world.webhook.set("", "", 40)
    return True


def get_webhook_info(world: World, _: Params) -> Json:
    """https://core.telegram.org/bots/api#webhookinfo"""
    hook = world.webhook
    found: Json = {
        "url": hook.url,
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates.pending),
    }
    if hook.url:
        found["max_connections"] = hook.max_connections
    if hook.last_error:
        found |= {"last_error_date": int(hook.last_error_at), "last_error_message": hook.last_error}
    if world.updates.allowed:
        found["allowed_updates"] = sorted(world.updates.allowed)
    return found


def allow(world: World, params: Params) -> None:
    """Without the parameter the previous setting stays. https://core.telegram.org/bots/api#getupdates"""
    kinds = params.parsed("allowed_updates")
    if isinstance(kinds, list):
        world.updates.allow([str(kind) for kind in kinds])


def _drop(world: World, params: Params) -> None:
    if params.flag("drop_pending_updates"):
        world.updates.pending.clear()


def file_content(world: World, path: str) -> bytes | None:
    """The bytes behind a file_path."""
    stored = world.files.get(path.rpartition("/")[2])
    return None if stored is None or len(stored.content) > MOST_DOWNLOAD else stored.content


METHODS: dict[str, Method] = {  # getUpdates waits, so the server has it
    "getMe": get_me,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setChatMenuButton": set_chat_menu_button,
    "getChatMenuButton": get_chat_menu_button,
    "sendMessage": sending.send_message,
    "sendPhoto": sending.send_photo,
    "sendDocument": sending.send_document,
    "sendMessageDraft": sending.send_message_draft,
    "sendChatAction": sending.send_chat_action,
    "editMessageMedia": sending.edit_message_media,
    "editMessageText": sending.edit_message_text,
    "editMessageReplyMarkup": sending.edit_message_reply_markup,
    "deleteMessage": sending.delete_message,
    "answerCallbackQuery": sending.answer_callback_query,
    "setMessageReaction": sending.set_message_reaction,
    "getFile": get_file,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "getChatAdministrators": get_chat_administrators,
    "leaveChat": leave_chat,
}
