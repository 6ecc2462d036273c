# SPDX-License-Identifier: MIT
"""compare.md and index.html: the same content, for those who read text and those who look."""
import html as markup

from .figures import alias_rate

INTRO = """\
A kernel that unmaps lazily leaves page table entries, and TLB entries, behind: stale aliases. A
frame that becomes a page table must have none. The strategies compared here keep that promise in
different ways, from flushing at every unmap (`legacy`) over purging before every pin (`eager`) to
letting the host look, and trap back into the guest only where an alias really is (`trap`,
`trap-range`). `none` keeps no promise at all; it is what the others are measured against.

The cost of a strategy is the instructions of the whole system (guest, VMM and host kernel) that
the same work with the same random numbers takes above `none`. The *source* is how the host learns
of changed page tables; `off` is a host that does not look and grants every pin unseen.
"""

CAVEATS = """\
- Instructions are counted in an emulated machine with one processor. They undercount what a TLB
  refill costs after a flush, and what an inter-processor interrupt takes on its way; so the counts
  of flushes, shootdowns and IPIs stand beside them.
- All vCPUs share that one processor. One that waits for others' acknowledgements, or for a lock,
  spins until the scheduler lets those run. What was spent so is counted apart, as waiting;
  `with waiting` holds it. The machine's scheduler switches every 0.1 ms, as waits of an
  ordinary time slice would drown everything else.
- With several vCPUs at work, who meets whom differs from strategy to strategy, so costs of a few
  per cent of a run are within the noise. Where all but one are halted, they are exact.
- Memory was touched before the work began, so that the host's first touch of a page isn't counted.
"""


def number(value):
    """With thousands apart, short."""
    if value is None:
        return "-"
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.2f}"
    return f"{value:,.0f}".replace(",", "\u202f")


def target_rows(results):
    """Head and rows of the table of targets."""
    head = ["what", "must be", "measured", "reached", "where"]
    told = {True: "yes", False: "no", None: "-"}
    return head, [[row["name"], row["target"], row["measured"], told[row["reached"]], row["note"]]
                  for row in results["targets"]]


def cell_rows(entries):
    """Head and rows of a table of cells at one point."""
    head = ["strategy", "source", "cost a pin", "with waiting", "run / none", "Minstr. in all",
            "aliases met", "purges", "shootdowns", "IPIs", "upcalls", "host flushes"]
    rows = []
    for entry in entries:
        if not entry["counts"]:
            rows.append([entry["strategy"], entry["source"], "failed"] + ["-"] * (len(head) - 3))
            continue
        cost, count = entry["cost"] or {}, entry["counts"]
        rows.append([entry["strategy"], entry["source"], number(cost.get("work_per_pin")),
                     number(cost.get("with_waiting_per_pin")), number(cost.get("run_against_none")),
                     number(entry["instructions"]["total"] / 1e6),
                     *(number(count[name]) for name in ("aliases_met", "purges", "shootdowns",
                                                        "shootdown_ipis", "upcalls",
                                                        "host_flushes"))])
        if entry["seconds"] is not None:
            rows[-1].append(f"{entry['seconds']:.4f}")
    if any(len(row) > len(head) for row in rows):
        head = head + ["seconds"]
    return head, rows


def points(results):
    """{title: entries} of the matrix."""
    found = {}
    for entry in results["cells"]:
        if entry["workload"] == "cleanpin" or entry["extra"]:
            continue
        alias = "as it falls out" if entry["alias"] is None else f"{entry['alias']} %"
        busy = "" if entry["cpus"] == 1 else ", all busy" if entry["busy"] == "all" else \
            ", one busy"
        title = (f"{entry['workload']}, {entry['cpus']} vCPU{'s' * (entry['cpus'] > 1)}{busy}, "
                 f"alias rate {alias}, seed {entry['seed']}")
        found.setdefault(title, []).append(entry)
    return found


def rate_text(entries):
    """The measured alias rate of a point, by the strategy that holds most."""
    rates = [(alias_rate(e), e["strategy"]) for e in entries if e["counts"]
             and e["strategy"] == "none"]
    if not rates or rates[0][0] is None:
        return ""
    return f"Under `none` {rates[0][0]:.1f} % of the tables still had an alias when taken."


def time_text(results):
    """About the third kind of figure."""
    if results["clock"]["time"]:
        return "Time was measured on this host's KVM, in runs of their own."
    return "Time is absent: this host has no /dev/kvm, and an emulated one's time means nothing."


def host_text(results):
    """Where it ran."""
    host = results["host"]
    return (f"vmm {results['versions']['vmm']}, in a machine with Linux {host['kernel']}; inputs "
            f"{results['versions']['inputs_sha256'][:12]}.")


def md_table(head, rows):
    """In Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def markdown(results, pictures):
    """compare.md."""
    text = f"# The strategies compared\n\n{INTRO}\n{host_text(results)} {time_text(results)}\n\n"
    text += f"## What must be reached\n\n{md_table(*target_rows(results))}\n"
    text += f"## What to keep in mind\n\n{CAVEATS}\n## Pictures\n\n"
    for name, about in pictures:
        text += f"{about}\n\n![{name}]({name}.svg)\n\n"
    text += "## All figures\n\nCosts in instructions a pin; empty where not measured.\n\n"
    for title, entries in points(results).items():
        text += f"### {title}\n\n{rate_text(entries)}\n\n{md_table(*cell_rows(entries))}\n"
    return text


CSS = """\
body { font: 16px/1.5 sans-serif; color: #222; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: .85rem; margin: .5rem 0 1.5rem }
td, th { border-bottom: 1px solid #ddd; padding: .2rem .6rem; text-align: right }
td:nth-child(1), td:nth-child(2), th:nth-child(1), th:nth-child(2) { text-align: left }
#targets td, #targets th { text-align: left }
.yes { color: #00684a; font-weight: bold } .no { color: #b00020; font-weight: bold }
figure { margin: 1.5rem 0; overflow-x: auto } figcaption { max-width: 60rem }
svg { max-width: 100%; height: auto } code { background: #f3f3f3; padding: 0 .2em }
summary { cursor: pointer; margin: .3rem 0 }
"""


def marked(text):
    """Escaped, with `code` and *emphasis*."""
    pieces = markup.escape(text).split("`")
    text = "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
    pieces = text.split("*")
    return "".join(f"<em>{piece}</em>" if i % 2 else piece for i, piece in enumerate(pieces))


def html_table(head, rows, name=""):
    """In HTML; yes and no are coloured."""
    def cell(text):
        kind = f' class="{text}"' if text in ("yes", "no") else ""
        return f"<td{kind}>{markup.escape(text)}</td>"
    body = "".join(f"<tr>{''.join(cell(text) for text in row)}</tr>\n" for row in rows)
    top = "".join(f"<th>{markup.escape(text)}</th>" for text in head)
    return f'<table id="{name}"><tr>{top}</tr>\n{body}</table>\n'


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
    return f"<figure>{svg}<figcaption>{marked(about)}</figcaption></figure>\n"


def html(results, pictures, out):
    """index.html."""
    body = f"<h1>The strategies compared</h1>\n{paragraphs(INTRO)}\n"
    body += f"<p>{marked(host_text(results))} {marked(time_text(results))}</p>\n"
    body += f"<h2>What must be reached</h2>\n{html_table(*target_rows(results), 'targets')}"
    body += f"<h2>What to keep in mind</h2>\n{paragraphs(CAVEATS)}\n<h2>Pictures</h2>\n"
    body += "".join(figure(out, name, about) for name, about in pictures)
    body += "<h2>All figures</h2>\n<p>Costs in instructions a pin.</p>\n"
    for title, entries in points(results).items():
        table = html_table(*cell_rows(entries))
        body += (f"<details><summary>{markup.escape(title)}</summary><p>"
                 f"{marked(rate_text(entries))}</p>{table}</details>\n")
    return ("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            f"<title>The strategies compared</title><style>\n{CSS}</style></head>\n"
            f"<body>\n{body}</body></html>\n")
