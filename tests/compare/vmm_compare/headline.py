# SPDX-License-Identifier: MIT
"""The picture of the answer: all that a pin costs with `eager` and with `trap`, in bars that are told apart
without colours and can be read on a telephone."""
import html as markup

from .summary import NO_DIFFERENCE
from .targets import RARE

WIDTH, BAR, GAP, RIGHT = 460, 15, 16, 70  # pixels
SLANTED, GREY, WHITE, BLACK = "url(#slanted)", "#9a9a9a", "#ffffff", "#000000"
# Bars: the column of the short table that is their number, and those that are their parts, how drawn.
BARS = (("total: eager, untracked", (("total: eager, untracked", SLANTED),)),
        ("total: eager, host flushes, untracked", (("total: eager, host flushes, untracked", GREY),)),
        ("total: trap", (("host's tracking", WHITE), ("trap", BLACK))))
LEGEND = ((SLANTED, "eager: purge before every pin, no check by the host"),
          (GREY, "the same, TLBs flushed by the host"),
          (WHITE, "trap: the host's check at every pin"),
          (BLACK, "trap: purges, where it found an alias"))
PATTERN = """\
<defs><pattern id="slanted" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="6" height="6" fill="#f6d9c8"/><rect width="2.5" height="6" fill="#b04000"/></pattern></defs>
"""


def value_of(text):
    """A number as the tables have it, None for none."""
    digits = "".join(text.split())
    if text == NO_DIFFERENCE:
        return 0.0
    return None if digits == "-" else float(digits)


def share(row):
    """Per cent of the tables that are stale at that point."""
    return float(row[1].split()[0])


def chosen(rows):
    """Those of one share of stale tables: the most that is still rare, or else the fewest."""
    rare = [row for row in rows if share(row) <= RARE]
    at = max(rare, key=share)[1] if rare else rows[0][1]
    return [row for row in rows if row[1] == at]


def bars_of(head, row):
    """[(number in all, [(part, how it is drawn)])] of a point; without what was not run."""
    def figure(name):
        return value_of(row[head.index(name)])
    return [(figure(name), [(figure(part), fill) for part, fill in parts])
            for name, parts in BARS if figure(name) is not None]


def rect(x, y, width, fill):
    """A part of a bar, or a field of the legend."""
    return (f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR - 3}" fill="{fill}" '
            'stroke="#222222"/>')


def thousands(value):
    """The number, with its thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")


def bar(y, total, parts, scale):
    """One bar, and its number. A part that is more than all of it, by noise, ends with it."""
    x, body, text, left = 1, "", thousands(total) if total else NO_DIFFERENCE, total
    for value, fill in parts:
        value = min(value or 0, left)
        if value:
            body += rect(x, y, value * scale, fill)
            x += value * scale
            left -= value
    return f'{body}<text x="{x + 6:.1f}" y="{y + BAR - 5}">{text}</text>\n'


def draw(head, rows):
    """The SVG; empty if nothing was run that it could show."""
    points = [(row[0], bars_of(head, row)) for row in chosen(rows)] if rows else []
    most = max((total for _, bars in points for total, _ in bars), default=0)
    if most <= 0:
        return ""
    y, body = 24, ""
    for fill, name in LEGEND:
        body += f'{rect(1, y, 26, fill)}<text x="34" y="{y + BAR - 5}">{markup.escape(name)}</text>\n'
        y += BAR + 4
    for cpus, bars in points:
        y += GAP
        body += f'<text x="1" y="{y + 4}" font-weight="bold">{markup.escape(cpus)}</text>\n'
        y += 10
        for total, parts in bars:
            body += bar(y, total, parts, (WIDTH - RIGHT) / most)
            y += BAR
    stale = chosen(rows)[0][1].split(",")[0]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" width="{WIDTH}" '
            'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n'
            f'{PATTERN}<text x="1" y="14" font-weight="bold">Instructions a pin in all: process, {stale} of tables '
            f'stale</text>\n{body}</svg>\n')


def of_page(text):
    """The same of a page that `--results` has written: docs/RESULTS.md."""
    table = [line for line in text.partition("## In short")[2].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table]
    head = cells[0]
    rows = []
    for row in cells[2:]:
        if len(row) != len(head):
            break
        rows.append(row)
    return draw(head, rows)
