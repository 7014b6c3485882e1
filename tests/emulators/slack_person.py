"""A person at their Slack: whatever they do reaches the app as Slack would send it. Safe from any thread."""

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from tests.emulators import slack_events as events
from tests.emulators.slack_blocks import JSON, Pressable, Refused, pressables
from tests.emulators.slack_delivery import Courier, Delivery
from tests.emulators.slack_server import respond
from tests.emulators.slack_world import BOT_USER, Channel, File, Message, User, World

Attachment = tuple[str, bytes]  # file name, content


class Person:
    """Made by SlackEmulator.person. Raises ValueError for what Slack's own window would not let a person do."""

    def __init__(self, user: User, world: World, courier: Courier) -> None:
        self.user, self._world, self._courier = user, world, courier

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def dm(self) -> str:
        """The id of their direct messages with the bot."""
        with self._world.lock:
            return self._world.direct([self.id]).id

    def writes(
        self, text: str, channel: str | None = None, thread_ts: str | None = None, files: Sequence[Attachment] = ()
    ) -> str:
        """Write in a channel (None: to the bot directly). Returns the message's ts.

        A mention of the bot in a channel arrives twice: as message and as app_mention.
        """
        world = self._world
        with world.lock:
            place = self._place(channel)
            message = Message(world.ts(), place.id, self.id, text, thread_ts=thread_ts)
            for name, content in files:
                kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
                file = File(world.new_id("F"), name, kind, self.id, content, channels=[place.id])
                world.files[file.id] = file
                message.files.append(file.id)
            world.add(message)
            if place.bot_in:
                world.announce(events.message(world, message))
                if f"<@{BOT_USER}>" in text and place.kind != "im":
                    world.announce(events.app_mention(world, message))
        return message.ts

    def edits(self, ts: str, text: str) -> None:
        with self._world.lock:
            message = self._own(ts)
            before = self._world.message_json(message)
            message.text = text
            message.edited = {"user": self.id, "ts": self._world.ts()}
            self._announce(message, events.message_changed(self._world, message, before))

    def deletes(self, ts: str) -> None:
        with self._world.lock:
            message = self._own(ts)
            before = self._world.message_json(message)
            channel = self._world.channels[message.channel]
            del channel.messages[ts]
            self._announce(message, events.message_deleted(self._world, channel, before))

    def reacts(self, ts: str, name: str) -> None:
        self._react(ts, name, add=True)

    def unreacts(self, ts: str, name: str) -> None:
        self._react(ts, name, add=False)

    def presses(self, where: str, button: str, value: str | None = None) -> Delivery:
        """Press a button. where: a message's ts, "home" or "view" (the open modal). button: its label or action_id.

        value tells apart buttons with the same action_id, as the two halves of feedback_buttons.
        """
        world = self._world
        with world.lock:
            if where in {"home", "view"}:
                view = self.user.home if where == "home" else self._open_view()
                pressed = self._button((view or {}).get("blocks", []), button, value)
                container: JSON = {"type": "view", "view_id": (view or {}).get("id")}
                more: JSON = {"view": view}
            else:
                message = self._visible(where)
                pressed = self._button(message.blocks, button, value)
                container, more = self._pressed_in(message)
            payload = events.block_actions(world, self.user, pressed, container, more)
        return self._courier.send("interactive", payload)

    def submits(self, values: Mapping[str, str | Sequence[str]] | None = None) -> Delivery:
        """Submit the modal opened last. values: by block_id or action_id; selects take a value or a label."""
        with self._world.lock:
            view = self._open_view()
            state = {"values": _state(view["blocks"], dict(values or {}))}
            payload = events.view_submission(self._world, self.user, view | {"state": state})
        return self._courier.send("interactive", payload, lambda answer: self._submitted(view, answer))

    def commands(self, command: str, text: str = "", channel: str | None = None) -> Delivery:
        """Give a slash command. What the acknowledgement says is shown as a response_url would show it."""
        with self._world.lock:
            place = self._place(channel)
            payload = events.slash_command(self._world, self.user, command, text, place)
        key = payload["response_url"].rpartition("/")[2]
        return self._courier.send("slash_commands", payload, lambda answer: self._commanded(key, answer))

    def opens_app(self, tab: str = "messages") -> None:
        """Open the app's page on the tab messages or home."""
        with self._world.lock:
            self._world.announce(events.app_home_opened(self._world, self.user, tab))

    def adds_bot(self, channel: str) -> None:
        with self._world.lock:
            place = self._place(channel)
            if place.bot_in:
                raise ValueError("The bot is in that channel already.")
            place.members.append(BOT_USER)
            self._world.announce(events.member_joined_channel(self._world, place, BOT_USER, self.id))

    def removes_bot(self, channel: str) -> None:
        with self._world.lock:
            place = self._place(channel)
            place.members.remove(BOT_USER)
            self._world.announce(events.channel_left(self._world, place))

    def joins(self, channel: str) -> None:
        """Come into a channel, invited or not: the app hears of it where it is inside."""
        with self._world.lock:
            place = self._world.channel(channel)
            place.members.append(self.id)
            if place.bot_in:
                self._world.announce(events.member_joined_channel(self._world, place, self.id, ""))

    def leaves(self, channel: str) -> None:
        with self._world.lock:
            place = self._place(channel)
            place.members.remove(self.id)
            if place.bot_in:
                self._world.announce(events.member_left_channel(self._world, place, self.id))

    def uninstalls(self) -> None:
        """Remove the app from the workspace: its token is good for nothing from then on."""
        with self._world.lock:
            self._world.revoked = True
            for event in events.uninstalled(self._world):
                self._world.announce(event)

    def _place(self, channel: str | None) -> Channel:
        try:
            place = self._world.channel(channel) if channel else self._world.direct([self.id])
        except Refused as refusal:
            raise ValueError(f"There is no channel {channel}.") from refusal
        if self.id not in place.members:
            raise ValueError(f"{self.user.name} is not in {place.id}.")
        return place

    def _visible(self, ts: str) -> Message:
        message = self._world.find(ts)
        self._place(message.channel)
        if message.ephemeral_for not in {None, self.id}:
            raise ValueError(f"{self.user.name} does not see {ts}.")
        return message

    def _own(self, ts: str) -> Message:
        message = self._visible(ts)
        if message.author != self.id:
            raise ValueError(f"{ts} is not by {self.user.name}.")
        return message

    def _announce(self, message: Message, event: JSON) -> None:
        if self._world.channels[message.channel].bot_in:
            self._world.announce(event)

    def _react(self, ts: str, name: str, *, add: bool) -> None:
        with self._world.lock:
            message = self._visible(ts)
            message.react(name, self.id, add=add)
            kind = "reaction_added" if add else "reaction_removed"
            self._announce(message, events.reaction(self._world, kind, self.id, name, message))

    def _button(self, blocks: Sequence[JSON], button: str, value: str | None) -> Pressable:
        for shown in pressables(blocks):
            if button in {shown.label, shown.action_id} and value in {None, shown.value}:
                return shown
        shown_labels = [shown.label for shown in pressables(blocks)]
        raise ValueError(f"There is no button {button!r}, only {shown_labels}.")

    def _pressed_in(self, message: Message) -> tuple[JSON, JSON]:
        channel = self._world.channels[message.channel]
        ephemeral = message.ephemeral_for is not None
        container: JSON = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
        container |= {"is_ephemeral": ephemeral} | ({"thread_ts": message.thread_ts} if message.thread_ts else {})
        name = {"im": "directmessage", "group": "privategroup"}.get(channel.kind, channel.name)
        more: JSON = {
            "channel": {"id": channel.id, "name": name},
            "response_url": self._world.hook(self.id, channel.id, message.ts),
        }
        if not ephemeral:  # an ephemeral message is not in the payload
            more["message"] = self._world.message_json(message)
        return container, more

    def _open_view(self) -> JSON:
        if not self.user.views:
            raise ValueError(f"{self.user.name} has no modal open.")
        return self.user.views[-1]

    def _submitted(self, view: JSON, answer: Any) -> None:
        """https://docs.slack.dev/surfaces/modals#handling_submissions: response_action in the acknowledgement."""
        answer = answer if isinstance(answer, dict) else {}
        action = answer.get("response_action")
        with self._world.lock:
            views = self.user.views
            if action == "errors":
                view["errors"] = answer.get("errors")
            elif action in {"update", "push"}:
                stored = events.stored_view(self._world, answer["view"], view if action == "update" else None)
                self.user.views = [one for one in views if action == "push" or one["id"] != view["id"]] + [stored]
            else:
                self.user.views = [] if action == "clear" else [one for one in views if one["id"] != view["id"]]

    def _commanded(self, key: str, answer: Any) -> None:
        said = {"text": answer} if isinstance(answer, str) else answer
        if isinstance(said, dict) and (said.get("text") or said.get("blocks")):
            with self._world.lock:
                respond(self._world, key, said)


def _state(blocks: Sequence[JSON], values: dict[str, str | Sequence[str]]) -> JSON:
    """state.values of a submitted modal. https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload"""
    state: JSON = {}
    for block in blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        action_id = element.get("action_id", "")
        value = values.pop(block["block_id"], values.pop(action_id, element.get("initial_value", "")))
        if not value and not block.get("optional"):
            raise ValueError(f"{block['label']['text']} is required.")
        state.setdefault(block["block_id"], {})[action_id] = {"type": element["type"]} | _entered(element, value)
    if values:
        raise ValueError(f"The modal has no field {sorted(values)}.")
    return state


def _entered(element: JSON, value: str | Sequence[str]) -> JSON:
    kind = element["type"]
    if kind.endswith("_input"):
        return {"value": value or None}
    chosen = [value] if isinstance(value, str) else list(value)
    if "options" in element:
        options = [one for one in element["options"] if {one["value"], one["text"]["text"]} & set(chosen)]
        if len(options) != len([one for one in chosen if one]):
            raise ValueError(f"{element.get('action_id')} does not offer {chosen}.")
        many = kind == "checkboxes" or kind.startswith("multi_")
        return {"selected_options": options} if many else {"selected_option": options[0] if options else None}
    selected = {"users_select": "selected_user", "conversations_select": "selected_conversation"}
    return {selected.get(kind, f"selected_{kind.removesuffix('picker')}"): value or None}
