"""What is asked of a whole table is worked out where its column is plainly numeric, and else left to the reader."""

from functools import partial

import pytest

from agent.generation.phrases import phrase
from agent.generation.quantities import column
from agent.generation.superlatives import worked_out
from retrieval.loading.table import sections_of
from retrieval.passage import Passage

CABINS = [
    ["Cabin", "Price per night", "Beds", "Area (m2)", "Outlook"],
    ["Wren", "€89", "1", "14", "yard"],
    ["Lark", "€129", "2", "21", "lake"],
    ["Lark Plus", "€149", "2", "24", "lake"],
    ["Heron", "€1,240", "4", "52", "yard"],
]
SCALES = [
    ["Model", "Price", "Weight (g)", "Delivery", "Battery life", "Reach"],
    ["K1", "39 EUR", "340", "3 days", "90 h", "60 m"],
    ["K2", "on request", "1,280", "2 weeks", "160 h", "1,500 m"],
    ["K3", "24 EUR", "95", "1 day", "4 days", "40 m"],
]
SCHICHTEN = [
    ["Schicht", "Stunden", "Zuschlag", "Urlaubstage"],
    ["Früh", "8", "0 %", "28"],
    ["Spät", "7,5", "12,5 %", "30"],
    ["Nacht", "7", "25 %", "33"],
]

PATHS = [
    ["Path", "Ascent", "Distance (km)", "Deposit for the map", "Dogs", "Bench", "Map"],
    ["Oak path", "500 m", "12", "€5", "no dogs", "yes", "oak"],
    ["Fox path", "200 m", "30", "€9", "dogs welcome", "no", "fox"],
    ["Bee path", "900 m", "5", "€2", "dogs welcome", "yes", "bee"],
]
LINES = [
    ["Line", "Link", "Warranty", "Payload", "0-100 km/h"],
    ["Grey", "50 Mbit/s", "2 years", "30 kg", "9 s"],
    ["Blue", "250 Mbit/s", "3 years", "10 kg", "4 s"],
]


def rows(table: list[list[str]], source: str) -> list[Passage]:
    sections = sections_of(list(enumerate(table, 1)))
    return [
        Passage(number, section.text, source, "", None, section.line, "t/everyone", 0.5, 0.5)
        for number, section in enumerate(sections)
    ]


SHELF = {
    "camp/cabins.csv": rows(CABINS, "camp/cabins.csv"),
    "shop/scales.csv": rows(SCALES, "shop/scales.csv"),
    "haus/schichten.csv": rows(SCHICHTEN, "haus/schichten.csv"),
    "walks/paths.csv": rows(PATHS, "walks/paths.csv"),
    "lines.csv": rows(LINES, "lines.csv"),
}


def told(question: str, source: str) -> str | None:
    """What is said where the search found one row of a table; the others are read from the shelf."""
    found = worked_out(question, SHELF[source][1:2], SHELF.__getitem__, partial(phrase, "answer"))
    return None if found is None else found.said


@pytest.mark.parametrize(
    ("question", "source", "said"),
    [
        ("which cabin is the cheapest?", "camp/cabins.csv", "**Wren** – Price per night: €89 [1]"),
        ("What's the most expensive cabin?", "camp/cabins.csv", "**Heron** – Price per night: €1,240 [1]"),
        ("which cabin costs the most?", "camp/cabins.csv", "**Heron** – Price per night: €1,240 [1]"),
        ("which cabin is the least expensive?", "camp/cabins.csv", "**Wren** – Price per night: €89 [1]"),
        ("which cabin has the most beds?", "camp/cabins.csv", "**Heron** – Beds: 4 [1]"),
        ("which is the largest cabin?", "camp/cabins.csv", "**Heron** – Area (m2): 52 [1]"),
        (
            "which cabin with a lake outlook is the cheapest?",
            "camp/cabins.csv",
            "**Lark** – Outlook: lake; Price per night: €129 [1]",
        ),
        ("is the Lark the cheapest?", "camp/cabins.csv", "**Wren** – Price per night: €89 [1]"),
        ("which scale is the lightest?", "shop/scales.csv", "**K3** – Weight (g): 95 [1]"),
        ("which model is delivered fastest?", "shop/scales.csv", "**K3** – Delivery: 1 day [1]"),
        ("which model has the longest battery life?", "shop/scales.csv", "**K2** – Battery life: 160 h [1]"),
        ("which model has the longest reach?", "shop/scales.csv", "**K2** – Reach: 1,500 m [1]"),
        ("which path is the longest?", "walks/paths.csv", "**Fox path** – Distance (km): 30 [1]"),
        ("which path has the longest ascent?", "walks/paths.csv", "**Bee path** – Ascent: 900 m [1]"),
        ("which line is the fastest?", "lines.csv", "**Blue** – Link: 250 Mbit/s [1]"),
        ("Welche Schicht hat den höchsten Zuschlag?", "haus/schichten.csv", "**Nacht** – Zuschlag: 25 % [1]"),
        ("Welche Schicht hat die meisten Urlaubstage?", "haus/schichten.csv", "**Nacht** – Urlaubstage: 33 [1]"),
    ],
)
def test_the_row_with_the_highest_or_lowest_figure_is_named(question: str, source: str, said: str) -> None:
    assert (told(question, source) or "").split("\n")[0] == said


def test_of_two_that_are_named_both_figures_are_shown() -> None:
    said = told("K1 or K2: which is lighter?", "shop/scales.csv") or ""
    assert said.startswith("**K1** – Weight (g): 340 [1]\n")
    assert said.endswith("**K2** – Weight (g): 1,280 [2]")
    said = told("is the Lark cheaper than the Lark Plus?", "camp/cabins.csv") or ""
    assert said.startswith("**Lark** – Price per night: €129 [1]\n")
    assert said.endswith("**Lark Plus** – Price per night: €149 [2]")
    alike = told("Lark or Lark Plus: which has more beds?", "camp/cabins.csv") or ""
    assert alike == "**Lark** – Beds: 2 [1]\n**Lark Plus** – Beds: 2 [2]\n\nThey are alike in “Beds”."


def test_a_row_without_a_figure_is_said_to_have_none() -> None:
    said = told("which scale is the cheapest?", "shop/scales.csv") or ""
    assert said.startswith("**K3** – Price: 24 EUR [1]")
    assert said.endswith("Without a figure there: K2.")


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("which restaurant is the cheapest?", "camp/cabins.csv"),  # another kind of thing
        ("which is the cheapest cabin in Graz?", "camp/cabins.csv"),  # a condition that the table lacks
        ("which cabin is the cheapest for students?", "camp/cabins.csv"),
        ("which is the second cheapest cabin?", "camp/cabins.csv"),
        ("which cabin under 100 euros is the largest?", "camp/cabins.csv"),
        ("do you have at least 3 beds?", "camp/cabins.csv"),
        ("is there a cheaper cabin than the Wren?", "camp/cabins.csv"),  # one alone is named
        ("which cabin has the best outlook?", "camp/cabins.csv"),
        ("which is the smallest cabin with 2 beds?", "camp/cabins.csv"),  # a figure may be of any column
        ("which model is the longest?", "shop/scales.csv"),  # of three columns none is named
        ("In Graz, which cabin is the cheapest?", "camp/cabins.csv"),
        ("For two, which cabin is the cheapest?", "camp/cabins.csv"),
        ("which restaurant at the lake is the cheapest?", "camp/cabins.csv"),
        ("Lark or Heron: which is cheaper for students?", "camp/cabins.csv"),
        ("which cabin is cheaper than the Lark and the Heron?", "camp/cabins.csv"),  # a third
        ("besides Wren and Lark, which cabin is the cheapest?", "camp/cabins.csv"),
        ("which cheapest cabin has the most beds?", "camp/cabins.csv"),  # two wishes
        ("which cabin isn't the cheapest?", "camp/cabins.csv"),
        ("which cabin with no lake outlook is the cheapest?", "camp/cabins.csv"),
        ("what do most cabins cost per night?", "camp/cabins.csv"),
        ("which path is the cheapest?", "walks/paths.csv"),  # a deposit is no price
        ("which path with dogs is the longest?", "walks/paths.csv"),  # "no dogs" has the word too
        ("which path with a bench is the longest?", "walks/paths.csv"),
        ("which line is the lightest?", "lines.csv"),  # what it carries is not what it weighs
        ("how much is the Lark?", "camp/cabins.csv"),
        ("the cheapest cabin was nice", "camp/cabins.csv"),  # no question
    ],
)
def test_what_the_column_cannot_tell_is_left_to_the_reader(question: str, source: str) -> None:
    assert told(question, source) is None


TOOLS = [["Kind", "Tool", "Price"], ["Saws", "Pull saw", "€30"], ["Saws", "Band saw", "€400"], ["Drills", "Pin", "€25"]]


def cheapest(*tables: list[list[str]]) -> str | None:
    """What is said to "which is the cheapest?" where the search found the first row of each of these documents."""
    shelf = {f"{place}.csv": rows(table, f"{place}.csv") for place, table in enumerate(tables)}
    first = [passages[0] for passages in shelf.values()]
    found = worked_out("which is the cheapest?", first, shelf.__getitem__, partial(phrase, "answer"))
    return None if found is None else found.said


def test_of_rows_with_one_name_all_cells_are_shown() -> None:
    said = cheapest([*TOOLS, ["Drills", "Hammer", "€12"]]) or ""
    assert said.startswith("**Drills** – Tool: Hammer; Price: €12 [1]\n")
    assert "“Price” of the 4 compared" in said


@pytest.mark.parametrize(
    "table",
    [
        [*TOOLS, ["Total", "", "€3"]],
        [*TOOLS, ["Saws", "Sum", "€3"]],
        [*TOOLS, ["", "Fret saw", "€12"]],  # a merged cell above it
        [["", "", ""], ["Pull saw", "30 EUR", "12 in stock"], ["Band saw", "40 EUR", "5"], ["Rip saw", "50 EUR", "6"]],
        [*TOOLS, ["Kind", "Boat", "Price per hour"], ["Boats", "Canoe", "€15"]],  # another table below
    ],
)
def test_a_table_that_is_not_plain_rows_under_a_header_is_left_to_the_reader(table: list[list[str]]) -> None:
    assert cheapest(TOOLS) is not None
    assert cheapest(table) is None


def test_where_two_tables_would_tell_neither_does() -> None:
    other = [["Cabin", "Price"], ["Finch", "€20"], ["Tern", "€30"]]
    assert cheapest(TOOLS) is not None
    assert cheapest(other) is not None
    assert cheapest(TOOLS, other) is None


def test_two_rows_of_one_name_are_not_compared_with_another() -> None:
    passages = rows([["Model", "Weight"], ["T1", "90 g"], ["T1", "40 g"], ["T2", "60 g"]], "t.csv")
    question = "T1 or T2: which is lighter?"
    assert worked_out(question, passages[:1], lambda _source: passages[1:], partial(phrase, "answer")) is not None
    assert worked_out(question, passages[:1], lambda _source: passages, partial(phrase, "answer")) is None


def test_where_a_document_is_too_long_to_compare_nothing_is_said() -> None:
    found = SHELF["camp/cabins.csv"][:1]
    assert worked_out("which cabin is the cheapest?", found, lambda _source: [], partial(phrase, "answer")) is None


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["€89", "€1,240"], (89, 1240)),
        (["1.240,00 €", "99,90 €", "1.020 €"], (1240, 99.9, 1020)),
        (["3 days", "2 weeks", "4 h"], (4320, 20160, 240)),
        (["1.250 kg", "2.5 kg", "900 g"], (1250, 2500, 900)),
        (["12,5 %", "7 %"], (12.5, 7)),
        (["free", "5 EUR", "4.50 EUR"], (0, 5, 4.5)),
        (["28", "none", "34"], (28, None, 34)),
        (["€8 a month", "€12 a month"], (8, 12)),
        (["1.240 kg", "2.300 kg"], None),  # tons or grams
        (["€8 a month", "€80 a year"], None),
        (["€89", "CHF 90"], None),
        (["IPX4", "IPX7"], None),
        (["8:00-17:00", "9:00-12:00"], None),
        (["2026-01-04", "2025-03-01"], None),
        (["28", "34 g"], None),
        (["28", "many", "few"], None),
        (["5", "unlimited", "15"], None),  # the highest of them is no figure
        (["€89", "€20-30", "€129"], None),
        (["€89", "-€5", "€129"], None),
        (["€89", "2026-01-04", "€129"], None),
        (["€1.2k", "€900"], None),
        (["€8 p.m.", "€80 p.a."], None),
        (["3 h per week", "10 h per year"], None),
        (["1,250 kg", "2 kg"], None),
        (["1,250 kg", "2,5 kg"], (1250, 2500)),
        (["0,315 €", "0,28 €"], (0.315, 0.28)),
        (["€1.499", "€1.52"], (1.499, 1.52)),
        (["-5 °C", "−12 °C", "3 °C"], (-5, -12, 3)),
    ],
)
def test_a_column_is_read_where_it_is_plainly_numeric(
    cells: list[str], values: tuple[float | None, ...] | None
) -> None:
    read = column(cells)
    assert (None if read is None else read.values) == values
