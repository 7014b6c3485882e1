"""A golden transcript of every technique: what each of three people is asked in turn, and what becomes of answers.

After a change that is meant, look at the difference, then write `transcript(...)` into the golden file.
"""

from pathlib import Path

from agent.ideation.acts import Kind
from agent.ideation.refusals import SessionRefused
from agent.ideation.sessions import Sessions
from agent.ideation.technique import Stage, Technique
from agent.ideation.techniques import techniques
from agent.message import Place
from tests.agent.ideation.rooms import Room

GOLDEN = Path(__file__).with_name("golden") / "techniques.txt"
PEOPLE = ("ann", "bob", "cy")
DIMENSIONS = {"ann": "price: free, paid", "bob": "place: at the door, online", "cy": "time: noon, night"}


class Play:
    """Three people go through all techniques, in a session each."""

    def __init__(self, desk: Room) -> None:
        things = iter(f"thing {number}" for number in range(1, 99))
        desk.sessions = Sessions(desk.memory.engine, draw=lambda *_: (next(things), "guide/things.md"), now=desk.clock)
        self.desk, self.lines, self.session = desk, list[str](), ""

    def goes_through(self, technique: Technique) -> None:
        self.lines += ["", f"# {technique.title}"]
        place, ann = Place("slack", "acme", technique.id), self.desk.person("ann")
        self.session = self.desk.sessions.open(place, ann, "shorter queues", key=self.desk.key()).board.session.id
        for name in PEOPLE[1:]:
            self.desk.sessions.enter(self.session, self.desk.person(name), key=self.desk.key())
        self.desk.sessions.course.begin(self.session, self.desk.person("ann"), technique.id, key=self.desk.key())
        plan = technique.plan(len(PEOPLE))
        while (now := self.desk.sessions.board(self.session).session).technique:
            self.stage(now.stage, plan[now.stage])
            self.desk.clock.forward(1)
            after = self.desk.sessions.board(self.session).session
            if (after.technique, after.stage) == (now.technique, now.stage):
                self.lines.append("→ ann goes on")
                self.desk.sessions.course.next_stage(self.session, self.desk.person("ann"), key=self.desk.key())
            else:
                self.lines.append("→ all have given what was asked for: it goes on by itself")

    def stage(self, number: int, stage: Stage) -> None:
        private = ", in private" if stage.private else ""
        self.lines += ["", f"{number + 1}. {stage.takes.replace('_', ' ')}, {stage.minutes:g} minutes{private}"]
        for name in PEOPLE:
            task = self.desk.sessions.task(self.desk.sessions.board(self.session), self.desk.person(name).id)
            if task is None:
                return  # the one before gave the last that was wanted
            on = f" (sheet {task.sheet}: {', '.join(each.id for each in task.on) or 'empty'})" if stage.repeats else ""
            self.lines.append(f"{name} is asked{on}: {task.text}")
            for _ in range(stage.quota or 1):
                self.gives(name, stage)

    def gives(self, name: str, stage: Stage) -> None:
        text = f"{name}'s {stage.takes.replace('_', ' ')}"
        if stage.takes is Kind.QUESTION:
            text = f"{stage.begins[0]} helps {name}?"
        elif stage.takes is Kind.DIMENSION:
            text = DIMENSIONS[name]
        elif stage.takes is Kind.FACT and name == "bob":
            self.says(name, "What if we opened a second counter?")
        self.says(name, text)

    def says(self, name: str, text: str) -> None:
        try:
            idea = self.desk.sessions.add(self.session, self.desk.person(name), text, key=self.desk.key()).idea
        except SessionRefused as refused:
            self.lines.append(f"  {name}: {text} ✗ {refused}")
            return
        assert idea is not None
        marks = [f"#{tag}" for tag in idea.tags] + [f"from {each}" for each in (*idea.parents, *idea.sources)]
        marks += [f"sheet {idea.sheet}"] if idea.sheet is not None else []
        marks += [f"in {' / '.join(idea.values)}"] if idea.values else []
        self.lines.append(f"  {name}: {text} → {idea.kind.replace('_', ' ')} {idea.id} {', '.join(marks)}".rstrip())


def transcript(desk: Room) -> str:
    play = Play(desk)
    for technique in techniques():
        play.goes_through(technique)
    return "\n".join(play.lines).strip() + "\n"


def test_every_technique_takes_turns_as_the_golden_transcript_shows(desk: Room) -> None:
    assert transcript(desk) == GOLDEN.read_text("utf-8")
