"""A backup holds everything, taken while the store is in use; a restore is whole, or it changes nothing."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from agent.buttons import Buttons
from agent.channels import ChannelRules, Rule
from agent.events import Outgoing
from agent.ideation.sessions import Sessions
from agent.memory import Memory
from agent.memory_tables import joinings, labels
from agent.message import Place
from agent.opinion.tables import opinion_alarms, opinion_watches, opinions
from agent.people import LinkRefused
from agent.support.tables import audit, case_lines, cases, curated
from connectors.backup import PASSING, backup, restore
from connectors.connector import Received
from connectors.delivery import queue
from connectors.delivery.serving import Serving
from connectors.migrations import migrate
from connectors.slack.tables import installations
from finetune.registry import AdapterRegistry
from finetune.registry_files import PIECE
from retrieval.database import metadata, open_database, reading, writing
from retrieval.errors import SettingsError, StoreError
from retrieval.rounds import alone
from retrieval.tables import contents, documents, meta, passages, vectors, watched
from tests.agent.test_memory import HERE, count, make_turn
from tests.finetune.adapters import sealed

NOW = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "adapters/formal").mkdir(parents=True)
    (folder / "index").mkdir()
    (folder / "index/words").write_bytes(b"a cache")
    for kind in ("fetched", "kept"):
        (folder / "versions" / kind).mkdir(parents=True)
        (folder / "versions" / kind / "weights").write_bytes(b"weights")
    (folder / "atelier.toml").write_text('home = "."\nremote_key = "sk-1"\n')
    (folder / "adapters/formal/weights").write_bytes(bytes(range(256)) * 1000)
    (folder / "with space: and colon \\ é.md").write_text("odd name")
    (folder / ".atelier.toml.abcd1234").write_text("half written")
    (folder / "link").symlink_to("/etc/hostname")
    return folder


@pytest.fixture
def store(bare_engine: Engine, tmp_path: Path) -> Engine:
    """A store with a row in every table."""
    migrate(bare_engine)
    registry = AdapterRegistry(bare_engine, tmp_path / "elsewhere")
    registry.promote(registry.add("team", sealed(tmp_path / "adapter", random.Random(1).randbytes(3 * PIECE))).name)
    memory = Memory(bare_engine)
    anna = memory.person("terminal:local:änna")
    for number in range(12):
        memory.append(make_turn(anna, f"Grüße {number} 你好 with a few more words", "And to you, 'too' \"friend\"."))
        memory.history(HERE, 100, count)
    memory.rate(memory.turns(HERE, 1)[0].id, anna.id, 1, "fine")
    memory.forget(memory.person("terminal:local:gone").id)
    memory.people.link_code(anna.id)
    with pytest.raises(LinkRefused):
        memory.people.link("wrong", "terminal:local:guest")
    Buttons(bare_engine).make("rate", "good", HERE, 60)
    rules, thread = ChannelRules(bare_engine), Place("slack", "T", "C", "171.1")
    rules.set_rule(thread, Rule.ALWAYS)
    rules.follow(thread)
    with writing(bare_engine) as connection:
        queue.accept(connection, "slack", [Received("T", "message:C:1", "slack/T/C", "{}")], 10)
        (claim,) = queue.claim(connection, ["slack"], 30, 1)
        queue.put(connection, claim, [Outgoing(thread, "hello")], "")
        row = {"workspace": "T", "bot": "U", "token": "xoxb-made-up", "scopes": "chat:write", "installed": 1.5}
        connection.execute(installations.insert().values(row))
    labelled = labels.insert().values(turn=memory.turns(HERE, 1)[0].id, label="w", at=NOW)
    Sessions(bare_engine).open(thread, memory.person("slack:T:U1"), "Grüße 你好", key="opened")
    with writing(bare_engine) as connection:
        case = {"number": 7, "origin": "m1", "state": "open", "reason": "request", "direct": True, "opened": NOW}
        words = {column.name: "w" for column in cases.c if not column.nullable and column.name not in case}
        connection.execute(cases.insert().values(words | case))
        connection.execute(
            case_lines.insert().values(number=7, key="k", kind="said", text="änna's words", shown="", at=NOW)
        )
        entry = {"id": 3, "asked_by": None, "proposed_by": anna.id, "decided": None, "proposed": NOW, "changed": NOW}
        words = {column.name: "w" for column in curated.c if not column.nullable and column.name not in entry}
        connection.execute(curated.insert().values(words | entry))
        row = {"key": "k", "author": anna.id, "at": NOW, "negative": 0.9, "positive": 0.05, "topics": ["änna"]}
        connection.execute(opinions.insert().values(row | {"channel": "c", "thread": "c", "text": "änna"}))
        words = {column.name: "w" for column in opinion_watches.c}
        connection.execute(opinion_watches.insert().values(words | {"since": NOW}))
        connection.execute(opinion_alarms.insert().values(key="k", channel="c", at=NOW))
        connection.execute(labelled)
        connection.execute(joinings.insert().values(gone="another", kept=anna.id))
        row = {"key": "k", "at": NOW, "account": "slack:T:U1", "role": "member", "verb": "rule", "object": "off"}
        connection.execute(audit.insert().values(row | {"outcome": "refused", "place": thread.key}))
        row = dict.fromkeys(("tenant", "address", "url", "etag", "modified", "problem"), "w")
        connection.execute(watched.insert().values(row | {"looked": 5, "changed": 4, "is_ours": True}))
        connection.execute(text("INSERT INTO roots (tenant, path, label, audience) VALUES ('local', '/a', 'a', 'e')"))
        if connection.execute(select(meta)).first() is None:
            connection.execute(meta.insert().values(id=1, store="s", generation=3, next_passage=2, encoder="e"))
        key = connection.execute(contents.insert().values(key="k" * 64).returning(contents.c.id)).scalar_one()
        row = {"id": 1, "content": key, "ordinal": 0, "text": "t", "heading": "h", "digest": bytes(16)}
        connection.execute(passages.insert().values(row))
        connection.execute(vectors.insert().values(passage=1, encoder="e", vector=bytes(range(256))))
        row = {"tenant": "local", "source": "a.md", "content": key, "title": "A", "audience": "e", "sha256": "0"}
        connection.execute(documents.insert().values(row | {"reading": "1", "added": 5, "generation": 1}))
    return bare_engine


def rows_of(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def restored(home: Path) -> dict[str, list[tuple[object, ...]]]:
    engine = open_database(f"sqlite:///{home}/store.db")
    migrate(engine)
    rows = rows_of(engine)
    engine.dispose()
    assert [rows.pop(name) for name in sorted(PASSING)] == [[], [], []]
    return rows


def test_everything_comes_back(home: Path, store: Engine, tmp_path: Path) -> None:
    before = rows_of(store)
    passing = {name: before.pop(name) for name in sorted(PASSING)}
    assert passing["inbox"], "something was waiting"
    assert [name for name, rows in before.items() if not rows] == []
    made = backup(home, store, tmp_path / "backups/one.zip")
    report = restore(tmp_path / "backups/one.zip", tmp_path / "new/home")
    assert restored(report.home) == before
    assert report.rows == made.rows == sum(map(len, before.values()))
    expected = files_of(home)
    for name in ("link", ".atelier.toml.abcd1234", "index/words", "versions/fetched/weights"):
        del expected[name]
    back = files_of(report.home)
    del back["store.db"]
    back.pop("store.db-journal", None)
    assert back == expected
    assert any("link" in sentence for sentence in made.sentences)
    assert (tmp_path / "backups/one.zip").stat().st_mode & 0o077 == 0
    assert list((tmp_path / "backups").iterdir()) == [tmp_path / "backups/one.zip"]


def test_a_store_moves_into_postgres_and_goes_on_counting(home: Path, store: Engine, tmp_path: Path, postgres) -> None:
    backup(home, store, tmp_path / "one.zip")
    url = postgres.url(postgres.new_database())
    restore(tmp_path / "one.zip", tmp_path / "new", store_url=url)
    moved = open_database(url)
    assert rows_of(moved) == rows_of(store) | {name: [] for name in PASSING}
    assert not (tmp_path / "new/store.db").exists()
    with writing(moved) as connection:
        connection.execute(contents.insert().values(key="another"))
    with pytest.raises(StoreError, match="holds a store already"):
        restore(tmp_path / "one.zip", tmp_path / "newer", store_url=url)
    assert not (tmp_path / "newer").exists()
    moved.dispose()


def test_a_store_inside_the_home_is_taken_as_rows_only(home: Path, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{home}/store.db")
    migrate(engine)
    with alone(engine, "local"), Serving(engine):
        assert len(list(home.glob("store.db*"))) >= 3  # what others are kept off with lies beside it
        backup(home, engine, tmp_path / "one.zip")
    assert not [name for name in zipfile.ZipFile(tmp_path / "one.zip").namelist() if name.startswith("home/store")]
    engine.dispose()


WRITER = """
import sys
from agent.memory import Memory
from retrieval.database import open_database
from tests.agent.test_memory import make_turn
memory = Memory(open_database(sys.argv[1]))
person = memory.person("slack:T:writer")
for number in range(10_000):
    memory.append(make_turn(person, f"turn {number}"))
    if number == 0:
        print("writing", flush=True)
"""


def test_a_backup_is_consistent_while_others_write(home: Path, store: Engine, tmp_path: Path) -> None:
    url = store.url.render_as_string(hide_password=False)
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            backup(home, store, tmp_path / "one.zip")
            assert writer.poll() is None, "the writer was not disturbed"
        finally:
            writer.kill()
    rows = restored(restore(tmp_path / "one.zip", tmp_path / "new").home)
    written = [row for row in rows["turns"] if any(str(value).startswith("turn ") for value in row)]
    numbers = sorted(int(str(value).split()[1]) for row in written for value in row if str(value).startswith("turn "))
    assert numbers == list(range(len(numbers)))
    assert numbers


def test_a_full_home_is_refused_unless_told(home: Path, store: Engine, tmp_path: Path) -> None:
    backup(home, store, tmp_path / "one.zip")
    before = files_of(home)
    with pytest.raises(StoreError, match="is not empty"):
        restore(tmp_path / "one.zip", home)
    assert files_of(home) == before
    (home / "later.txt").write_text("later")
    restore(tmp_path / "one.zip", home, replace=True)
    assert not (home / "later.txt").exists()
    assert (home / "atelier.toml").read_text() == before["atelier.toml"].decode()


@pytest.mark.parametrize("bare_engine", ["sqlite"], indirect=True)
def test_any_damaged_byte_is_noticed_and_nothing_changes(home: Path, store: Engine, tmp_path: Path) -> None:
    backup(home, store, tmp_path / "one.zip")
    restore(tmp_path / "one.zip", home, replace=True)
    whole = (tmp_path / "one.zip").read_bytes()
    before = files_of(home)
    rows = restored(home)
    chance = random.Random(5)
    refused = 0
    for _ in range(24):
        at = chance.randrange(len(whole))
        (tmp_path / "bad.zip").write_bytes(
            whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]
        )
        target = tmp_path / "target"
        shutil.rmtree(target, ignore_errors=True)
        try:
            restore(tmp_path / "bad.zip", target)
        except StoreError as error:
            refused += 1
            assert "bad.zip could not be restored, and nothing was changed" in str(error)  # noqa: PT017 - or it restores
            assert not target.exists()
        else:  # a date or a comment of the ZIP format: nothing that is restored
            assert restored(target) == rows
            assert {name: data for name, data in files_of(target).items() if name != "store.db"} == {
                name: data for name, data in before.items() if name != "store.db"
            }
    assert refused > 12
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "bad.zip").write_bytes(whole[:length])
        with pytest.raises(StoreError, match="nothing was changed"):
            restore(tmp_path / "bad.zip", home, replace=True)
    assert files_of(home) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def forged(path: Path, contents: dict[str, bytes], **manifest: object) -> Path:
    listed = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
        facts = {"format": 1, "made": "now", "revision": "0001", "members": listed}
        archive.writestr("manifest.json", json.dumps(facts | manifest))
    return path


@pytest.mark.parametrize(
    "name", ["home/../../evil", "/evil", "home//evil", "evil", "../evil", "other/evil", "home/./evil"]
)
def test_names_that_lead_out_of_the_home(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="a file by the name"):
        restore(forged(tmp_path / "f.zip", {name: b"x"}), tmp_path / "deep/down/home")
    assert not list(tmp_path.rglob("evil"))


def test_a_member_larger_than_promised_is_not_unpacked(tmp_path: Path) -> None:
    bomb = {"home/bomb": {"size": 10, "sha256": "0" * 64}}
    with pytest.raises(StoreError, match="differs from its manifest"):
        restore(forged(tmp_path / "f.zip", {"home/bomb": bytes(10_000_000)}, members=bomb), tmp_path / "home")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ({"format": 2}, "Update Atelier"),
        ({"revision": "9999"}, "newer Atelier"),
        ({"members": []}, "nothing was changed"),
    ],
)
def test_archives_of_another_kind(tmp_path: Path, manifest: dict[str, object], words: str) -> None:
    with pytest.raises(StoreError, match=words):
        restore(forged(tmp_path / "f.zip", {}, **manifest), tmp_path / "home")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(StoreError, match="no backup of Atelier's"):
        restore(tmp_path / "text.zip", tmp_path / "home")
    with pytest.raises(StoreError, match="No such file"):
        restore(tmp_path / "missing.zip", tmp_path / "home")


def test_a_backup_into_the_home_itself_is_refused(home: Path, store: Engine) -> None:
    with pytest.raises(SettingsError, match="inside the home folder"):
        backup(home, store, home / "backups/one.zip")


FULL = """
import resource, sys
from pathlib import Path
from connectors.backup import backup
from retrieval.database import open_database
from retrieval.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # no file may grow further, as on a full disk
try:
    backup(Path(sys.argv[1]), open_database(sys.argv[2]), Path(sys.argv[3]))
except StoreError as error:
    print(error)
"""


def test_no_room_for_the_backup_keeps_the_last_one(home: Path, store: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    target = tmp_path / "out/one.zip"
    target.write_bytes(b"the last one")
    (home / "large").write_bytes(random.Random(1).randbytes(100_000))
    url = store.url.render_as_string(hide_password=False)
    tried = subprocess.run([sys.executable, "-c", FULL, home, url, target], capture_output=True, text=True, check=True)
    assert "could not be written" in tried.stdout
    assert [path.name for path in target.parent.iterdir()] == ["one.zip"]
    assert target.read_bytes() == b"the last one"


def test_settings_that_name_another_store_are_pointed_out(home: Path, store: Engine, tmp_path: Path) -> None:
    (home / "atelier.toml").write_text('store = "postgresql://host/db"\n')
    backup(home, store, tmp_path / "one.zip")
    assert "remove `store`" in restore(tmp_path / "one.zip", tmp_path / "new").sentences[-1]
