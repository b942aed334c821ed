"""Reports as their readers see them: the tables of a page and of Markdown, as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

Rows = list[dict[str, str]]


@dataclass
class Seen:
    """A page, taken apart."""

    tables: dict[str, Rows] = field(default_factory=dict)
    """By caption: rows as column and text."""
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    """Those that run."""
    data: list[str] = field(default_factory=list)
    """Scripts that are only data."""
    text: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self._open: list[str] = []
        self._caption = ""
        self._columns: list[str] = []
        self._cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link", "input"):
            self._open.append(tag)
        if tag == "table":
            self._caption, self._columns = "", []
        if tag == "tr":
            self._cells = []
        if tag in ("td", "th"):
            self._cells.append("")

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside == "script":
            kind = self.seen.tags[-1][1].get("type")
            (self.seen.scripts if kind is None else self.seen.data).append(data)
        elif inside != "style":
            self.seen.text += data
        if "caption" in self._open:
            self._caption += data
        if "td" in self._open or "th" in self._open:
            self._cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "thead":
            self._columns = self._cells
            self.seen.tables.setdefault(self._caption, [])
        if tag == "tr" and "tbody" in self._open and len(self._cells) == len(self._columns):
            row = dict(zip(self._columns, self._cells, strict=True))
            self.seen.tables[self._caption].append(row)


def seen(page: str) -> Seen:
    """A page whose elements all end, or an AssertionError."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader._open == []
    return reader.seen


def markdown_tables(text: str) -> dict[str, Rows]:
    """The tables of Markdown by the line above them, without escapes and emphasis."""
    found: dict[str, Rows] = {}
    for caption, block in re.findall(r"^(.+):\n\n((?:\|.*\n?)+)", text, re.MULTILINE):
        lines = [_cells(line) for line in block.splitlines()]
        assert {len(line) for line in lines} == {len(lines[0])}, block
        found[_bare(caption)] = [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]
    return found


def _cells(line: str) -> list[str]:
    return [_bare(cell.strip()) for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _bare(text: str) -> str:
    plain = re.sub(r"^\*\*(.*)\*\*$", r"\1", text).replace("&lt;", "<").replace("&amp;", "&")
    return re.sub(r"\\(.)", r"\1", plain)


def number(text: str) -> float:
    """What a number in a report says."""
    plain = text.replace(",", "").replace("\N{MINUS SIGN}", "-")
    return float(plain.removesuffix("%")) / (100.0 if plain.endswith("%") else 1.0)
