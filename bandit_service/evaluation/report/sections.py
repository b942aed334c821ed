"""A report as sections of sentences, tables and a chart: the page, Markdown and the terminal alike.

Names and sentences come from outside; each form escapes them in its own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from bandit_service.evaluation.report.charts import Chart
from bandit_service.evaluation.report.markdown import plain
from bandit_service.evaluation.report.markdown import table as markdown_table
from bandit_service.evaluation.report.shell import render
from bandit_service.evaluation.report.table import Table, notices
from bandit_service.evaluation.report.terminal import grid
from bandit_service.evaluation.report.words import Warnings


class Section(NamedTuple):
    """A heading and what is under it."""

    title: str
    sentences: Sequence[str]
    tables: Sequence[Table] = ()
    chart: Chart | None = None
    """Its twin is the first of the tables."""
    brief: bool = True
    """Whether a terminal shows it too."""

    @property
    def anchor(self) -> str:
        """What links within the page name it by."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())

    @property
    def filled(self) -> Sequence[Table]:
        """The tables that have rows."""
        return [table for table in self.tables if table.rows]


class Document(NamedTuple):
    """A whole report."""

    title: str
    about: str
    warnings: Warnings
    sections: Sequence[Section]
    made: Sequence[tuple[str, str]]
    """How it was made, as names and values."""


def page(document: Document) -> str:
    """The report as one HTML file."""
    return render("sections.html", title=document.title, document=document)


def markdown(document: Document) -> str:
    """The report as Markdown."""
    blocks = [f"# {plain(document.title)}", plain(document.about)]
    blocks += _quoted("Do not decide by this report", document.warnings.grave)
    blocks += _quoted("Know before you read on", document.warnings.notes)
    for section in document.sections:
        blocks += [f"## {plain(section.title)}", *map(plain, section.sentences)]
        blocks += map(markdown_table, section.filled)
    facts = (f"- {plain(name)}: {plain(value)}" for name, value in document.made)
    blocks += ["## How it was made", "\n".join(facts)]
    return "\n\n".join(blocks) + "\n"


def terminal(document: Document) -> Group:
    """What a command prints: the sections that are brief."""
    return Group(*_warned(document.warnings), *_printed(document.sections))


def _printed(sections: Iterable[Section]) -> Iterator[RenderableType]:
    for section in sections:
        if section.brief:
            yield Text(section.title, "bold underline")
            yield from map(Text, section.sentences)
            for table in section.filled:
                yield grid(table)
                notes = (one.about for one in notices(table.rows) if one.note)
                yield from (Text(note, "dim italic") for note in notes)
            yield Text()


def _warned(warnings: Warnings) -> Iterator[Text]:
    yield from (Text(f"! {sentence}", "bold red") for sentence in warnings.grave)
    yield from (Text(f"! {sentence}", "yellow") for sentence in warnings.notes)


def _quoted(title: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    return ["\n".join([f"> **{title}**", ">", *(f"> - {plain(one)}" for one in sentences)])]
