# SPDX-License-Identifier: MIT
"""compare.md, results.md and index.html: the same content, whole or in short, for those who read
text and those who look."""
import html as markup

from . import headline, summary
from .figures import AGREED, MET, per_pin, stale_share
from .machine import Failure
from .plan import strategy_text
from .summary import number

TITLE = "When does trap-driven flushing win?"

QUESTION = """\
A kernel that unmaps lazily leaves page table entries, and TLB entries, behind: stale aliases. A
frame that becomes a page table must have none, so a guest whose page tables are checked by its host
must flush them in time. The old way (`eager`) is to purge before every page table is handed over
(*pinned*). The other (`trap`) is to let the host, which has to check anyway, trap back into the
guest where it meets an alias that is really there. Which is cheaper?
"""

INTRO = """\
All costs are instructions of the whole system (guest, VMM and host kernel), same work, same random
numbers, and there are two. The *host's tracking*: bringing its reverse map up to date at each pin. A
host that does not trust its guests pays it whatever they do. It is `none`, a guest that does
nothing about aliases, under a host that tracks (and grants whatever it meets), less `none` under one
that does not. The *alias maintenance*: purges, shootdowns, upcalls, flushes by the host. It is a
strategy, less `none` under the same host. The *total* is both. `--track` is how the host learns
of changed page tables; `off`, or *untracked*, is a host that does not track and grants every pin.
*Waiting* is what vCPUs spend in loops until another has answered; costs are without it where
nothing else is said. In workloads `pat` and `balloon` a frame that gets another memory type, or is
given away to the host, counts as a pin.

The other strategies: `legacy` flushes at every unmap, `nolazy` purges at every unmap, `eager-pte`
clears entries at unmap and leaves the TLBs to the host, `quicklist` keeps a cache of page tables
that is filled many at a time under one purge, `page-bit` keeps a bit a frame and asks itself,
`trap-range` is `trap` with only those areas purged that the host named. Other CPUs' TLBs are flushed
by the host, which is asked by one call, under `trap` and `trap-range`, and by IPIs under the others.
*eager, host flushes* is `eager` which has the host flush them too: run where alias rates are set,
with more than one vCPU.
"""

AGREED_PART, MET_PART = f"{100 / AGREED:.1f} %", f"{100 / MET:.0f} %"
CAVEATS = f"""\
- Instructions are counted in an emulated machine with one processor. They undercount what a TLB
  refill costs after a flush, and what an inter-processor interrupt takes on its way, both of which
  speak for fewer flushes; so the counts of flushes, shootdowns and IPIs stand beside them.
- All vCPUs share that one processor. One that waits for others' acknowledgements, or for a lock,
  spins until the scheduler lets those run, which inflates waiting. The machine's scheduler switches
  every 0.1 ms, as waits of an ordinary time slice would drown everything else.
- With several vCPUs at work, who meets whom differs from strategy to strategy, so costs of a few
  per cent of a run are within the noise, and small ones can even be negative. Where all but one are
  halted, they are as exact as the next point says. Two runs of the same programs give the same
  figures to the last digit.
- What the machine's kernel does now and then only adds to a run, mostly some 0.1, rarely up to 16
  million instructions. So each cell is run until two runs agree within {AGREED_PART}, three times at
  most (`--repeat`), and the one with the least work counts. By how much the two best differ says how
  well the figure is known, but none is known better than to those {AGREED_PART}, as runs that agree
  are not repeated. Costs at a point that are no more than the largest of these differences, or than
  {AGREED_PART} of the run with `none` ({MET_PART} with several vCPUs at work), count as none, and so does
  what is less than nothing.
- Memory was touched before the work began, so that the host's first touch of a page isn't counted.
"""


TOLD = {True: "yes", False: "no", None: "-"}
KINDS = {("maintenance", "tracked"): "maintenance; eager's host tracks",
         ("maintenance", "untracked"): "maintenance; eager's host does not",
         ("total", "tracked"): "total; eager's host tracks",
         ("total", "untracked"): "total; eager's host does not"}


def against_eager(results):
    """Head and rows of the table of `trap` against `eager`: four ways to compare."""
    found = {}
    for row in results["targets"]:
        if row["name"].endswith("trap / eager"):
            waiting = f" ({row['with_waiting']})" if row["with_waiting"] else ""
            text = f"{row['measured']}{waiting} {TOLD[row['reached']]}" if waiting else "-"
            cells = found.setdefault((row["name"].split(": ")[0], row["target"]), {})
            cells[row["cost"], row["against"]] = text
    return ["where", "must be", *KINDS.values()], [
        [*name, *(cells.get(kind, "-") for kind in KINDS)] for name, cells in found.items()]


def other_targets(results):
    """Head and rows of the table of all other targets."""
    head = ["what", "must be", "measured", "reached", "where"]
    rows = []
    for row in results["targets"]:
        if not row["name"].endswith("trap / eager"):
            of = f" ({row['cost']})" if row["cost"] else ""
            waiting = f" ({row['with_waiting']})" if row["with_waiting"] else ""
            rows.append([row["name"] + of, row["target"], row["measured"] + waiting,
                         TOLD[row["reached"]], row["note"]])
    return head, rows


def worst_points(results, kinds=tuple(KINDS)):
    """Where each comparison with `eager` was at its worst and at its best, a line each."""
    return [f"{row['name'].split(': ')[0]}, {KINDS[row['cost'], row['against']]}: {row['note']}"
            for row in results["targets"] if row["name"].endswith("trap / eager") and row["note"]
            and (row["cost"], row["against"]) in kinds]


COSTS = {"tracking": "tracking", "maintenance": "maintenance", "total": "total",
         "maintenance_with_waiting": "maintenance, with waiting",
         "total_with_waiting": "total, with waiting"}
EVENTS = {"pins": "pins", "aliases_met": "aliases met", "purges": "purges",
          "shootdowns": "shootdowns", "host_shootdowns": "by the host", "shootdown_ipis": "IPIs",
          "local_flushes": "guest's TLB flushes", "exits_tlb_flushes": "host's",
          "upcalls": "upcalls"}


def cell_rows(entries):
    """Head and rows of a table of cells at one point."""
    head = ["strategy", "track", *COSTS.values(), "M instr. in all", *EVENTS.values()]
    rows = []
    for entry in entries:
        row = [strategy_text(entry["strategy"]), entry["track"]]
        if not entry["counts"]:
            rows.append(row + ["failed"] + ["-"] * (len(head) - 3))
            continue
        row += [number(round(per_pin(entry, which))) if entry["cost"] else "-" for which in COSTS]
        row.append(number(entry["instructions"]["total"] / 1e6) if entry["instructions"] else "-")
        row += [number(entry["counts"].get(name)) for name in EVENTS]
        if entry["seconds"] is not None:
            row.append(f"{entry['seconds']:.4f}")
        rows.append(row)
    if any(len(row) > len(head) for row in rows):
        head = head + ["seconds"]
    return head, rows


def points(results):
    """{title: entries} of the matrix."""
    found = {}
    for entry in results["cells"]:
        if entry["workload"] == "cleanpin" or entry["extra"]:
            continue  # told by the targets
        alias = f"{entry['alias']} %" if entry["alias"] is not None else \
            f"as it falls out ({entry['free'].upper()})"
        busy = "" if entry["cpus"] == 1 else ", all busy" if entry["busy"] == "all" else \
            ", one busy"
        title = (f"{entry['workload']}, {entry['cpus']} vCPU{'s' * (entry['cpus'] > 1)}{busy}, "
                 f"alias rate {alias}, seed {entry['seed']}"
                 + (", shadow MMU" if entry["mmu"] == "shadow" else ""))
        found.setdefault(title, []).append(entry)
    return found


def rate_text(entries):
    """The measured alias rate of a point, under `none`: it leaves every alias."""
    rates = [stale_share(e) for e in entries
             if e["counts"] and e["strategy"] == "none" and e["track"] != "off"]
    if not rates or rates[0] is None:
        return ""
    return f"Under `none` {rates[0]:.1f} % of those frames that had been mapped were stale when taken."


def time_text(results):
    """About the third kind of figure."""
    if results["clock"]["time"]:
        return f"Time was measured on {results['clock']['time']}, in runs of their own."
    return "Time is absent: it was not asked for, and an emulated machine's would mean nothing."


def host_text(results):
    """Where it ran."""
    host = results["host"]
    return (f"vmm {results['versions']['vmm']}, in a machine with Linux {host['kernel']}; inputs "
            f"{results['versions']['inputs_sha256'][:12]}.")


def md_table(head, rows):
    """In Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def figures_markdown(results):
    """What was found, without the pictures and the cells: for docs/RESULTS.md, too."""
    lead = "\n\n".join(summary.lead(results))
    return (f"{lead}\n\n{host_text(results)} {time_text(results)}\n\n"
            f"## What must be reached\n\n{TARGETS}\n\n{md_table(*against_eager(results))}\n"
            + "".join(f"- {line}\n" for line in worst_points(results, list(KINDS)[:1]))
            + f"\n{md_table(*other_targets(results))}\n"
            f"## In short\n\n{SHORT}\n\n{md_table(*summary.short_rows(results))}\n"
            f"## How many frames are stale\n\n{SHARES}\n\n"
            f"{md_table(*summary.share_rows(results))}\n"
            f"## What preventing costs\n\n{CONFINE}\n\n"
            f"{md_table(*summary.confine_rows(results))}\n"
            f"## What to keep in mind\n\n{CAVEATS}")


BEGIN, END = ("<!-- begin: written by vmm-compare --results -->",
              "<!-- end: written by vmm-compare --results -->")


def check_page(page):
    """Refuses a page without a place for the figures; returns what is before and after it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Failure(f"--results: the page has no lines {BEGIN} and {END}")
    return before, after


def with_figures(page, results):
    """The page with its part between the two lines replaced."""
    before, after = check_page(page)
    return f"{before}{BEGIN}\n\n{figures_markdown(results)}\n{END}{after}"


SHORT = """\
Workload `process`, instructions a pin: first the tracking, then the maintenance, then the totals.
*Stale* is the share of recycled tables that are given a stale alias, or what was measured under
`none` where that fell out of the allocator. *untracked*: its host does not track. *host flushes*: other
CPUs' TLBs are flushed by the host, as under `trap`; *-*: not run; *no difference*: noise hides it."""
SHARES = """\
Of the frames that had been mapped by vmap and then became page tables (*recycled*) the share that
was still mapped there, as it falls out of the allocator. Freed frames are taken newest first (LIFO)
or oldest first (FIFO). Under `none` nothing is purged before the lazy limit is reached, so this is
the most there can be, and what a point is judged by; who purges leaves fewer, as told for `eager`
and `trap`. In `pat` and `balloon`: of the frames that got another memory type or were given away
the share that the host found still mapped otherwise."""
CONFINE = """\
With `--track strict` every store to a page table is judged before it is done. That needs KVM's
shadow MMU, so it is compared with runs on that MMU only: instructions a pin of such a run under a
host that grants without tracking, and what the tracking and the maintenance add."""
TARGETS = """\
`trap` against `eager`, the cost of one as a multiple of the other's, at the worst point
measured; in parentheses with waiting counted. `trap` has the `--track` that is best at the point.
Four ways to compare: the maintenance alone or the total, and an `eager` under a host that tracks
(with the same `--track`) or under one that does not. The first is what the design set out to reach:
both are measured above `none` under the same host. *-*: there is no such point, or `eager` cost
nothing there."""


def markdown(results, pictures):
    """compare.md."""
    text = f"# {TITLE}\n\n{QUESTION}\n{figures_markdown(results)}\n{INTRO}\n"
    text += "## Pictures\n\n" if pictures else ""
    for name, about in pictures:
        text += f"{about}\n\n![{name}]({name}.svg)\n\n"
    text += "## All figures\n\nCosts in instructions a pin.\n\n"
    for title, entries in points(results).items():
        text += f"### {title}\n\n{rate_text(entries)}\n\n{md_table(*cell_rows(entries))}\n"
    return text


CSS = """\
body { font: 16px/1.5 sans-serif; color: #222; max-width: 75rem; margin: 2rem auto;
       padding: 0 1rem }
table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0 1.5rem }
td, th { border-bottom: 1px solid #ddd; padding: .2rem .6rem; text-align: right }
td:nth-child(1), td:nth-child(2), th:nth-child(1), th:nth-child(2) { text-align: left }
td { white-space: nowrap } .targets td { white-space: normal } th { vertical-align: bottom }
table { display: block; overflow-x: auto }
.lead { font-size: 1.1rem; max-width: 60rem }
.targets td, .targets th { text-align: left }
.yes { color: #00684a; font-weight: bold } .no { color: #b00020; font-weight: bold }
figure { margin: 1.5rem 0; overflow-x: auto } figcaption { max-width: 60rem }
svg { max-width: 100%; height: auto }
@media (max-width: 50rem) { .wide svg { max-width: none; width: 60rem } } code { background: #f3f3f3; padding: 0 .2em }
summary { cursor: pointer; margin: .3rem 0 }
"""


def marked(text):
    """Escaped, with `code` and *emphasis*."""
    pieces = markup.escape(text).split("`")
    text = "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
    pieces = text.split("*")
    return "".join(f"<em>{piece}</em>" if i % 2 else piece for i, piece in enumerate(pieces))


def html_table(head, rows, kind):
    """In HTML; yes and no are coloured."""
    def cell(text):
        last = text.rpartition(" ")[2]
        kind = f' class="{last}"' if last in ("yes", "no") else ""
        return f"<td{kind}>{markup.escape(text)}</td>"
    body = "".join(f"<tr>{''.join(cell(text) for text in row)}</tr>\n" for row in rows)
    top = "".join(f"<th>{markup.escape(text)}</th>" for text in head)
    return f'<table class="{kind}"><tr>{top}</tr>\n{body}</table>\n'


def paragraphs(text):
    """Blank lines part them; lines with a dash are a list."""
    parts = []
    for part in text.strip().split("\n\n"):
        if part.startswith("- "):
            items = part[2:].split("\n- ")
            parts.append("<ul>" + "".join(f"<li>{marked(item)}</li>" for item in items) + "</ul>")
        else:
            parts.append(f"<p>{marked(part)}</p>")
    return "\n".join(parts)


def figure(out, name, about):
    """The picture itself, so that the page needs no other file."""
    svg = (out / f"{name}.svg").read_text()
    svg = svg[svg.index("<svg"):]
    # Names inside must not be those of another picture on the same page.
    for prefix in ('id="', 'href="#', "url(#"):
        svg = svg.replace(prefix, f"{prefix}{name}-")
    return f"<figure class=\"wide\">{svg}<figcaption>{marked(about)}</figcaption></figure>\n"


def html(results, pictures, out):
    """index.html."""
    body = f"<h1>{TITLE}</h1>\n"
    answer, *details = summary.lead(results)
    body += f'<p class="lead">{marked(answer)}</p>\n'
    body += f"<figure>{headline.draw(*summary.short_rows(results))}</figure>\n"
    body += f"<h2>How to read it</h2>\n{paragraphs(QUESTION)}\n{paragraphs(INTRO)}\n"
    body += f"<p>{marked(host_text(results))} {marked(time_text(results))}</p>\n"
    body += "<h2>What else the figures say</h2>\n"
    body += "".join(f"<p>{marked(text)}</p>\n" for text in details)
    body += "<h2>Pictures</h2>\n" if pictures else ""
    body += "".join(figure(out, name, about) for name, about in pictures)
    body += f"<h2>In short</h2>\n<p>{marked(SHORT)}</p>\n"
    body += html_table(*summary.short_rows(results), "short")
    body += f"<h2>How many frames are stale</h2>\n<p>{marked(SHARES)}</p>\n"
    body += html_table(*summary.share_rows(results), "short")
    body += f"<h2>What preventing costs</h2>\n<p>{marked(CONFINE)}</p>\n"
    body += html_table(*summary.confine_rows(results), "short")
    body += f"<h2>What must be reached</h2>\n<p>{marked(TARGETS)}</p>\n"
    body += html_table(*against_eager(results), "targets")
    body += html_table(*other_targets(results), "targets")
    body += "<details><summary>Where each was at its worst</summary>\n<ul>"
    body += "".join(f"<li>{marked(line)}</li>\n" for line in worst_points(results))
    body += "</ul></details>\n"
    body += f"<h2>What to keep in mind</h2>\n{paragraphs(CAVEATS)}\n"
    body += "<h2>All figures</h2>\n<p>Costs in instructions a pin.</p>\n"
    for title, entries in points(results).items():
        table = html_table(*cell_rows(entries), "cells")
        body += (f"<details><summary>{markup.escape(title)}</summary><p>"
                 f"{marked(rate_text(entries))}</p>{table}</details>\n")
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            f"<title>{TITLE}</title><style>\n{CSS}</style></head>\n<body>\n{body}</body></html>\n")
