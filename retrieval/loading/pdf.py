"""PDF: the text of each page inside its visible area, under the outline's titles, or what is set as a heading."""

import re
from collections import Counter
from typing import Any

from retrieval.document import Document
from retrieval.loading.outline import Outline
from retrieval.loading.source import Source
from retrieval.loading.text import clean_line
from retrieval.loading.type_size import Setting, headings, settings

_MOST_BOOKMARKS = 5_000
_SOFT_HYPHEN = re.compile("[\ufffe\x02\u00ad]\n?")  # what pdfium makes of a hyphen at a line's end
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-\n(?=[^\W\d_A-Z])")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\uf0b7": "•", "\uf0a7": "▪"}
)
_ENDINGS = (".", "!", "?", ":", "。", "\uff01", "\uff1f", "”", '."')
_NO_TITLE = re.compile(r"untitled|Microsoft .*|.*\.\w{2,4}", re.IGNORECASE)  # programs put file names there
_PASSWORD = 4  # FPDF_ERR_PASSWORD, fpdfview.h


def load_pdf(source: Source) -> Document:
    import pypdfium2

    try:
        opened = pypdfium2.PdfDocument(source.content)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _PASSWORD or "password" in str(error).lower():
            raise source.unreadable("is protected by a password. Save it without one.") from error
        raise source.unreadable("is damaged, or no PDF at all. Fetch or save it again.") from error
    try:
        seen: dict[str, Setting] = {}
        pages = [_page_lines(opened, number, seen) for number in range(len(opened))]
        if not any(pages):
            raise source.unreadable(
                "holds no text, only pictures of it (a scan). Run text recognition (OCR) on it first, for example with "
                "ocrmypdf."
            )
        _drop_running_lines(pages)
        outline = Outline()
        bookmarks = _bookmarks(opened) or headings(pages, seen)
        for number, lines in enumerate(pages, start=1):
            _add_page(outline, lines, number, bookmarks.get(number, []))
        title = clean_line(opened.get_metadata_value("Title") or "")
    finally:
        opened.close()
    if _NO_TITLE.fullmatch(title):
        title = ""
    return Document(title or outline.first_heading, outline.finish())


def _page_lines(opened: Any, number: int, seen: dict[str, Setting]) -> list[str]:
    """The page's lines; how they are set goes into `seen`. A page that pdfium cannot load is empty."""
    import pypdfium2

    try:
        page = opened[number]
    except pypdfium2.PdfiumError:
        return []
    text_page = page.get_textpage()
    text = text_page.get_text_bounded().replace("\r\n", "\n").replace("\r", "\n")
    for line, how in settings(text_page):
        seen.setdefault(line.translate(_LIGATURES), how)
    text_page.close()
    page.close()
    text = _HYPHEN.sub("", _SOFT_HYPHEN.sub("", text)).translate(_LIGATURES)
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def _drop_running_lines(pages: list[list[str]]) -> None:
    """Remove headers, footers and page numbers: first or last lines that most pages share but for their digits."""
    if len(pages) < 4:
        return
    for end in (0, -1):
        for _ in range(2):
            shared = Counter(_shape(lines[end]) for lines in pages if lines)
            running = {shape for shape, times in shared.items() if times > len(pages) / 2}
            if not running:
                break
            kept: set[str] = set()  # once, on its first page, where a letterhead or a title may be news
            for lines in pages:
                shape = _shape(lines[end]) if len(lines) > 1 else ""
                if shape in kept:
                    del lines[end]
                elif shape in running:
                    kept.add(shape)


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def _bookmarks(opened: Any) -> dict[int, list[tuple[int, str]]]:
    """Page number to level and title of the outline's entries that point to it."""
    found: dict[int, list[tuple[int, str]]] = {}
    for count, bookmark in enumerate(opened.get_toc(max_depth=6)):
        if count == _MOST_BOOKMARKS:
            break
        target = bookmark.get_dest()
        page = target.get_index() if target is not None else None
        if page is not None:
            found.setdefault(page + 1, []).append((bookmark.level + 1, clean_line(bookmark.get_title() or "")))
    return found


def _add_page(outline: Outline, lines: list[str], page: int, bookmarks: list[tuple[int, str]]) -> None:
    """Cut the page where a line is the title of a bookmark; a title not found so counts from where the last one was."""
    done = 0
    for level, title in bookmarks:
        wanted = _squeezed(title)
        at = next((i for i in range(done, len(lines)) if wanted and _squeezed(lines[i]) == wanted), None)
        if at is not None:
            outline.add(_paragraphs(lines[done:at]), page=page)
            done = at + 1
        outline.enter(level, title, page=page)
    outline.add(_paragraphs(lines[done:]), page=page)


def _squeezed(title: str) -> str:
    return "".join(letter for letter in title.casefold() if letter.isalpha())


def _paragraphs(lines: list[str]) -> str:
    """Join lines; after a sentence's end on a short line stands an empty one, as PDF itself knows no paragraphs."""
    if not lines:
        return ""
    full = sorted(map(len, lines))[int(len(lines) * 0.8)]
    joined = [line + "\n" if len(line) < 0.8 * full and line.endswith(_ENDINGS) else line for line in lines]
    return "\n".join(joined).rstrip()
