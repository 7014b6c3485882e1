"""`/label`: the messages that teach a team's intents the most, one at a time, with a button for each intent.

Which they are is chosen as `atelier finetune intent` chooses them: those that its head is least sure of, no two alike.
Shown are messages of people who agreed to be learned from, without names and numbers, to administrators alone, and of
these only to who is in the channel where they stand: never another person's private chat.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.buttons import Buttons, Meaning, id_for
from agent.events import Button, Command, Outgoing, Press
from agent.guard import clean
from connectors.compose import House
from connectors.connector import Connector
from connectors.delivery.stage import Stage
from connectors.desk.access import Access
from connectors.desk.gaps import tidied
from connectors.desk.texts import prefix, say
from finetune.few_shot_advice import worth_labelling
from finetune.few_shot_labels import NONE, Labels, Waiting

KIND = "label"  # of the buttons that are ours
ROUND = 10  # messages
MINUTES = 7 * 24 * 60  # that a button works
MOST = 12  # intents with a button, the likeliest first
LONGEST = 600  # characters of a message that are shown


@dataclass(frozen=True, slots=True)
class LabelOrders:
    """Who gives these orders, or presses these buttons, was found to be an administrator before."""

    house: House
    labels: Labels
    buttons: Buttons
    access: Access
    connectors: Mapping[str, Connector]

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """Begin a round."""
        if command.place.tenant != self.labels.tenant or command.account.split(":", 2)[1] != self.labels.tenant:
            return [self._alone(command, self._say(command, "administrators_only"))]
        if command.is_shared or (command.place.platform == "telegram" and not command.direct):
            return [self._alone(command, self._say(command, "label_private"))]
        found = await self._seen(command, await asyncio.to_thread(self.labels.waiting))
        if not await asyncio.to_thread(self._topics, []):
            return [self._alone(command, self._say(command, "label_no_intents"))]
        chosen = await asyncio.to_thread(self._worth, found)
        return [await self._next(command, [each.turn for each in chosen], stage, "label_nothing")]

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        """Keep the answer, and show the next one."""
        is_there = press.place.whole_channel == meaning.place.whole_channel
        if not is_there or press.account.split(":", 2)[1] != self.labels.tenant:  # a client can send the id of any
            return [self._alone(press, self._say(press, "expired"))]
        queue, verb, label = (*meaning.value.split(" ", 2), "")[:3]
        turn, *rest = queue.split(",")
        said = {"as": label, "none": NONE}.get(verb)
        if not await asyncio.to_thread(self.labels.put, turn, said):
            return [self._alone(press, self._say(press, "label_gone"))]
        kept = {"as": "label_kept", "none": "label_kept_none"}.get(verb, "label_skipped")
        following = await self._next(press, rest, stage, "label_done")
        return [replace(following, text=f"{self._say(press, kept, label=label)}\n\n{following.text}")]

    async def _next(self, event: Command | Press, turns: Sequence[str], stage: Stage, otherwise: str) -> Outgoing:
        """The first of these that may be shown still, with its buttons; `otherwise` where there is none left."""
        there = await asyncio.to_thread(self.labels.get, turns)
        seen = await self._seen(event, [there[turn] for turn in turns if turn in there])
        if not seen:
            return self._alone(event, self._say(event, otherwise))
        chances = await asyncio.to_thread(self._topics, [seen[0].text])
        if not chances:
            return self._alone(event, self._say(event, "label_no_intents"))
        queue = ",".join(each.turn for each in seen)
        verbs = [(f"as {name}", name) for name in chances[0][:MOST]]
        verbs += [(verb, self._say(event, f"label_{verb}")) for verb in ("none", "skip")]
        keys = [f"{KIND}/{event.account}/{event.place.key}/{seen[0].turn}/{verb}" for verb, _ in verbs]
        meanings = {
            id_for(key): Meaning(KIND, f"{queue} {verb}", event.place)
            for key, (verb, _) in zip(keys, verbs, strict=True)
        }
        stage.along.append(self.buttons.keeping(meanings, MINUTES))
        shown = tidied()(seen[0].text)
        quoted = "\n".join(f"> {line}" for line in shown[:LONGEST].splitlines() if line.strip())
        text = clean(f"{self._say(event, 'label_card', left=len(seen) - 1)}\n{quoted}")
        pressed = tuple(Button(made, label) for made, (_, label) in zip(meanings, verbs, strict=True))
        return replace(self._alone(event, text), buttons=pressed)

    async def _seen(self, event: Command | Press, found: Sequence[Waiting]) -> list[Waiting]:
        """Those that who asks could have read where they stood."""
        held, _ = self.access.readers(event.account, event.place, is_direct=True)
        own = (await asyncio.to_thread(self.house.store.memory.person, event.account)).id
        reads: dict[tuple[str, str], bool] = {}
        kept = []
        for each in found:
            where = each.place.platform, each.place.channel
            if each.author != own and where not in reads:
                connector = self.connectors.get(each.place.platform)
                reads[where] = connector is not None and await connector.belongs(event.account, each.place)
            if each.author == own or (reads[where] and each.may_be_read(held, self.labels.tenant)):
                kept.append(each)
        return kept

    def _worth(self, found: Sequence[Waiting]) -> list[Waiting]:
        texts = [each.text for each in found]
        scores = self.house.colleague.understander.scores(texts).get("topic") if texts else None
        if scores is None:
            return []
        return [found[i] for i in worth_labelling(scores.probabilities, scores.embeddings, ROUND)]

    def _topics(self, texts: Sequence[str]) -> list[list[str]]:
        """The intents of the head in use, the likeliest first, for each text; nothing where it has none of a team's."""
        scores = self.house.colleague.understander.scores(texts or ["?"]).get("topic")
        return (
            [] if scores is None else [[scores.labels[i] for i in row.argsort()[::-1]] for row in scores.probabilities]
        )

    def _alone(self, event: Command | Press, text: str) -> Outgoing:
        said = Outgoing(event.place, text, to=event.account)
        return replace(said, audience="one") if event.place.platform == "slack" else said

    def _say(self, event: Command | Press, name: str, /, **values: object) -> str:
        return say(event.language, name, p=prefix(event.place.platform), **values)
