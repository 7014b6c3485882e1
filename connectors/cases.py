"""`atelier cases` and `atelier audit`: what people were asked to take up, and what administrators did."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from agent.secret_shapes import mask_secrets
from agent.support.audit import Act, Audit
from agent.support.cases import WORDS, Case, Cases
from connectors.compose import Store, open_store
from connectors.desk.access import short
from connectors.desk.support_words import listed
from connectors.settings import load_settings
from retrieval.errors import StoreError
from retrieval.files import write_atomically

Arguments = argparse.Namespace
COLUMNS = "case state reason opened closed hours_open asked_in owner desk rating lines".split()
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would carry these out


def cases(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        if arguments.action == "show":
            return _show(store, arguments.number)
        is_live = arguments.action == "list" and not arguments.all
        found = Cases(store.engine).listed(store.settings.tenant, is_live=is_live)
        if arguments.action == "export":
            return _export(store, found, arguments.csv)
        if arguments.json:
            print(json.dumps([_row(store, case) for case in found], indent=2))
        else:
            print(listed(found, datetime.now(UTC), "en"))
        return 0
    finally:
        store.close()


def audit(arguments: Arguments) -> int:
    store = open_store(load_settings(arguments.settings))
    try:
        acts = Audit(store.engine).acts(limit=arguments.last)
    finally:
        store.close()
    if arguments.json:
        print(json.dumps([_act(act) for act in acts], ensure_ascii=False, indent=2))
        return 0
    if not acts:
        print("No administrative act is in the log yet.")
    for act in acts:
        who = act.account or "(forgotten)"
        what = f"{act.verb} {act.object}".rstrip()
        print(f"{act.at:%Y-%m-%d %H:%M:%S}  {act.outcome:<7}  {act.role:<13}  {who:<24}  {what}")
    return 0


def noted(store: Store, verb: str, object_: str) -> None:
    """Keep what whoever runs Atelier did in the terminal."""
    place = store.place
    account = f"{place.platform}:{place.tenant}:{place.channel}"
    key, about = f"terminal/{datetime.now(UTC).isoformat()}", mask_secrets(object_)
    Audit(store.engine).note(key, account, "operator", verb, about, "done")


def _show(store: Store, number: int) -> int:
    found = Cases(store.engine)
    case = found.get(number)
    if case is None:
        raise StoreError(f"There is no case {number}. `atelier cases list --all` shows them all.")
    print(listed([case], datetime.now(UTC), "en"))
    for line in found.lines(number):
        words = f"  {line.text}" if line.kind in WORDS and line.text else ""
        print(f"{line.at:%Y-%m-%d %H:%M}  {line.kind}{words}")
    return 0


def _export(store: Store, found: Sequence[Case], file: str | None) -> int:
    """Everything but the words: what was said stays in the store, where forgetting reaches it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in _row(store, case).items()} for case in found)
    if file is None or file == "-":
        sys.stdout.write(text.getvalue())
        return 0
    path = Path(file).expanduser()
    try:
        write_atomically(path, text.getvalue().encode())
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    noted(store, "cases export", path.name)
    print(f"{path} holds {len(found)} case{'' if len(found) == 1 else 's'}.")
    return 0


def _row(store: Store, case: Case) -> dict[str, object]:
    ended = case.closed or datetime.now(UTC)
    return {
        "case": case.number,
        "state": case.state.value,
        "reason": case.reason,
        "opened": case.opened.isoformat(timespec="seconds"),
        "closed": case.closed.isoformat(timespec="seconds") if case.closed else "",
        "hours_open": round((ended - case.opened).total_seconds() / 3600, 2),
        "asked_in": case.place.platform,
        "owner": short(case.owner_account) if case.owner_account else "",
        "desk": f"{case.desk.platform}:{case.desk.channel}",
        "rating": "" if case.rating is None else case.rating,
        "lines": sum(line.kind in WORDS for line in Cases(store.engine).lines(case.number)),
    }


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _act(act: Act) -> dict[str, str]:
    return {
        "at": act.at.isoformat(timespec="seconds"),
        "account": act.account,
        "role": act.role,
        "verb": act.verb,
        "object": act.object,
        "outcome": act.outcome,
        "place": act.place,
    }
