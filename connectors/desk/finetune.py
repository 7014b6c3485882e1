"""Fine-tuning ordered in a chat: a command, a question with what it would take, one message that follows the job.

Who may do it is asked of the settings at every step, and never read from a button; what a button stands for is in the
store. A job that runs is followed by an event of our own (`Due`), so that whoever serves after a restart goes on.
"""

import asyncio
import calendar
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from agent.buttons import Buttons, Meaning
from agent.events import Button, Command, Due, Event, Outgoing, Picture, Press
from connectors.connector import Refused, Throttled
from connectors.delivery.stage import Stage
from connectors.desk.finetune_said import said_in
from connectors.desk.finetune_words import Wish, wish_of
from connectors.desk.texts import prefix, say
from connectors.tuning import (
    Tuning,
    compared,
    cores_beside_the_bot,
    figures_said,
    listed,
    outcome_said,
    progress_said,
    promoted_said,
    rolled_back_said,
    sources,
    summary,
)
from finetune import job as jobs
from finetune.job import Job, State
from retrieval.errors import AtelierError, FinetuneError

KIND = "finetune"  # of the buttons and events that are ours
CONFIRM_MINUTES, DECIDE_MINUTES = 60, 30 * 24 * 60
LOOK = 1.0  # seconds between looks at a job
SHOWN = 3.0  # seconds between two versions of the message that follows it
MOST_STARTS = 10  # times that an interrupted job is taken up by itself
AGAIN = 15.0  # seconds until that is tried again
ELSEWHERE = 24 * 3600.0  # seconds for which a job is looked for that another machine may have
LARGEST_PICTURE = 2_000_000  # bytes
LISTED = 10  # jobs in a list


@dataclass(frozen=True, slots=True)
class FinetuneOrders:
    """is_administrator: whether an account may do this now, by the settings as they are at this moment."""

    tuning: Tuning
    buttons: Buttons
    is_administrator: Callable[[str], bool]

    async def order(self, command: Command, stage: Stage) -> Sequence[Outgoing]:
        """Carry a command out; what is said of it."""
        if (refusal := await asyncio.to_thread(self._refusal, command)) is not None:
            return [_answer(command, refusal)]
        wish = wish_of(command.argument)
        if wish is None:
            return [_answer(command, self._say(command, "finetune_usage"))]
        try:
            if wish.verb == "run":
                return [await self._asked(command, wish, stage)]
            if wish.verb == "resume":
                return [await self._resumed(command, wish.name, command, stage)]
            return [_answer(command, await asyncio.to_thread(self._done, command, wish))]
        except AtelierError as error:
            return [_answer(command, _for_chat(error, command))]

    async def press(self, press: Press, meaning: Meaning, stage: Stage) -> Sequence[Outgoing]:
        """Do what one of our buttons stands for, if whoever pressed it may, there and now."""
        if (refusal := await asyncio.to_thread(self._refusal, press)) is not None:
            return [_answer(press, refusal)]
        is_here = meaning.place.channel == press.place.channel or press.direct
        if not is_here or meaning.place.tenant != press.place.tenant or meaning.place.platform != press.place.platform:
            return [_answer(press, self._say(press, "expired"))]
        verb, _, value = meaning.value.partition(" ")
        try:
            if verb == "start":
                await asyncio.to_thread(self._confirm, value)
                return [await self._followed(press, value, meaning, stage, "finetune_begun")]
            if verb == "resume":
                return [await self._resumed(press, value, meaning, stage)]
            return [_answer(press, await asyncio.to_thread(self._done, press, Wish(verb, value)))]
        except AtelierError as error:
            return [_answer(press, _for_chat(error, press))]

    async def follow(self, due: Due, stage: Stage) -> Sequence[Outgoing]:
        """Show how far a job is, in one message, until it is over; then how it ended."""
        job = await self._found(due)
        if job is None:
            return ()
        cancel = await asyncio.to_thread(self._button, due, "cancel", job.id, DECIDE_MINUTES)
        with suppress(Refused):  # a command can be given where Atelier may not write: the end is told directly
            await stage.open(replace(due, account=""), cancel)
        stage.wait()
        shown, said, tried = 0.0, "", 0.0
        while not job.is_over:
            if job.is_interrupted and time.monotonic() > tried + AGAIN:
                tried = time.monotonic()
                await asyncio.to_thread(self._taken_up, job)
            text = f"**{self._title(due, job)}**\n{said_in(due.language, progress_said(job))}"
            if text != said and time.monotonic() > shown + SHOWN:
                await stage.show(due, text, cancel)
                shown, said = time.monotonic(), text
            await asyncio.sleep(LOOK)
            job = await asyncio.to_thread(jobs.read, job.folder)
        stage.wait(waiting=False)
        return [await asyncio.to_thread(self._end, due, job)]

    def _refusal(self, event: Command | Press) -> str | None:
        """Why this person may not, here and now; None when they may."""
        if event.account.split(":", 2)[1] != self.tuning.settings.tenant:
            return self._say(event, "finetune_stranger")
        if event.place.tenant != self.tuning.settings.tenant:
            return self._say(event, "finetune_stranger")
        if not self.is_administrator(event.account):
            return self._say(event, "administrators_only")
        if isinstance(event, Command) and event.is_shared:
            return self._say(event, "finetune_shared")
        return None

    async def _asked(self, command: Command, wish: Wish, stage: Stage) -> Outgoing:
        """The data is read by a job that waits for its confirmation; then what training would take."""
        job = await asyncio.to_thread(self._job, wish, stage.key)
        if command.direct:
            with suppress(Refused):
                await stage.open(command)
        while not job.is_over and job.state is not State.QUEUED:
            if not job.has_worker:
                raise FinetuneError(f"Job {job.id} was ended from outside. Order it again.")
            await asyncio.sleep(LOOK / 4)
            job = await asyncio.to_thread(jobs.read, job.folder)
        if job.is_over or job.figures is None:
            return _answer(command, _reworded(f"{outcome_said(job)}", command))
        takes = said_in(command.language, figures_said(job.figures))
        from_what = said_in(command.language, sources(job.order))
        text = self._say(command, "finetune_ask", sources=from_what, base=_short(job.order.base), figures=takes)
        train = await asyncio.to_thread(self._button, command, "start", job.id, CONFIRM_MINUTES)
        discard = await asyncio.to_thread(self._button, command, "discard", job.id, CONFIRM_MINUTES)
        return replace(_answer(command, text), buttons=(train, discard))

    def _job(self, wish: Wish, key: str) -> Job:
        """After a crash the command comes again, and finds its job by its key."""
        found = next((job for job in self.tuning.jobs.known() if job.key == key), None)
        if found is not None:
            return found if found.has_worker or found.is_over or found.figures else self.tuning.start(found)
        order = self.tuning.order(
            recipe=wish.recipe,
            name=wish.name,
            rated=wish.rated,
            knowledge=wish.knowledge,
            threads=cores_beside_the_bot(),
            from_afar=True,
        )
        return self.tuning.begin(order, key=key, confirmed=False)

    def _confirm(self, name: str) -> None:
        """After a crash the press comes again: what it began is not begun twice, and what it did not is."""
        job = self.tuning.jobs.get(name)
        if job.is_over:
            raise FinetuneError(f"Job {job.id} is over: {outcome_said(job)}")
        if not job.has_worker:
            self.tuning.jobs.refuse_when_busy()
        self.tuning.jobs.confirm(job.id)
        if not job.has_worker:
            self.tuning.start(job)

    async def _resumed(self, event: Command | Press, name: str, where: Command | Meaning, stage: Stage) -> Outgoing:
        job = await asyncio.to_thread(self.tuning.jobs.get, name)
        if not job.has_worker:
            job = await asyncio.to_thread(self.tuning.resume, job.id)
        return await self._followed(event, job.id, where, stage, "finetune_resumed")

    async def _followed(
        self, event: Command | Press, name: str, where: Command | Meaning, stage: Stage, said: str
    ) -> Outgoing:
        """Follow it where it was ordered: a button's own place is its message, which may be seen by one person."""
        job = await asyncio.to_thread(self.tuning.jobs.get, name)
        again = "" if said == "finetune_begun" else f"/{stage.key}"  # two presses of one button are one beginning
        due = Due(f"{KIND}/{job.id}{again}", where.place, event.account, KIND, job.id, event.language)
        await stage.delivery.follow(due)
        return _answer(event, self._say(event, said, job=job.id))

    def _done(self, event: Command | Press, wish: Wish) -> str:
        """Everything that is done at once."""
        tuning = self.tuning
        match wish.verb:
            case "list":
                lines = listed(tuning.jobs.known()[-LISTED:], tuning.registry.aliases())
                return "```\n" + "\n".join(lines) + "\n```" if lines else self._say(event, "finetune_none")
            case "show":
                job = tuning.jobs.get(wish.name)
                return _reworded(
                    "\n".join([f"**{self._title(event, job)}**", progress_said(job), *summary(job)]), event
                )
            case "cancel":
                chosen = tuning.jobs.get(wish.name) if wish.name else tuning.jobs.busy() or tuning.jobs.get()
                tuning.jobs.cancel(chosen.id)
                return self._say(event, "finetune_cancelled", job=chosen.id)
            case "discard":
                job = tuning.jobs.get(wish.name)
                if job.is_confirmed:
                    raise FinetuneError(f"Job {job.id} has begun; cancel it instead.")
                tuning.jobs.remove(job.id)
                return self._say(event, "finetune_discarded")
            case "promote":
                version = tuning.version(wish.name)
                if wish.share is not None or wish.here or wish.channel:
                    named = {event.place.channel if wish.here else "", wish.channel} - {""}
                    said = tuning.tried(version, wish.share or 0.0, named)
                    return _reworded(f"{said} {tuning.serves(version)}".strip(), event)
                before = tuning.registry.aliases(version.kind)
                now = tuning.registry.promote(version.name)
                return _reworded(f"{promoted_said(before, now)} {tuning.serves(version)}".strip(), event)
            case "rollback":
                before = tuning.registry.aliases()
                return _reworded(rolled_back_said(before, tuning.registry.rollback()), event)
            case "compare":
                one = tuning.version(wish.name)
                live = tuning.registry.aliases(one.kind).live
                other = tuning.registry.get(wish.other) if wish.other else live
                lines = compared(one, other if other is None or other.name != one.name else None)
                return "```\n" + "\n".join(lines) + "\n```"
            case _:
                return self._say(event, "finetune_usage")

    async def _found(self, due: Due) -> Job | None:
        """The job of an event; it may be another machine's that serves the same store. Raises Throttled."""
        folder = self.tuning.jobs.root / due.value
        if (folder / jobs.JOB).exists():
            return await asyncio.to_thread(jobs.read, folder)
        if _age(due.value) < ELSEWHERE:
            raise Throttled("The job is another machine's.", AGAIN)
        return None

    def _taken_up(self, job: Job) -> None:
        """Whatever ended the worker (a restart, a reboot), training goes on; not for ever, if it always ends so."""
        try:
            if job.starts >= MOST_STARTS:
                self.tuning.jobs.give_up(job.id, f"Its process was ended {job.starts} times. Its log says more.")
            else:
                self.tuning.start(job)
        except AtelierError as error:
            jobs.note(job.folder, str(error), "warning")

    def _end(self, due: Due, job: Job) -> Outgoing:
        """How it ended, with the picture of its loss, and what can be done now."""
        text = _reworded("\n".join([f"**{self._title(due, job)}**", outcome_said(job), *summary(job)]), due)
        buttons: tuple[Button, ...] = ()
        if job.state is State.SUCCEEDED:
            live = self.tuning.registry.aliases().live
            is_live = live is not None and live.name == job.version
            flagged = self.tuning.flagged(job.version)
            text = f"{text}\n{_reworded(flagged, due)}".strip()
            if is_live or not flagged:
                buttons = (self._button(due, "rollback" if is_live else "promote", job.version, DECIDE_MINUTES),)
        elif job.state in jobs.RESUMABLE:
            buttons = (self._button(due, "resume", job.id, DECIDE_MINUTES),)
        return Outgoing(due.place, text, buttons=buttons, to=due.account, pictures=self._pictures(due, job))

    def _pictures(self, due: Due, job: Job) -> tuple[Picture, ...]:
        try:
            content = (job.folder / jobs.PICTURE).read_bytes()
        except OSError:
            return ()
        if not content or len(content) > LARGEST_PICTURE:
            return ()
        return (Picture(content, self._say(due, "finetune_picture", name=job.version or job.order.name)),)

    def _title(self, event: Event, job: Job) -> str:
        learned = said_in(getattr(event, "language", ""), sources(job.order))
        return self._say(event, "finetune_title", name=job.version or job.order.name, sources=learned)

    def _button(self, event: Command | Press | Due, verb: str, value: str, minutes: int) -> Button:
        """The same one when it is made again after a crash."""
        made = self.buttons.make(
            KIND, f"{verb} {value}", event.place, minutes, key=f"{KIND}/{verb}/{value}/{event.place.key}"
        )
        return Button(made, self._say(event, f"finetune_{verb}", name=value))

    def _say(self, event: Event, name: str, /, **values: object) -> str:
        return say(getattr(event, "language", ""), name, p=prefix(event.place.platform), **values)


def _answer(event: Command | Press, text: str) -> Outgoing:
    """For whoever ordered: in Slack nobody else sees it."""
    said = Outgoing(event.place, text, to=event.account)
    return replace(said, audience="one") if event.place.platform == "slack" else said


def _for_chat(error: AtelierError, event: Command | Press) -> str:
    return _reworded(str(error), event)


def _reworded(text: str, event: Event) -> str:
    """In the reader's language, and as commands are written here: sentences name the terminal's."""
    text = said_in(getattr(event, "language", ""), text)
    text = re.sub(r"`atelier finetune run --", f"`{prefix(event.place.platform)}finetune run ", text)
    return text.replace("`atelier finetune ", f"`{prefix(event.place.platform)}finetune ")


def _short(base: str) -> str:
    """A model's name without the folders of this machine."""
    return base.rstrip("/").rpartition("/")[2] if base.startswith("/") else base


def _age(identity: str) -> float:
    """Seconds since a job was made, by its id."""
    try:
        return time.time() - calendar.timegm(time.strptime(identity[:15], "%Y%m%d-%H%M%S"))
    except ValueError:
        return ELSEWHERE
