"""The command line: `atelier COMMAND`. Only the standard library is imported until a command is chosen.

So `atelier --help` answers at once; each command's work is a function of the same name in `connectors.commands`.
"""

import argparse
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

DESCRIPTION = "A creative colleague for a team: answers from your documents, thinks along, runs on your own machine."


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="atelier", description=DESCRIPTION, allow_abbrev=False)
    top.add_argument("--settings", metavar="FILE", help="the settings file (./atelier.toml, else <home>/atelier.toml)")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str, *, json: bool = False) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        if json:
            added.add_argument("--json", action="store_true", help="print one JSON object for scripts")
        return added

    init = command("init", "create a home folder with a commented atelier.toml")
    init.add_argument("folder", nargs="?", help="the home folder (~/.atelier); `slack`, `telegram`: how to set it up")

    command("chat", "talk with Atelier in the terminal")
    command("serve", "answer in Slack and Telegram, as the settings say")

    ask = command("ask", "ask one question and print the answer with its sources", json=True)
    ask.add_argument("question", nargs="+")

    why = command("why", "say how a text is understood, and which of its words decided that", json=True)
    why.add_argument("text", nargs="+")

    ingest = command("ingest", "read files and folders into the knowledge base", json=True)
    ingest.add_argument("paths", nargs="+", metavar="PATH")
    ingest.add_argument("--audience", metavar="NAME", help="who may read them (everyone in the tenant)")

    knowledge = command("knowledge", "see and change what the knowledge base holds")
    actions = knowledge.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the documents")
    listing.add_argument("--json", action="store_true", help="print JSON for scripts")
    remove = actions.add_parser("remove", help="remove documents; they are gone from the next answer")
    remove.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="as `knowledge list` names it, or a folder of them"
    )
    audience = actions.add_parser("audience", help="change who may read a document, from the next question on")
    audience.add_argument("source", metavar="SOURCE")
    audience.add_argument("audience", metavar="NAME")

    command("forget", "delete everything about you and list what it reached").add_argument(
        "--yes", action="store_true", help="do not ask first"
    )
    command("export", "write everything stored about you to a JSON file").add_argument("file")
    command("backup", "write the whole home folder to one archive").add_argument("file")
    restore = command("restore", "unpack a backup into a home folder")
    restore.add_argument("file")
    restore.add_argument("folder", nargs="?", help="the home folder to create (~/.atelier)")

    handed = command("cases", "see the cases that people were asked to take up")
    acts = handed.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = acts.add_parser("list", help="list the open cases with age and owner")
    listed.add_argument("--all", action="store_true", help="those that are over too")
    listed.add_argument("--json", action="store_true", help="print JSON for scripts")
    acts.add_parser("show", help="show one case with what was said").add_argument("number", type=int, metavar="NUMBER")
    exported = acts.add_parser("export", help="write all cases, without anybody's words, as CSV")
    exported.add_argument("--csv", metavar="FILE", help="where to (standard output)")
    answers = command("curated", "give answers that are said word for word, and see and withdraw them")
    doing = answers.add_subparsers(dest="action", metavar="ACTION", required=True)
    given = doing.add_parser("add", help="answer a question so from now on")
    given.add_argument("question", metavar="QUESTION", help="several ways to ask it stand on a line each")
    given.add_argument("answer", metavar="ANSWER", help="may hold {today}, {weekday} and {year}")
    given.add_argument("--source", metavar="TEXT", help="what is named as its source")
    given.add_argument("--audience", metavar="NAME", help="who may read it (everyone in the tenant)")
    many = doing.add_parser("import", help="read pairs: CSV (question,answer,source,audience) or TOML ([[curated]])")
    many.add_argument("file", metavar="FILE")
    shown = doing.add_parser("list", help="list them with their states")
    shown.add_argument("--all", action="store_true", help="those that were withdrawn too")
    shown.add_argument("--json", action="store_true", help="print JSON for scripts")
    approved = doing.add_parser("approve", help="let a proposed one answer, or change an answer")
    withdrawn = doing.add_parser("withdraw", help="let one not answer any more")
    for each in (approved, withdrawn):
        each.add_argument("number", type=int, metavar="NUMBER")
    approved.add_argument("answer", nargs="?", metavar="ANSWER", help="in these words")
    approved.add_argument("--audience", metavar="NAME", help="for these (for whom it is)")
    _growth(command)
    log = command("audit", "list what administrators and agents of support did, and what was refused", json=True)
    log.add_argument("--last", type=int, default=100, metavar="N", help="how many of the latest (100)")

    _finetune(command("finetune", "train the model on what the team liked, and decide what answers"))

    command("doctor", "check that everything is in order and say what to do where it is not", json=True)
    command("version", "print the version", json=True)
    return top


def _growth(command: Callable[..., argparse.ArgumentParser]) -> None:
    gaps = command("gaps", "see which questions found no good answer, by what they are about", json=True)
    gaps.add_argument("--days", type=int, default=30, metavar="N", help="of how many of the latest days (30)")
    gaps.add_argument("--top", type=int, default=8, metavar="N", help="how many (8)")
    digest = command("digest", "the last seven days in figures, without anybody's words")
    digest.add_argument("--out", metavar="FILE", help="write the picture there (PNG)")
    sources = command("sources", "see which folders and web addresses are read again and again, and read them now")
    acts = sources.add_subparsers(dest="action", metavar="ACTION")
    acts.add_parser("list", help="list them with their states")
    acts.add_parser("read", help="read what has changed, now")
    drop = acts.add_parser("drop", help="remove the documents of sources that are not on the list any more")
    drop.add_argument("addresses", nargs="*", metavar="ADDRESS", help="without one: see what would go")
    for each in (sources, *acts.choices.values()):
        each.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for scripts")


def _finetune(tune: argparse.ArgumentParser) -> None:
    parts = tune.add_subparsers(dest="part", metavar="PART", required=True)

    def part(name: str, text: str) -> argparse.ArgumentParser:
        added = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="print one JSON object for scripts")
        return added

    run = part("run", "train an adapter, measure it, and keep it as a version if it is good enough")
    run.add_argument("--data", nargs="+", metavar="FILE.jsonl", help='conversations, one a line: {"messages": […]}')
    run.add_argument("--rated", action="store_true", help="learn from the turns that people rated, where they agreed")
    run.add_argument("--knowledge", action="store_true", help="learn from the documents in the knowledge base")
    run.add_argument("--recipe", metavar="NAME|FILE", help="small-cpu, one-gpu, several-gpus or a TOML file")
    run.add_argument("--base", metavar="MODEL", help="the model to train (the setting `model`)")
    run.add_argument("--name", help="what its versions are called: NAME-1, NAME-2 … (team)")
    run.add_argument("--dry-run", action="store_true", help="only say what it would take and what would be left out")
    run.add_argument("--promote", action="store_true", help="make it live as soon as the gate lets it through")
    run.add_argument("--detach", action="store_true", help="do not wait for it")
    run.add_argument(
        "--threads", type=int, metavar="N", help="processor cores (all but one, which the bot keeps; 0: all)"
    )
    listing = part("list", "list the jobs and what became of them")
    listing.add_argument("--heads", action="store_true", help="the versions of the heads that understand messages")
    show = part("show", "show one job: how far it is, what happened, how it ended")
    show.add_argument("--follow", action="store_true", help="watch it to its end")
    cancel = part("cancel", "end a job; what was trained so far is kept in a checkpoint")
    resume = part("resume", "take a job up again from its last checkpoint")
    resume.add_argument("--detach", action="store_true", help="do not wait for it")
    for each in (show, cancel, resume):
        each.add_argument("job", nargs="?", metavar="JOB", help="its id, or a part of it (the latest)")
    promote = part("promote", "let a version answer: everywhere, or on trial")
    promote.add_argument("version", nargs="?", metavar="VERSION", help="as `finetune list` names it (the latest)")
    promote.add_argument("--share", type=float, metavar="0..1", help="on trial, in this share of chats (0: end it)")
    promote.add_argument("--channel", action="append", metavar="ID", help="on trial, in this channel (repeatable)")
    promote.add_argument("--force", action="store_true", help="even when it is flagged")
    rollback = part("rollback", "go back to the version before the live one")
    rollback.add_argument("--heads", action="store_true", help="of the heads that understand messages")
    compare = part("compare", "show the scores of two versions side by side")
    compare.add_argument("version", nargs="?", metavar="VERSION", help="the latest")
    compare.add_argument("other", nargs="?", metavar="OTHER", help="the live one")

    export = part("export", "write a version merged into its model, as a model folder that any program can load")
    export.add_argument("folder", metavar="FOLDER", help="a new one")
    export.add_argument("version", nargs="?", metavar="VERSION", help="the latest")
    export.add_argument("--base", metavar="MODEL", help="the model that it was trained on (the setting `model`)")
    push = part("push", "load a version into the vLLM server that the settings name")
    push.add_argument("version", nargs="?", metavar="VERSION", help="the latest")
    push.add_argument("--seen-as", metavar="PATH", help="where the server sees the version's folder")

    heads = parts.add_parser("heads", help="train the heads that understand messages, also on labels of your own")
    heads.add_argument("--rows", metavar="FILE.jsonl", help='your own, one a line: {"text": "…", "label": "…"}')
    heads.add_argument("--promote", action="store_true", help="make them live unless they are worse")
    heads.add_argument("--out", metavar="FOLDER", help="only write them there, and keep no version")
    intent = parts.add_parser("intent", help="learn intents of your own from a few examples each, in under a minute")
    intent.add_argument("file", metavar="FILE", help="TOML (billing = ['…', …]), CSV (text, label) or JSONL")
    kinds = ("topic", "emotion")
    intent.add_argument("--as", dest="kind", choices=kinds, default=kinds[0], help="what the labels say (topic)")
    intent.add_argument("--unlabelled", metavar="FILE", help="messages without labels: to learn from and to label next")
    intent.add_argument("--from-chat", action="store_true", help="as such, stored messages of people who agreed")
    intent.add_argument("--propose", type=int, default=10, metavar="N", help="how many to label next (10)")
    intent.add_argument("--label-next", metavar="FILE.csv", help="write them there: only of --unlabelled FILE")
    intent.add_argument("--promote", action="store_true", help="make them live")
    intent.add_argument("--out", metavar="FOLDER", help="only write them there, and keep no version")
    intent.add_argument("--seed", type=int, default=0)
    fusion = parts.add_parser("fusion", help="train the merging of words and vectors")
    fusion.add_argument("--out", metavar="FILE", required=True, help="where to write the weights, as JSON")
    base = parts.add_parser("base", help="train a starter, a small language model, from nothing")
    base.add_argument("--out", metavar="FOLDER", required=True, help="where to write it; the same again goes on")
    base.add_argument("--preset", choices=("full", "small", "tiny"), default="small", help="its size (small: 2 cores)")
    base.add_argument("--minutes", type=float, default=90.0, metavar="N", help="how long it may take (90)")
    base.add_argument("--rows", type=int, metavar="N", help="rows of 2,048 tokens a step (32 on a GPU, else 8)")
    base.add_argument("--processes", type=int, metavar="N", help="that prepare the data (all cores but one)")
    base.add_argument("--tokenizer", metavar="FOLDER", help="a tokenizer to take instead of training one")
    for each in (heads, fusion, base):
        each.add_argument("--data", metavar="FOLDER", help="where the public data sets are (else ATELIER_DATA)")
        each.add_argument("--seed", type=int, default=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 it failed and said why, 2 wrong usage, 130 interrupted."""
    chosen = parser().parse_args(arguments)
    if chosen.command == "version" and not chosen.json:
        print(f"atelier {version('atelier')}")
        return 0
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch's idle threads leave the cores to FAISS's, and so back
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # a forked child would warn about it on the user's screen
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.umask(0o077)  # what is kept of conversations is for its owner alone
    from retrieval.errors import AtelierError

    _bend_streams()
    try:
        from connectors import commands

        status: int = getattr(commands, chosen.command)(chosen)
    except ModuleNotFoundError as error:
        print(f"atelier: {error.name} is not installed. Run `make chat` in the project's folder.", file=sys.stderr)
        return 1
    except AtelierError as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is kept; run the same command again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        said = "The disk is full, so not all was written. Free some space and try again." if full else unexpected(error)
        print(f"atelier: {said}", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - the last door: no traceback reaches a user
        print(f"atelier: {unexpected(error)}", file=sys.stderr)
        return 1
    return status


def _bend_streams() -> None:
    """Let what a terminal cannot show, or what comes in another encoding, cost a character and not the conversation."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed, another where a test listens
            stream.reconfigure(errors="replace")


def unexpected(error: Exception) -> str:
    """A sentence for a failure nobody foresaw. Where it happened goes to a file, its text (maybe personal) does not."""
    home = Path(os.environ.get("ATELIER_HOME") or "~/.atelier").expanduser()
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    sentence = f"Something went wrong inside Atelier ({type(error).__name__})."
    try:
        home.mkdir(parents=True, exist_ok=True)
        report = home / "last-error.txt"
        report.write_text("\n".join([f"atelier {version('atelier')}", type(error).__name__, *frames]) + "\n")
    except OSError:
        return f"{sentence} Please report it with what `atelier doctor` prints."
    return f"{sentence} Please report it with the file {report}, which holds no personal text."


if __name__ == "__main__":
    sys.exit(main())
