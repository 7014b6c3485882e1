"""The rows of tables, wherever they stand, read as facts of their own under the words of their header."""

from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from retrieval.document import Document, Section
from retrieval.loading import load


def write(folder: Path, name: str, text: str) -> Document:
    (folder / name).write_text(text, encoding="utf-8")
    return load(folder / name)


TABLES = """# Rooms

Book one [here](https://rooms.example).

| Room | *Seats* | Note |
|:--|--:|---|
| Aurora | 4 | [plan](https://a.example) <!-- secret --> |
| Comet | **30** | a \\| b<br>c |
| Empty | | |

After it.

| Question | Answer |
| --- | --- |
| Who cleans? | Everybody. |

- a list

  | A | B | C |
  |---|---|---|
  | 1 | 2 | 3 |

```
| no | table |
|----|-------|
| x  | y     |
```
"""


def test_a_row_of_a_markdown_table_is_a_section_at_its_line(tmp_path: Path) -> None:
    document = write(tmp_path, "a.md", TABLES)
    rows = [section for section in document.sections if section.whole]
    assert rows == [
        Section("Room: Aurora; Seats: 4; Note: [plan](https://a.example)", ("Rooms",), line=7, whole=True),
        Section("Room: Comet; Seats: 30; Note: a | b c", ("Rooms",), line=8, whole=True),
        Section("Room: Empty", ("Rooms",), line=9, whole=True),
        Section("Everybody.", ("Rooms", "Who cleans?"), line=15, whole=True),
        Section("A: 1; B: 2; C: 3", ("Rooms",), line=21, whole=True),
    ]
    rest = [section for section in document.sections if not section.whole]
    assert [(section.line, section.text.partition("\n")[0]) for section in rest] == [
        (3, "Book one [here](https://rooms.example)."),
        (11, "After it."),
        (17, "- a list"),
        (23, "```"),
    ]
    assert "| x  | y     |" in rest[-1].text


def html_table(tmp_path: Path, rows: str) -> list[str]:
    document = write(
        tmp_path, "a.html", f"<html><body><h1>T</h1><p>One.</p><table>{rows}</table><p>Two.</p></body></html>"
    )
    assert document.sections[0].text == "One." or document.sections[0].text.startswith("One.\n")
    return [section.text for section in document.sections if section.whole]


def test_cells_of_an_html_table_stand_in_their_columns(tmp_path: Path) -> None:
    rows = (
        "<tr><th>Office<th>Day<th>Opens<tr><td rowspan=2>Lyon<td>Monday<td>8:00<tr><td>Friday<td>9:00"
        "<tr><td>Porto<td colspan=2>closed<tr><td><td>Sunday<td>never"
    )
    assert html_table(tmp_path, rows) == [
        "Office: Lyon; Day: Monday; Opens: 8:00",
        "Office: Lyon; Day: Friday; Opens: 9:00",
        "Office: Porto; Day: closed",
        "Day: Sunday; Opens: never",
    ]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ("<tr><td>Manager<td>Ada<tr><td>Deputy<td>Bob", ["Manager: Ada", "Deputy: Bob"]),
        ("<tr><td>Name<td>Town<td>Age<tr><td>Ada<td>Bonn<td>36", ["Name: Ada; Town: Bonn; Age: 36"]),
        ("<tr><td>1<td>2<td>3<tr><td>4<td>5<td>6", ["1; 2; 3", "4; 5; 6"]),
        ("<tr><td>Question<td>Answer<tr><td>Who?<td>Ada", ["Ada"]),
        ("<tr><td>Only<tr><td>layout", []),
        ("<tr><td>Only<td>one row", []),
        ("", []),
        ("<tr><th colspan=99999999999>x<td rowspan=-1>y<tr><td>z<td>w", ["x: y", "z: w"]),
    ],
)
def test_an_html_table_without_a_marked_header(tmp_path: Path, rows: str, texts: list[str]) -> None:
    assert html_table(tmp_path, rows) == texts


def test_word_tables_with_a_bold_header_and_merged_cells(tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("Offices", 1)
    table = made.add_table(4, 3)
    texts = ("Office", "Day", "Opens", "Lyon", "Monday", "8:00", "", "Friday", "9:00", "Porto", "closed", "")
    for cell, text in zip(table._cells, texts, strict=True):
        cell.text = text
    for cell in table.rows[0].cells:
        cell.paragraphs[0].runs[0].bold = True
    table.cell(1, 0).merge(table.cell(2, 0))
    table.cell(3, 1).merge(table.cell(3, 2))
    made.save(str(tmp_path / "a.docx"))
    assert [section.text for section in load(tmp_path / "a.docx").sections] == [
        "Office: Lyon; Day: Monday; Opens: 8:00",
        "Office: Lyon; Day: Friday; Opens: 9:00",
        "Office: Porto; Day: closed",
    ]


def test_a_table_on_a_slide_gives_its_rows(tmp_path: Path) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[5])
    slide.shapes.title.text = "Costs"
    table = slide.shapes.add_table(2, 2, 0, 0, 99, 99).table
    for number, text in enumerate(("Item", "Budget", "Laptop", "1,200 €")):
        table.cell(number // 2, number % 2).text = text
    made.save(str(tmp_path / "a.pptx"))
    (section,) = load(tmp_path / "a.pptx").sections
    assert (section.text, section.heading, section.page) == ("Item: Laptop; Budget: 1,200 €", ("Costs",), 1)


def test_years_and_months_can_be_a_header(tmp_path: Path) -> None:
    assert [s.text for s in write(tmp_path, "a.csv", "Region,2023,2024\nNorth,12,15\n").sections] == [
        "Region: North; 2023: 12; 2024: 15"
    ]
    assert [s.text for s in write(tmp_path, "b.csv", "Team,2024-01,2024-02\nA,1,2\n").sections] == [
        "Team: A; 2024-01: 1; 2024-02: 2"
    ]
    book = openpyxl.Workbook()
    book.active.append(["Sales", 2022, 2023, 2024])
    book.active.append(["Tea", 5, 6, 7])
    book.save(tmp_path / "c.xlsx")
    assert load(tmp_path / "c.xlsx").sections[0].text == "Sales: Tea; 2022: 5; 2023: 6; 2024: 7"


def test_numbers_that_are_no_series_are_no_header(tmp_path: Path) -> None:
    texts = [s.text for s in write(tmp_path, "a.csv", "Berlin,2019,1998\nBonn,2001,2003\n").sections]
    assert texts == ["Berlin; 2019; 1998", "Bonn; 2001; 2003"]
