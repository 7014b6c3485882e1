"""Files that cannot be read: each ends with a clear sentence, and the next file is read."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from retrieval.errors import UnreadableFile
from retrieval.loading import load

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def refusal(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(path.name)
    assert message.endswith(".")
    assert "Error" not in message.removeprefix(path.name)
    return message


def word(text: str = "Hello.") -> bytes:
    made = docx.Document()
    made.add_paragraph(text)
    made.save(buffer := io.BytesIO())
    return buffer.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.create_sheet("Prices").append(["a", "b"])
    book.save(buffer := io.BytesIO())
    return buffer.getvalue()


def with_part(archive: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return buffer.getvalue()


def pdf(*, encrypted: bool = False, text: str | None = "Hello.") -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, encrypt=StandardEncryption("secret") if encrypted else None)
    canvas.rect(10, 10, 20, 20) if text is None else canvas.drawString(72, 700, text)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "suffix", [".md", ".txt", ".html", ".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".json", ".jsonl"]
)
def test_empty(tmp_path: Path, suffix: str) -> None:
    assert "is empty" in refusal(tmp_path / f"a{suffix}", b"")
    if suffix not in (".pdf", ".docx", ".pptx", ".xlsx"):
        assert "empty" in refusal(tmp_path / f"b{suffix}", b" \n\t\n ")


def test_password(tmp_path: Path) -> None:
    assert "protected by a password" in refusal(tmp_path / "a.pdf", pdf(encrypted=True))
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(500)
    assert "protected by a password" in refusal(tmp_path / "a.xlsx", ole)


def test_old_office_says_what_to_save_it_as(tmp_path: Path) -> None:
    assert "before 2007" in refusal(tmp_path / "a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))
    assert "Save it as .docx" in refusal(tmp_path / "a.doc", b"anything")


def test_a_scan_asks_for_text_recognition(tmp_path: Path) -> None:
    assert "OCR" in refusal(tmp_path / "a.pdf", pdf(text=None))


def test_mislabelled(tmp_path: Path) -> None:
    assert "is a PDF file although its name ends in .docx" in refusal(tmp_path / "a.docx", pdf())
    assert "is a Word document although its name ends in .xlsx" in refusal(tmp_path / "a.xlsx", word())
    assert "is a PNG picture although its name ends in .pdf" in refusal(tmp_path / "a.pdf", PNG)
    assert "is a PNG picture although its name ends in .txt" in refusal(tmp_path / "a.txt", PNG)
    assert "is a ZIP archive" in refusal(
        tmp_path / "b.docx",
        with_part(word(), "", bytes).replace(b"[Content", b"[Kontent").replace(b"word/doc", b"w0rd/doc"),
    )
    assert "does not read (.exe)" in refusal(tmp_path / "a.exe", b"MZ")
    assert "no suffix" in refusal(tmp_path / "README", b"text")


def test_text_under_a_wrong_name_is_read_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("Just text.")
    (tmp_path / "b.xlsx").write_text("Name,Price\nTea,1\n")
    (tmp_path / "c.pdf").write_text("<!DOCTYPE html><title>T</title><h1>Login</h1><p>Please.")
    assert load(tmp_path / "a.docx").sections[0].text == "Just text."
    assert load(tmp_path / "b.xlsx").sections[0].text == "Name: Tea; Price: 1"
    assert load(tmp_path / "c.pdf").sections[0].text == "Please."


def test_binary(tmp_path: Path) -> None:
    assert "binary" in refusal(tmp_path / "a.txt", bytes(range(256)) * 20)


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pdf"])
def test_damaged(tmp_path: Path, kind: str) -> None:
    whole = {"docx": word, "xlsx": workbook, "pdf": pdf}[kind]()
    assert "is damaged" in refusal(tmp_path / f"a.{kind}", whole[: len(whole) // 3])
    assert "is damaged" in refusal(tmp_path / f"b.{kind}", os.urandom(5000))


def test_invalid_json_names_the_line(tmp_path: Path) -> None:
    assert "not valid JSON (line 2)" in refusal(tmp_path / "a.json", b'{"a": 1,\n b}')
    assert "line 1 is no JSON" in refusal(tmp_path / "a.jsonl", b"one\ntwo\n")


def test_nested_too_deeply(tmp_path: Path) -> None:
    assert "nested too deeply" in refusal(tmp_path / "a.json", b"[" * 100_000 + b"]" * 100_000)
    assert "nested too deeply" in refusal(tmp_path / "a.jsonl", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    assert "nested too deeply" in refusal(tmp_path / "a.html", b"<div>" * 100_000 + b"x")


def test_reasonable_nesting_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div>" * 1000 + "deep" + "</div>" * 1000 + "<p>after")
    assert load(tmp_path / "a.html").sections[0].text == "deep\n\nafter"
    (tmp_path / "a.md").write_text(">" * 3000 + " deep")
    assert "deep" in load(tmp_path / "a.md").sections[0].text


def test_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = with_part(word(), "word/document.xml", lambda xml: xml.replace(b"Hello.", b"a" * 60_000_000))
    assert "zip bomb" in refusal(tmp_path / "a.docx", bomb)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_entities_are_refused(tmp_path: Path, encoding: str) -> None:
    def laugh(xml: bytes) -> bytes:
        head, body = xml.split(b"?>", 1) if xml.startswith(b"<?xml") else (b'<?xml version="1.0"', xml)
        head = head.replace(b"UTF-8", encoding.encode())
        return (
            (head + b"?><!--" + b" " * 9000 + b"-->" + LAUGHS + body.replace(b"Hello.", b"&b;"))
            .decode()
            .encode(encoding)
        )

    assert "entities" in refusal(tmp_path / "a.docx", with_part(word(), "word/document.xml", laugh))
    assert "entities" in refusal(tmp_path / "a.xlsx", with_part(workbook(), "xl/workbook.xml", laugh))


def test_outside_files_are_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("TOPSECRET")
    page = f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]><html><p>a &x; b</p>'
    (tmp_path / "a.html").write_text(page + f'<iframe src="file://{tmp_path}/secret.txt"></iframe></html>')
    assert "TOPSECRET" not in str(load(tmp_path / "a.html"))


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "broken.md").symlink_to(tmp_path / "nowhere.md")
    (tmp_path / "loop.md").symlink_to("loop.md")
    assert "is a folder" in refusal(tmp_path / "folder.md")
    assert "is a pipe" in refusal(tmp_path / "pipe.txt")
    assert "device" in refusal(Path("/dev/zero"))
    assert "link to a file that is not there" in refusal(tmp_path / "broken.md")
    assert "cannot be opened" in refusal(tmp_path / "loop.md")
    assert "is not there" in refusal(tmp_path / "gone.md")


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    (tmp_path / "a.md").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)  # nobody: the superuser may read everything
        assert "may not be read" in refusal(tmp_path / "a.md")
    finally:
        os.seteuid(user)


def test_a_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile) as caught:
        load(tmp_path / "a\x1b[2J\n\u202e.md")
    assert str(caught.value).startswith("a�[2J��.md is not there")


def test_huge(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(10**11)
    assert "larger than 100 MB" in refusal(tmp_path / "a.txt")
    with (tmp_path / "b.txt").open("wb") as file:
        file.truncate(60_000_000)
    assert "more than 50 MB of text" in refusal(tmp_path / "b.txt", None)
