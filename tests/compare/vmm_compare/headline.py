# SPDX-License-Identifier: MIT
"""The picture of the answer: what a pin costs with `eager` and with `trap`, in bars that are told apart
without colours and can be read on a telephone."""
import html as markup

from .summary import NO_DIFFERENCE

WIDTH, BAR, GAP, RIGHT = 460, 15, 16, 70  # pixels
# Columns of the short table, what they are here, and how they are drawn.
BARS = (("eager", "eager: purge before every pin", "url(#slanted)"),
        ("eager, host flushes", "eager, TLBs flushed by the host", "#9a9a9a"),
        ("trap", "trap: purge when the host meets an alias", "#000000"),
        ("host's tracking", "the host's tracking, whatever the guest does", "#ffffff"))
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


def chosen(head, rows):
    """The points with the fewest stale aliases: [(vCPUs, [a number or None a bar])]."""
    columns = [head.index(name) for name, *_ in BARS]
    return [(row[0], [value_of(row[at]) for at in columns]) for row in rows if row[1] == rows[0][1]]


def bar(y, value, fill, scale):
    """One bar, and its number."""
    width, text = max(value * scale, 0), f"{value:,.0f}" if value else NO_DIFFERENCE
    return (f'<rect x="1" y="{y}" width="{width:.1f}" height="{BAR - 3}" fill="{fill}" stroke="#222222"/>'
            f'<text x="{width + 7:.1f}" y="{y + BAR - 5}">{text}</text>\n'.replace(",", "\u202f"))


def draw(head, rows):
    """The SVG; empty if nothing was run that it could show."""
    points = chosen(head, rows) if rows else []
    most = max((v for _, values in points for v in values if v is not None), default=0)
    if most <= 0:
        return ""
    stale, y, body = rows[0][1].split(",")[0], 24, ""
    for _, name, fill in BARS:
        body += (f'<rect x="1" y="{y}" width="26" height="{BAR - 3}" fill="{fill}" stroke="#222222"/>'
                 f'<text x="34" y="{y + BAR - 5}">{markup.escape(name)}</text>\n')
        y += BAR + 4
    for cpus, values in points:
        y += GAP
        body += f'<text x="1" y="{y + 4}" font-weight="bold">{markup.escape(cpus)}</text>\n'
        y += 10
        for value, (_, _, fill) in zip(values, BARS):
            if value is not None:
                body += bar(y, value, fill, (WIDTH - RIGHT) / most)
                y += BAR
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" width="{WIDTH}" '
            'font-family="sans-serif" font-size="13">\n<rect width="100%" height="100%" fill="white"/>\n'
            f'{PATTERN}<text x="1" y="14" font-weight="bold">Instructions a pin, workload process, {stale} of tables stale'
            f'</text>\n{body}</svg>\n')


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
