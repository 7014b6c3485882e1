"""One person across platforms by a code that works once; consent and administrators hold only where both had them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from agent.memory import Memory
from agent.memory_tables import link_codes, persons, wrong_codes
from agent.people import LENGTH, LETTERS, TRIES, LinkRefused, People
from retrieval.database import reading, writing
from retrieval.errors import StoreError
from retrieval.tables import contents, documents
from tests.agent.test_memory import HERE, everything_stored, make_turn

SLACK, TELEGRAM = "slack:T1:U1", "telegram:bot:77"


@pytest.fixture
def people(memory: Memory) -> People:
    return memory.people


def let_time_pass(engine: Engine, passed: timedelta) -> None:
    """Codes and wrong tries become older by as much."""
    with writing(engine) as connection:
        for column in (link_codes.c.expires, wrong_codes.c.last):
            for value in connection.execute(select(column)).scalars().all():
                change = column.table.update().where(column == value).values({column.name: value - passed})
                connection.execute(change)


def add_document(engine: Engine, source: str, author: str) -> None:
    with writing(engine) as connection:
        content = connection.execute(contents.insert().values(key=source).returning(contents.c.id)).scalar_one()
        row = {"tenant": "t", "source": source, "content": content, "title": "", "audience": "t/everyone"}
        more = {"author": author, "sha256": "0", "reading": "1", "added": 5, "generation": 1}
        connection.execute(documents.insert().values(row | more))


def test_a_code_is_easy_to_read_and_only_its_digest_is_stored(people: People, engine: Engine) -> None:
    anna = people.person(SLACK)
    codes = {people.link_code(anna.id) for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == LENGTH == 8 and set(code) <= set(LETTERS) for code in codes)
    assert not set(LETTERS) & set("01258BILOSUZ")
    stored = everything_stored(engine)
    assert not any(code in stored for code in codes)


def test_two_accounts_become_one_person_with_everything_of_both(memory: Memory, people: People, engine: Engine) -> None:
    anna, phone, bert = people.person(SLACK), people.person(TELEGRAM), people.person("slack:T1:U2")
    his = make_turn(bert, "rated twice")
    hers, on_phone = make_turn(anna, "from the desk"), make_turn(phone, "from the tram")
    for turn in (his, hers, on_phone):
        memory.append(turn)
    memory.rate(his.id, phone.id, -1, "earlier")
    memory.rate(his.id, anna.id, 1, "later")
    memory.rate(hers.id, anna.id, 1, "earlier")
    memory.rate(hers.id, phone.id, -1, "later")
    memory.rate(on_phone.id, phone.id, 1, "only")
    memory.rate(hers.id, bert.id, 1, "his own")
    add_document(engine, "notes/phone", phone.id)
    add_document(engine, "notes/bert", bert.id)

    linked = people.link(people.link_code(anna.id), TELEGRAM)

    assert linked == people.person(SLACK) == people.person(TELEGRAM)
    assert linked.id == anna.id
    assert linked.accounts == (SLACK, TELEGRAM)
    held = memory.held(anna.id)
    assert held is not None
    assert [turn.message.text for turn in held.turns] == ["from the desk", "from the tram"]
    assert {(each.turn, each.rating, each.comment) for each in held.ratings} == {
        (his.id, 1, "later"),
        (hers.id, -1, "later"),
        (on_phone.id, 1, "only"),
    }
    with reading(engine) as connection:
        authors = {row.source: row.author for row in connection.execute(select(documents))}
    assert authors == {"notes/phone": anna.id, "notes/bert": bert.id}
    assert people.joinings() == [(phone.id, linked)], "what was learned from the phone is still to be renamed"
    people.joined(phone.id)
    assert people.joinings() == []
    assert phone.id not in everything_stored(engine)


def test_who_became_one_person_and_then_another_is_renamed_to_the_last(people: People) -> None:
    anna, phone, home = people.person(SLACK), people.person(TELEGRAM), people.person("slack:T1:U2")
    people.link(people.link_code(anna.id), TELEGRAM)
    last = people.link(people.link_code(home.id), SLACK)
    assert last.id == home.id
    assert people.joinings() == sorted([(anna.id, last), (phone.id, last)], key=lambda each: each[0])


def test_a_code_that_comes_again_after_a_crash_says_the_same(people: People) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    people.person(TELEGRAM)
    assert people.link(code, TELEGRAM) == people.link(code, TELEGRAM)


def test_forgetting_reaches_both_accounts_of_one_person(memory: Memory, people: People, engine: Engine) -> None:
    anna, phone = people.person(SLACK), people.person(TELEGRAM)
    memory.append(make_turn(anna, "Hedwig wrote from the desk."))
    memory.append(make_turn(phone, "Hedwig wrote from the tram."))
    people.link(people.link_code(anna.id), TELEGRAM)
    people.link_code(anna.id)
    with pytest.raises(LinkRefused):
        people.link("WRONG", TELEGRAM)
    forgotten = memory.forget(anna.id)
    assert (forgotten.accounts, forgotten.turns) == (2, 2)
    stored = everything_stored(engine)
    for trace in ("Hedwig", SLACK, TELEGRAM, anna.id, phone.id):
        assert trace not in stored
    with reading(engine) as connection:
        assert connection.execute(select(link_codes)).first() is None


def test_an_account_nobody_had_seen_is_linked_too(people: People) -> None:
    anna = people.person(SLACK)
    assert people.link(people.link_code(anna.id), TELEGRAM).id == anna.id
    assert people.person(TELEGRAM).id == anna.id


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("theirs", [False, True])
def test_linking_gives_nobody_consent_or_rights(people: People, mine: bool, theirs: bool) -> None:
    anna, phone = people.person(SLACK), people.person(TELEGRAM)
    for person, value in ((anna, mine), (phone, theirs)):
        people.set_consent(person.id, consent=value)
        people.set_administrator(person.id, administrator=value)
    linked = people.link(people.link_code(anna.id), TELEGRAM)
    assert (linked.consent, linked.administrator) == (mine and theirs, mine and theirs)


def test_codes_are_typed_as_people_type(people: People) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    assert people.link(f" {code[:4].lower()}-{code[4:]} ", TELEGRAM).id == anna.id


def test_a_code_works_once(people: People) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    people.link(code, TELEGRAM)
    with pytest.raises(LinkRefused, match=r"^That code was used already, and each works once\. Ask for a new one"):
        people.link(code, "telegram:bot:78")
    assert people.person("telegram:bot:78").id != anna.id


def test_a_code_works_for_fifteen_minutes(people: People, engine: Engine) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    let_time_pass(engine, timedelta(minutes=14, seconds=30))
    people.link(code, TELEGRAM)
    code = people.link_code(anna.id)
    let_time_pass(engine, timedelta(minutes=15))
    with pytest.raises(LinkRefused, match=r"^That code is older than 15 minutes\. Ask for a new one"):
        people.link(code, "telegram:bot:78")


def test_a_new_code_replaces_the_one_before(people: People) -> None:
    anna = people.person(SLACK)
    before, after = people.link_code(anna.id), people.link_code(anna.id)
    with pytest.raises(LinkRefused, match="not right"):
        people.link(before, TELEGRAM)
    assert people.link(after, TELEGRAM).id == anna.id


def test_ones_own_code_is_not_used_up(people: People) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    with pytest.raises(LinkRefused, match="linked already"):
        people.link(code, SLACK)
    assert people.link(code, TELEGRAM).accounts == (SLACK, TELEGRAM)


@pytest.mark.parametrize("code", ["", "ABCDEFGH", "💡💡", "\ud83d", "\0", "A" * 100_000])
def test_any_text_can_be_tried_as_a_code(people: People, code: str) -> None:
    with pytest.raises(LinkRefused, match=r"^That code is not right\."):
        people.link(code, TELEGRAM)


def test_an_account_that_guesses_is_stopped_for_an_hour(people: People, engine: Engine) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    for _ in range(TRIES):
        with pytest.raises(LinkRefused, match="not right"):
            people.link("WRONG", TELEGRAM)
    with pytest.raises(LinkRefused, match=r"^5 codes from this account were wrong\. Wait an hour"):
        people.link(code, TELEGRAM)
    people.link(code, "telegram:bot:78")  # others go on
    let_time_pass(engine, timedelta(minutes=61))
    assert people.link(people.link_code(anna.id), TELEGRAM).id == anna.id


LINKER = """
import sys
from agent.people import LinkRefused, People
from retrieval.database import open_database
people = People(open_database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
try:
    print(people.link(sys.argv[2], sys.argv[3]).id)
except LinkRefused as refusal:
    print(refusal)
"""


def test_of_two_processes_with_one_code_one_wins(people: People, engine: Engine) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)
    url = engine.url.render_as_string(hide_password=False)
    linkers = [
        subprocess.Popen(
            [sys.executable, "-c", LINKER, url, code, account], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for account in (TELEGRAM, "telegram:bot:78")
    ]
    for linker in linkers:
        assert linker.stdout is not None
        assert linker.stdout.readline() == "ready\n"
    for linker in linkers:
        assert linker.stdin is not None
        linker.stdin.write("\n")
        linker.stdin.flush()
    said = sorted(linker.communicate(timeout=100)[0].strip() for linker in linkers)
    assert said[0].startswith("That code was used already")
    assert said[1] == anna.id
    assert len(people.person(SLACK).accounts) == 2


def test_of_many_threads_with_one_code_one_wins(people: People) -> None:
    anna = people.person(SLACK)
    code = people.link_code(anna.id)

    def link(number: int) -> bool:
        try:
            people.link(code, f"telegram:bot:{number}")
        except LinkRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(link, range(8))) == 1
    assert len(people.person(SLACK).accounts) == 2


def test_two_people_who_link_each_other_at_once_are_one_person(people: People) -> None:
    codes = {SLACK: people.link_code(people.person(TELEGRAM).id), TELEGRAM: people.link_code(people.person(SLACK).id)}

    def link(account: str) -> bool:
        try:
            people.link(codes[account], account)
        except LinkRefused:  # their code went with the person who was merged first
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(link, codes)) == 1
    assert people.person(SLACK) == people.person(TELEGRAM)


def test_who_writes_forgets_and_links_at_once_is_always_somebody(memory: Memory, people: People) -> None:
    def act(number: int) -> None:
        person = people.person(TELEGRAM)
        if number % 3 == 0:
            memory.forget(person.id)
        elif number % 3 == 1:
            people.link(people.link_code(people.person(f"slack:T1:U{number}").id), TELEGRAM)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(60)))
    assert TELEGRAM in people.person(TELEGRAM).accounts


def test_a_turn_begun_before_its_author_was_linked_is_kept_for_the_linked_one(memory: Memory, people: People) -> None:
    anna, phone = people.person(SLACK), people.person(TELEGRAM)
    turn = make_turn(phone, "Still being answered while the code is entered.")
    people.link(people.link_code(anna.id), TELEGRAM)
    memory.append(turn)
    kept = memory.turn(turn.id)
    assert kept is not None
    assert kept.message.author.id == anna.id


def test_a_turn_of_someone_forgotten_is_not_kept_for_who_they_are_now(memory: Memory, people: People) -> None:
    anna = people.person(SLACK)
    turn = make_turn(anna, "Forget this.")
    memory.forget(anna.id)
    people.person(SLACK)  # they wrote again
    with pytest.raises(StoreError, match="not known any more"):
        memory.append(turn)
    assert memory.turns(HERE) == ()


def test_consent_is_no_until_given_and_asked_for_once(memory: Memory, people: People, engine: Engine) -> None:
    anna = people.person(SLACK)
    assert not anna.consent
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(people.mark_consent_asked, [anna.id] * 8)) == 1
    held = memory.held(anna.id)
    assert held is not None
    assert held.consent_asked is not None
    assert abs(held.consent_asked - datetime.now(UTC)) < timedelta(minutes=1)
    people.set_consent(anna.id, consent=True)
    assert people.person(SLACK).consent
    people.set_consent(anna.id, consent=False)
    assert not people.person(SLACK).consent
    with reading(engine) as connection:
        assert len(connection.execute(select(persons)).all()) == 1


def test_who_was_asked_on_one_platform_is_not_asked_on_the_other(people: People) -> None:
    anna, phone = people.person(SLACK), people.person(TELEGRAM)
    assert people.mark_consent_asked(phone.id)
    people.link(people.link_code(anna.id), TELEGRAM)
    assert not people.mark_consent_asked(anna.id)


def test_administrators_are_named_by_the_settings_or_in_the_store(people: People) -> None:
    assert not people.person(SLACK).administrator
    assert people.person(SLACK, administrator=True).administrator
    anna = people.person(SLACK)
    assert not anna.administrator, "what the settings say is not stored"
    people.set_administrator(anna.id, administrator=True)
    assert people.person(SLACK).administrator
    people.set_administrator(anna.id, administrator=False)
    assert not people.person(SLACK).administrator


def test_nothing_is_changed_about_nobody(people: People) -> None:
    with pytest.raises(StoreError, match="Nothing is known about this person"):
        people.set_consent("p-nobody", consent=True)
    with pytest.raises(StoreError, match="Nothing is known about this person"):
        people.set_administrator("p-nobody", administrator=True)
    with pytest.raises(StoreError, match="Nothing is known about this person"):
        people.link_code("p-nobody")
    assert not people.mark_consent_asked("p-nobody")
