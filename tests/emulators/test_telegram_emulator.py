"""The Telegram emulator's messages, files and groups, seen by the unmodified python-telegram-bot."""

import pytest
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllGroupChats,
    ChatMemberAdministrator,
    ForceReply,
    LinkPreviewOptions,
    MenuButtonCommands,
    MessageEntity,
    ReplyParameters,
)
from telegram.constants import ReactionEmoji
from telegram.error import BadRequest, ChatMigrated, Forbidden

from tests.emulators.telegram import TelegramEmulator
from tests.emulators.telegram_library import BUTTONS, drain
from tests.emulators.telegram_sending import REACTIONS, plain_emoji
from tests.emulators.telegram_text import format_text
from tests.emulators.telegram_values import ApiError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


# Messages


async def test_a_conversation_with_buttons(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann", username="ann_b")
    with pytest.raises(Forbidden, match=r"(?i)initiate"):
        await bot.send_message(ann.id, "too early")
    ann.starts("idea-7")
    (update,) = await drain(bot)
    assert update.message.text == "/start idea-7"
    assert update.message.entities[0].type == "bot_command"
    sent = await bot.send_message(ann.id, "…", reply_parameters=ReplyParameters(update.message.message_id))
    assert sent.reply_to_message.text == "/start idea-7"
    await bot.edit_message_text("Here it is", ann.id, sent.message_id, reply_markup=BUTTONS)
    shown = emulator.seen(ann)[-1]
    assert (shown.author, shown.text, shown.edited, shown.buttons) == ("bot", "Here it is", 1, (("👍", "👎"),))
    assert shown.reply_to == update.message.message_id
    assert emulator.history(sent.message_id) == ["…", "Here it is"]
    query = ann.presses(shown, "👍")
    assert ann.was_told(query) is None
    (pressed,) = await drain(bot)
    assert (pressed.callback_query.data, pressed.callback_query.message.text) == ("good", "Here it is")
    await pressed.callback_query.answer("Thanks")
    told = ann.was_told(query)
    assert told is not None
    assert (told.text, told.alert) == ("Thanks", False)
    with pytest.raises(BadRequest, match=r"(?i)too old"):
        await bot.answer_callback_query("1")
    with pytest.raises(BadRequest, match=r"(?i)TOO_LONG"):
        await bot.answer_callback_query(query, "a" * 201)
    await bot.edit_message_reply_markup(ann.id, sent.message_id)
    with pytest.raises(LookupError):
        ann.presses(shown, "👍")
    assert await bot.delete_message(ann.id, sent.message_id)
    assert [message.text for message in emulator.seen(ann)] == ["/start idea-7"]
    assert emulator.history(sent.message_id, ann) == ["…", "Here it is", "Here it is"]


async def test_the_limits_of_a_message(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    await bot.send_message(ann.id, "😀" * 2048)
    with pytest.raises(BadRequest, match=r"(?i)too long"):
        await bot.send_message(ann.id, "😀" * 2048 + "a")
    with pytest.raises(BadRequest, match=r"(?i)empty"):
        await bot.send_message(ann.id, " \n ")
    for data in ("", "ä" * 33):
        with pytest.raises(BadRequest, match=r"(?i)BUTTON_DATA_INVALID"):
            await bot._post(
                "sendMessage",
                {
                    "chat_id": ann.id,
                    "text": "x",
                    "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": data}]]},
                },
            )
    many = [MessageEntity("bold", index, 1) for index in range(130)]
    sent = await bot.send_message(ann.id, "a" * 130, entities=many)
    assert len(sent.entities) == 100
    assert (len(emulator.seen(ann)[-1].entities), emulator.seen(ann)[-1].entities_dropped) == (100, 30)
    with pytest.raises(BadRequest, match=r"(?i)chat not found"):
        await bot.send_message(1, "nobody")
    with pytest.raises(BadRequest, match=r"(?i)replied not found"):
        await bot.send_message(ann.id, "x", reply_parameters=ReplyParameters(999))
    await bot.send_message(ann.id, "x", reply_parameters=ReplyParameters(999, allow_sending_without_reply=True))


async def test_what_cannot_be_edited(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    hers = ann.starts()
    sent = await bot.send_message(ann.id, "a", reply_markup=BUTTONS)
    for text in ("a", " a \n"):  # the server trims
        with pytest.raises(BadRequest, match=r"(?i)is not modified"):
            await bot.edit_message_text(text, ann.id, sent.message_id, reply_markup=BUTTONS)
    await bot.edit_message_text("a", ann.id, sent.message_id)  # without its buttons it is another message
    asking = await bot.send_message(ann.id, "Say more", reply_markup=ForceReply(input_field_placeholder="More"))
    assert emulator.seen(ann)[-1].asks_reply
    for message_id in (hers.message_id, asking.message_id):
        with pytest.raises(BadRequest, match=r"(?i)can't be edited"):
            await bot.edit_message_text("b", ann.id, message_id)
    ann.deletes(emulator.seen(ann)[1])
    for message_id in (sent.message_id, 12345):
        with pytest.raises(BadRequest, match=r"(?i)to edit not found"):
            await bot.edit_message_text("b", ann.id, message_id)
    with pytest.raises(BadRequest, match=r"(?i)to delete not found"):
        await bot.delete_message(ann.id, sent.message_id)


async def test_entities_as_given_and_as_recognised(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    given = [MessageEntity("bold", 3, 4), MessageEntity("text_link", 8, 4, url="https://example.org")]
    await bot.send_message(ann.id, "😀 bold link and https://example.com.", entities=given)
    shown = emulator.seen(ann)[-1]
    assert [(entity.type, entity.text) for entity in shown.entities] == [
        ("bold", "bold"),
        ("text_link", "link"),
        ("url", "https://example.com"),
    ]
    assert shown.preview
    await bot.send_message(ann.id, "https://example.com", link_preview_options=LinkPreviewOptions(is_disabled=True))
    assert not emulator.seen(ann)[-1].preview
    for wrong in (MessageEntity("bold", 0, 99), MessageEntity("bold", 1, 2), MessageEntity("bold", -1, 2)):
        with pytest.raises(BadRequest, match=r"(?i)can't parse entities"):
            await bot.send_message(ann.id, "😀 bold", entities=[wrong])


@pytest.mark.parametrize(
    ("mode", "source", "text", "entities"),
    [
        ("HTML", "<b>a <i>b</i></b> &lt;&amp;&#33;", "a b <&!", [("bold", "a b"), ("italic", "b")]),
        ("HTML", '<a href="https://e.org?a=1&amp;b=2">x</a>', "x", [("text_link", "x")]),
        ("HTML", '<pre><code class="language-python">1 &lt; 2</code></pre>', "1 < 2", [("pre", "1 < 2")]),
        ("HTML", "<blockquote expandable>q</blockquote>", "q", [("expandable_blockquote", "q")]),
        ("MarkdownV2", "*a _b_* ~c~ ||d|| __e__", "a b c d e",
         [("bold", "a b"), ("italic", "b"), ("strikethrough", "c"), ("spoiler", "d"), ("underline", "e")]),
        ("MarkdownV2", "`a*b` [l](https://e.org/\\)x) 1\\.", "a*b l 1.", [("code", "a*b"), ("text_link", "l")]),
        ("MarkdownV2", "```python\nx = 1\n```", "x = 1", [("pre", "x = 1")]),
        ("MarkdownV2", ">one\n>two\nthree", "one\ntwo\nthree", [("blockquote", "one\ntwo\n")]),
    ],
)  # fmt: skip
async def test_parse_modes(
    emulator: TelegramEmulator, bot: Bot, mode: str, source: str, text: str, entities: list[tuple[str, str]]
) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    await bot.send_message(ann.id, source, parse_mode=mode)
    shown = emulator.seen(ann)[-1]
    assert shown.text == text
    assert [(entity.type, entity.text) for entity in shown.entities] == entities


@pytest.mark.parametrize(
    ("mode", "source", "complaint"),
    [
        ("HTML", "<b>a", "Can't find end tag"),
        ("HTML", "a</b>", "Unexpected end tag"),
        ("HTML", "<b>a</i>", "Unmatched end tag"),
        ("HTML", "I <3 you > me", 'Unsupported start tag "3"'),
        ("HTML", "a < b", "Unclosed start tag"),
        ("MarkdownV2", "a.b", "'.' is reserved"),
        ("MarkdownV2", "*a", "Can't find end of Bold"),
        ("MarkdownV2", "```a", "Can't find end of Pre"),
        ("Markdown", "a", "unsupported parse_mode"),
    ],
)
def test_what_no_parse_mode_takes(mode: str, source: str, complaint: str) -> None:
    with pytest.raises(ApiError, match=complaint):
        format_text(source, mode, None)


async def test_drafts_are_previews_of_a_private_chat(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Team", [ann])
    ann.starts()
    for text in ("Th", "Think"):
        assert await bot.send_message_draft(ann.id, 7, text)
    shown = emulator.seen(ann)[-1]
    assert (shown.draft, shown.text) == (True, "Think")
    await bot.send_message(ann.id, "Thinking done")
    assert [(message.text, message.draft) for message in emulator.seen(ann)[1:]] == [("Thinking done", False)]
    assert [draft.text for draft in emulator.drafts(ann)] == ["Th", "Think"]
    with pytest.raises(BadRequest, match=r"(?i)PEER_INVALID"):
        await bot.send_message_draft(group.id, 7, "x")
    with pytest.raises(BadRequest, match=r"(?i)non-zero"):
        await bot.send_message_draft(ann.id, 0, "x")


async def test_files_both_ways(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.sends_file("plan.txt", b"the plan", "See @atelier_bot", mime="text/plain")
    ann.sends_photo(PNG)
    ann.sends_file("huge.bin", bytes(20_000_001))
    plan, photo, huge = [update.message for update in await drain(bot)]
    assert (plan.caption, plan.document.file_name, plan.document.mime_type) == (
        "See @atelier_bot", "plan.txt", "text/plain",
    )  # fmt: skip
    assert bytes(await (await plan.document.get_file()).download_as_bytearray()) == b"the plan"
    assert bytes(await (await photo.photo[-1].get_file()).download_as_bytearray()) == PNG
    with pytest.raises(BadRequest, match=r"(?i)file is too big"):
        await huge.document.get_file()
    with pytest.raises(BadRequest, match=r"(?i)invalid file_id"):
        await bot.get_file("nothing")
    sent = await bot.send_document(ann.id, b"a,b", caption="<b>Board</b>", parse_mode="HTML", filename="board.csv")
    assert sent.document.file_name == "board.csv"
    assert bytes(await (await sent.document.get_file()).download_as_bytearray()) == b"a,b"
    await bot.send_document(ann.id, sent.document.file_id)
    await bot.send_photo(ann.id, PNG, caption="😀" * 512)
    assert [message.file for message in emulator.seen(ann)[3:]] == ["board.csv", "board.csv", "photo"]
    with pytest.raises(BadRequest, match=r"(?i)caption is too long"):
        await bot.send_photo(ann.id, PNG, caption="😀" * 512 + "a")
    with pytest.raises(BadRequest, match=r"(?i)IMAGE_PROCESS_FAILED"):
        await bot.send_photo(ann.id, b"no picture")


# Groups


async def test_privacy_mode_hides_what_is_not_meant_for_the_bot(emulator: TelegramEmulator, bot: Bot) -> None:
    ann, bob = emulator.person("Ann"), emulator.person("Bob")
    group = emulator.group("Team", [ann, bob])
    joined, service = await drain(bot)
    assert joined.my_chat_member.new_chat_member.status == "member"
    assert service.message.new_chat_members[0].username == "atelier_bot"
    said = await bot.send_message(group.id, "I am here")
    ann.writes("just between us", group)
    ann.writes("hey @Atelier_Bot", group)
    ann.writes("/ideas", group)
    ann.writes("/ideas@atelier_bot now", group)
    ann.writes("/ideas@other_bot now", group)
    bob.writes("what do you mean?", group, reply_to=said.message_id)
    hers = ann.writes("nothing", group)
    ann.edits(hers, "nothing, @atelier_bot")
    updates = await drain(bot)
    assert [update.effective_message.text for update in updates] == [
        "hey @Atelier_Bot", "/ideas", "/ideas@atelier_bot now", "what do you mean?", "nothing, @atelier_bot",
    ]  # fmt: skip
    assert [entity.type for entity in updates[0].message.entities] == ["mention"]
    assert updates[-1].edited_message.edit_date is not None
    # A reply in a supergroup carries a thread that is no topic.
    assert updates[3].message.message_thread_id == said.message_id
    assert not updates[3].message.is_topic_message
    group.promotes_bot()
    ann.writes("just between us three", group)
    assert [update.effective_message.text for update in (await drain(bot))[1:]] == ["just between us three"]
    open_group = emulator.group("Open", [ann], privacy=False)
    ann.writes("hello all", open_group)
    assert (await drain(bot))[-1].message.text == "hello all"
    assert (await bot.get_me()).can_read_all_group_messages


async def test_topics_keep_their_messages_apart(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Team", [ann], topics=True)
    names, prices = group.topic("Names"), group.topic("Prices")
    await drain(bot)
    asked = ann.writes("@atelier_bot a name?", group, thread=names)
    (update,) = await drain(bot)
    assert (update.message.message_thread_id, update.message.is_topic_message) == (names, True)
    assert update.message.reply_to_message.forum_topic_created.name == "Names"
    await bot.send_message(group.id, "Atlas", message_thread_id=names)
    await bot.send_message(group.id, "Nine", message_thread_id=prices)
    await bot.send_message(group.id, "Hm", reply_parameters=ReplyParameters(asked.message_id))
    assert [message.text for message in emulator.seen(group, names)] == ["@atelier_bot a name?", "Atlas", "Hm"]
    assert [message.text for message in emulator.seen(group, prices)] == ["Nine"]
    assert [message.reply_to for message in emulator.seen(group)] == [None, None, None, asked.message_id]
    plain = emulator.group("Plain", [ann])
    for chat, thread in ((group, 999), (plain, 1)):
        with pytest.raises(BadRequest, match=r"(?i)thread not found"):
            await bot.send_message(chat.id, "x", message_thread_id=thread)


async def test_reactions_reach_an_administrator_who_asked(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Team", [ann])
    sent = await bot.send_message(group.id, "An idea")
    wanted = ["message", "message_reaction"]
    await drain(bot, allowed_updates=wanted)
    (shown,) = emulator.seen(group)
    ann.reacts(shown, "👍")
    assert await drain(bot) == []
    group.promotes_bot()
    ann.reacts(shown, "👎", "❤️")
    (update,) = await drain(bot)
    assert [reaction.emoji for reaction in update.message_reaction.old_reaction] == ["👍"]
    assert [reaction.emoji for reaction in update.message_reaction.new_reaction] == ["👎", "❤"]
    await drain(bot, allowed_updates=[])
    ann.reacts(shown)
    assert await drain(bot) == []
    await bot.set_message_reaction(group.id, sent.message_id, ReactionEmoji.EYES)
    assert emulator.seen(group)[0].reactions == (("bot", "👀"),)
    with pytest.raises(BadRequest, match=r"(?i)REACTION_INVALID"):
        await bot.set_message_reaction(group.id, sent.message_id, "🦖")
    assert {plain_emoji(emoji) for emoji in ReactionEmoji} == REACTIONS


async def test_blocked_kicked_and_gone(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    ann.starts()
    group = emulator.group("Team", [ann])
    await drain(bot)
    ann.blocks_bot()
    group.kicks_bot()
    statuses = [update.my_chat_member.new_chat_member.status for update in await drain(bot)]
    assert statuses == ["kicked", "kicked"]
    with pytest.raises(Forbidden, match=r"(?i)blocked by the user"):
        await bot.send_message(ann.id, "x")
    with pytest.raises(Forbidden, match=r"(?i)kicked"):
        await bot.send_message(group.id, "x")
    ann.writes("@atelier_bot there?", group)
    assert await drain(bot) == []
    ann.starts()
    assert (await drain(bot))[0].my_chat_member.new_chat_member.status == "member"
    await bot.send_message(ann.id, "welcome back")
    group.adds_bot()
    assert await bot.leave_chat(group.id)
    with pytest.raises(Forbidden, match=r"(?i)not a member"):
        await bot.send_message(group.id, "x")


async def test_what_a_bot_asks_about_chats_and_sets_about_itself(emulator: TelegramEmulator, bot: Bot) -> None:
    ann, bob = emulator.person("Ann"), emulator.person("Bob")
    group = emulator.group("Team", [ann])
    group.promotes_bot()
    assert (await bot.get_me()).username == bot.username == "atelier_bot"
    assert (await bot.get_chat(group.id)).title == "Team"
    assert (await bot.get_chat(ann.id)).first_name == "Ann"
    assert [member.user.first_name for member in await bot.get_chat_administrators(group.id)] == ["Ann", "Atelier"]
    assert isinstance(await bot.get_chat_member(group.id, bot.id), ChatMemberAdministrator)
    assert (await bot.get_chat_member(group.id, ann.id)).status == "creator"
    assert (await bot.get_chat_member(group.id, bob.id)).status == "left"
    group.adds(bob)
    assert (await bot.get_chat_member(group.id, bob.id)).status == "member"
    group.removes(bob)
    with pytest.raises(ValueError, match="not in Team"):
        bob.writes("let me in", group)
    scope = BotCommandScopeAllGroupChats()
    await bot.set_my_commands([BotCommand("ideas", "Think")])
    await bot.set_my_commands([BotCommand("ideen", "Denken")], scope=scope, language_code="de")
    assert [command.command for command in await bot.get_my_commands()] == ["ideas"]
    assert [command.command for command in await bot.get_my_commands(scope, "de")] == ["ideen"]
    assert list(await bot.get_my_commands(scope)) == []
    with pytest.raises(BadRequest, match=r"(?i)TOO_MUCH"):
        await bot.set_my_commands([BotCommand(f"c{index}", "x") for index in range(101)])
    with pytest.raises(BadRequest, match=r"(?i)COMMAND_INVALID"):
        await bot.set_my_commands([BotCommand("Über", "x")])
    assert await bot.set_chat_menu_button(menu_button=MenuButtonCommands())
    assert isinstance(await bot.get_chat_menu_button(), MenuButtonCommands)
    assert await bot.send_chat_action(group.id, "typing")
    with pytest.raises(BadRequest, match=r"(?i)action"):
        await bot.send_chat_action(group.id, "dancing")


async def test_a_group_becomes_a_supergroup_under_another_id(emulator: TelegramEmulator, bot: Bot) -> None:
    ann = emulator.person("Ann")
    group = emulator.group("Group", [ann], privacy=False, basic=True)
    await drain(bot)
    new = group.upgrades()
    left, begun = await drain(bot)
    assert (left.message.chat.type, left.message.migrate_to_chat_id) == ("group", new.id)
    assert (begun.message.chat.type, begun.message.migrate_from_chat_id) == ("supergroup", group.id)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(group.id, "late")
    assert moved.value.new_chat_id == new.id
    await bot.send_message(new.id, "here")
    assert [line.text for line in emulator.seen(new)] == ["here"]


async def test_an_administrator_hears_of_members(emulator: TelegramEmulator, bot: Bot) -> None:
    ann, bea = emulator.person("Ann"), emulator.person("Bea")
    group = emulator.group("Group", [ann])
    group.promotes_bot()
    await drain(bot, allowed_updates=["chat_member"])
    group.adds(bea)
    group.removes(bea)
    changes = [update.chat_member for update in await drain(bot, allowed_updates=["chat_member"])]
    assert [(change.old_chat_member.status, change.new_chat_member.status) for change in changes] == [
        ("left", "member"),
        ("member", "left"),
    ]
