"""`atelier curated`: the answers that are said word for word, from the terminal: given, read from files, withdrawn."""

import argparse
import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from agent.support.curated import Curated, Entry, State
from agent.support.proposals import Thread
from connectors.cases import noted
from connectors.compose import Store, open_store
from connectors.desk.faq_cards import is_of_one_place
from connectors.settings import load_settings
from retrieval.audience import EVERYONE, audience_of
from retrieval.errors import SettingsError, StoreError, UnreadableFile

Row = Mapping[str, str]
COLUMNS = ("question", "answer", "source", "audience")
_MOST = 10 << 20  # bytes of a file


def curated(arguments: argparse.Namespace) -> int:
    store = open_store(load_settings(arguments.settings))
    entries = Curated(store.engine)
    try:
        if arguments.action == "list":
            return _list(entries.listing(store.settings.tenant), as_json=arguments.json, is_whole=arguments.all)
        if arguments.action == "add":
            row = {name: getattr(arguments, name) or "" for name in COLUMNS}
            entry = _put(store, entries, row)
            print(f"#{entry.id} answers from now on.")
        elif arguments.action == "import":
            rows = read_pairs(Path(arguments.file).expanduser())
            made = [_put(store, entries, row) for row in rows]
            print(f"{len(made)} answer{'' if len(made) == 1 else 's'} from {arguments.file} will be given from now on.")
        else:
            _decide(store, entries, arguments)
        return 0
    finally:
        store.close()


def read_pairs(file: Path) -> list[Row]:
    """The rows of a CSV file with the columns question, answer, source and audience, or of TOML's [[curated]] tables.

    The last two may be missing. Raises UnreadableFile.
    """
    try:
        if file.stat().st_size > _MOST:
            raise UnreadableFile(f"{file} is larger than {_MOST >> 20} MB. Split it.")
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnreadableFile(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{file} is not in UTF-8. Save it so.") from error
    rows = _of_toml(text, file) if file.suffix == ".toml" else _of_csv(text, file)
    for number, row in enumerate(rows, 1):
        if not row["question"].strip() or not row["answer"].strip():
            raise UnreadableFile(f"Entry {number} of {file} has no question or no answer. Nothing was read.")
    return rows


def _of_toml(text: str, file: Path) -> list[Row]:
    try:
        tables = tomllib.loads(text).get("curated", [])
        return [{name: str(table.get(name, "")) for name in COLUMNS} for table in tables]
    except (tomllib.TOMLDecodeError, AttributeError, TypeError) as error:
        raise UnreadableFile(f"{file} is no TOML with [[curated]] tables: {error}") from error


def _of_csv(text: str, file: Path) -> list[Row]:
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if not {"question", "answer"} <= set(names):
            raise UnreadableFile(f"{file} needs a first line that names its columns: {','.join(COLUMNS)}.")
        return [{name: (row.get(names.get(name, ""), "") or "") for name in COLUMNS} for row in reader]
    except csv.Error as error:
        raise UnreadableFile(f"{file} is no CSV: {error}.") from error


def _put(store: Store, entries: Curated, row: Row) -> Entry:
    """One pair; the same question for the same readers again is the same entry, with a new answer."""
    tenant, audience = store.settings.tenant, row["audience"].strip() or EVERYONE
    digest = hashlib.sha256(f"{row['question'].strip()}\n{audience}".encode()).hexdigest()[:32]
    by = store.person().id
    origin = f"terminal/{tenant[:60]}/{digest}"
    entry = entries.put(origin, tenant, row["question"], row["answer"], row["source"], audience, by)
    noted(store, "curated add", f"#{entry.id}")
    return entry


def _decide(store: Store, entries: Curated, arguments: argparse.Namespace) -> None:
    entry = entries.get(arguments.number)
    if entry is None or entry.tenant != store.settings.tenant:
        raise StoreError(f"There is no curated answer {arguments.number}. `atelier curated list --all` shows them all.")
    by = store.person().id
    if arguments.action == "approve":
        thread = Thread.of(entry.origin, entry.tenant)
        if arguments.audience and thread is not None and thread.is_to_stay(entry):
            raise SettingsError(
                f"#{entry.id} was said in a channel that not everybody reads. Add it in your own words."
            )
        audience = audience_of(entry.tenant, arguments.audience) if arguments.audience else ""
        entries.approve(entry.id, by, arguments.answer, audience=audience)
        print(f"#{entry.id} answers from now on.")
    else:
        entries.withdraw(entry.id, by)
        print(f"#{entry.id} does not answer any more.")
    noted(store, f"curated {arguments.action}", f"#{entry.id}")


def _list(found: list[Entry], *, as_json: bool, is_whole: bool) -> int:
    shown = [each for each in found if is_whole or each.state is not State.WITHDRAWN]
    if as_json:
        print(json.dumps([_row(each) for each in shown], ensure_ascii=False, indent=2))
        return 0
    if not shown:
        print("There are no curated answers. `atelier curated add QUESTION ANSWER` gives one.")
    for each in shown:
        readers = "one place" if is_of_one_place(each.audience) else each.audience.partition("/")[2]
        print(f"#{each.id}  {each.state.value:<9}  {readers:<12}  {each.title}")
    return 0


def _row(entry: Entry) -> dict[str, object]:
    return {
        "number": entry.id,
        "state": entry.state.value,
        "question": entry.question,
        "answer": entry.answer,
        "source": entry.source,
        "audience": entry.audience,
        "decided": entry.decided.isoformat(timespec="seconds") if entry.decided else None,
    }
