"""The parts every page is made of: the document around it, a table, a figure. No script, no outside resource.

Rules of this room:
1. Every text handed in is escaped here; only a document's head, body and foot are HTML already.
2. A table has a heading, a caption and headers with a scope; one without rows is a sentence, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def document(title: str, head: str, body: str, foot: str) -> str:
    """Return a whole page; `head`, `body` and `foot` are HTML."""
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{css}</style></head><body>"
        f"<header>{head}</header><main>{body}</main><footer>{foot}</footer></body></html>\n"
    )


def figure(title: str, text: str, svg: str) -> str:
    """Write a plot under its caption; `text` stands in brackets after the title."""
    more = f" <span>({escape(text)})</span>" if text else ""
    return f"<figure><figcaption>{escape(title)}{more}</figcaption>{svg}</figure>"


def table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, *, empty: str = "",
    words: Iterable[int] = (), total: Sequence[str] = (), key: int = 0,
) -> str:  # fmt: skip
    """Write one table under a heading; columns not among `words` hold numbers, column `key` names the row."""
    if not rows:
        return f"<h3>{escape(title)}</h3><p class=soft>{escape(empty)}</p>" if empty else ""
    texts = set(words)
    head = "".join(
        f'<th scope="col"{"" if at in texts else " class=n"}>{escape(text)}</th>'
        for at, text in enumerate(header)
    )
    body = "".join(
        f"<tr>{''.join(_cell(text, at, texts, is_key=at == key) for at, text in enumerate(row))}</tr>"
        for row in rows
    )
    foot = "".join(_cell(text, at, texts, is_key=at == key) for at, text in enumerate(total))
    end = f"<tfoot><tr>{foot}</tr></tfoot>" if total else ""
    return (
        f"<h3>{escape(title)}</h3><div class=wide><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{end}</table></div>"
    )


def _cell(text: str, at: int, words: set[int], *, is_key: bool) -> str:
    if is_key:
        return f'<th scope="row">{escape(text)}</th>'
    known = text if text in ("critical", "warning") else ""
    kind = known if at in words else "n"
    return f"<td class={kind}>{escape(text)}</td>" if kind else f"<td>{escape(text)}</td>"
