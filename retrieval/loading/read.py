"""One file to one document: what it is by its content, then the loader for it, then only what a person sees."""

from collections.abc import Callable, Iterator
from pathlib import Path

from retrieval.document import Document, Section
from retrieval.errors import UnreadableFile
from retrieval.loading.kind import Kind, kind_of
from retrieval.loading.markdown import load_markdown
from retrieval.loading.pdf import load_pdf
from retrieval.loading.plain import load_plain
from retrieval.loading.records import load_json, load_jsonl
from retrieval.loading.sheet import load_xlsx
from retrieval.loading.slides import load_pptx
from retrieval.loading.source import Source, open_source
from retrieval.loading.table import load_csv
from retrieval.loading.text import clean, clean_line
from retrieval.loading.webpage import load_html
from retrieval.loading.word import load_docx

MOST_CHARACTERS = 60_000_000  # that one document may hold

_LOADERS: dict[Kind, Callable[[Source], Document]] = {
    "markdown": load_markdown,
    "plain": load_plain,
    "html": load_html,
    "pdf": load_pdf,
    "docx": load_docx,
    "pptx": load_pptx,
    "xlsx": load_xlsx,
    "csv": load_csv,
    "json": load_json,
    "jsonl": load_jsonl,
}


def load(path: Path) -> Document:
    """Read one file in this process, without bounds on time and memory: for files of strangers take `Reader`.

    No macro, link or entity in it is followed; invisible characters are dropped. Raises UnreadableFile, and
    MemoryError where memory is bounded.
    """
    source = open_source(path)
    kind = kind_of(source)
    try:
        document = _LOADERS[kind](source)
        sections = tuple(_seen(document))
    except (UnreadableFile, MemoryError):
        raise
    except RecursionError as error:
        raise source.unreadable("is nested too deeply to be read.") from error
    except Exception as error:  # the format libraries raise anything at all for a broken file
        if str(error).startswith("unknown error") or "emory alloc" in str(error):
            raise MemoryError from error  # lxml, when not even a record of the error could be allocated
        raise source.unreadable(
            "is damaged, or not what its name says. Open it in its own program and save it again."
        ) from error
    if not sections:
        raise source.unreadable("holds no text.")
    if sum(len(section.text) for section in sections) > MOST_CHARACTERS:
        raise source.unreadable(f"holds more than {MOST_CHARACTERS // 1_000_000} million characters. Split it.")
    return Document(clean_line(document.title), sections)


def _seen(document: Document) -> Iterator[Section]:
    """The sections as a person sees them, empty ones left out; `line` is that of the first character that stays."""
    for section in document.sections:
        text = clean(section.text)
        body = text.lstrip()
        if not body:
            continue
        line = section.line
        if not section.whole:
            line = line + text.count("\n", 0, len(text) - len(body)) if line is not None else None
            body = text[text.rfind("\n", 0, len(text) - len(body)) + 1 :]  # keep the first line's indentation
        heading = tuple(words for title in section.heading if (words := clean_line(title)))
        yield Section(body.rstrip(), heading, section.page, line, section.whole)
