# SPDX-License-Identifier: MIT
"""Pictures, by gnuplot: each as SVG and as PNG."""
import subprocess

from .machine import Failure

# One colour a strategy, told apart by those who see red and green alike too.
COLOURS = {"none": "#999999", "legacy": "#882255", "eager": "#d55e00", "nolazy": "#cc79a7",
           "eager-pte": "#e69f00", "quicklist": "#009e73", "page-bit": "#56b4e9",
           "trap": "#0072b2", "trap-range": "#332288"}
# The source: line and point. A strategy that works under a host that does not look has no other.
DASHES = {"off": (1, 7), "dirty": (2, 5), "scan": (3, 9), "log": (4, 13)}
PARTS = {"exit": "exit and entry", "lock": "waiting for the host", "sync": "arm and wake tables",
         "compare": "compare tables", "verdict": "verdict and graph", "host_flush": "flush by the host",
         "upcall": "upcall", "purge": "purge: clear PTEs", "shootdown": "purge: shootdown"}
PART_COLOURS = ("#bbbbbb", "#666666", "#88ccee", "#0072b2", "#332288", "#e69f00", "#009e73",
                "#cc79a7", "#d55e00")

HEAD = """\
set encoding utf8
set datafile missing "?"
set border 3 lc rgb "#444444"
set tics nomirror textcolor rgb "#222222"
set grid ytics lc rgb "#dddddd" lt 1
set key textcolor rgb "#222222"
"""


def series_name(strategy, source):
    """For the key."""
    if strategy == "none":
        return "none"
    return f"{strategy}, {'host not looking' if source == 'off' else source}"


def style(strategy, source):
    """gnuplot's words for a line."""
    dash, point = DASHES.get(source, (5, 4))
    return (f'lc rgb "{COLOURS.get(strategy, "#000000")}" lw 2 dt {dash} pt {point} ps 0.7')


def gnuplot(body, path, size):
    """One picture at `path`, without its ending, in both formats."""
    for terminal, ending in ((f"svg size {size} dynamic font 'sans,13' background rgb 'white'",
                              "svg"), (f"pngcairo size {size} font 'sans,11'", "png")):
        head = f"set terminal {terminal}\nset output '{path}.{ending}'\n{HEAD}"
        try:
            run = subprocess.run(["gnuplot", "-"], input=head + body, text=True,
                                 capture_output=True, check=False)
        except FileNotFoundError as error:
            raise Failure("gnuplot is missing: apt-get install gnuplot-nox") from error
        if run.returncode or "warning" in run.stderr:
            raise Failure(f"gnuplot: {path.name}: {run.stderr.strip()}")


def block(name, rows):
    """A data block."""
    lines = "\n".join(" ".join("?" if v is None else str(v) for v in row) for row in rows)
    return f"${name} << EOD\n{lines}\nEOD\n"


def lines_plot(series, prefix):
    """(data blocks, plot command) of {(strategy, source): [(x, y)]}."""
    blocks, plots = "", []
    for number, ((strategy, source), rows) in enumerate(series.items()):
        blocks += block(f"{prefix}{number}", sorted(rows))
        plots.append(f"${prefix}{number} using 1:2 with linespoints {style(strategy, source)} "
                     f"title '{series_name(strategy, source)}'")
    return blocks, plots


def costs(entries, x, **fixed):
    """{(strategy, source): [(x, cost per pin)]} of the cells that fit; means over seeds."""
    found = {}
    for entry in entries:
        if entry["cost"] and entry["strategy"] != "none" and entry[x] is not None and all(
                entry[name] == value for name, value in fixed.items()):
            there = found.setdefault((entry["strategy"], entry["source"]), {})
            there.setdefault(entry[x], []).append(entry["cost"]["work_per_pin"])
    return {key: [(at, sum(v) / len(v)) for at, v in rows.items()] for key, rows in found.items()}


def crossings(one, other):
    """Where two lines cross: [(x, y)], between neighbouring points that both have."""
    one, other = dict(one), dict(other)
    shared = sorted(set(one) & set(other))
    found = []
    for left, right in zip(shared, shared[1:]):
        before, after = one[left] - other[left], one[right] - other[right]
        if before * after < 0:
            part = before / (before - after)
            found.append((left + part * (right - left), one[left] + part * (one[right] - one[left])))
    return found


def trap_crossings(series):
    """Of `trap`, with each source, with all others but its kin: [(x, y, who)]."""
    found = []
    for (strategy, source), rows in series.items():
        for (other, other_source), other_rows in series.items():
            if strategy == "trap" and other not in ("trap", "trap-range", "none"):
                found += [(x, y, f"{series_name(other, other_source)} and {strategy}, {source}")
                          for x, y in crossings(rows, other_rows)]
    return found


def crossing_text(found):
    """The crossovers of a picture in words."""
    said = [f"{who} at {x:.1f} % ({title})" for _, title, _, marks in found for x, _, who in marks]
    return " Crossovers: " + "; ".join(said) + "." if said else \
        " No line crosses that of `trap`."


def panel(series, prefix, title, xlabel, marks=()):
    """One of several plots beside each other: (data, commands)."""
    blocks, plots = lines_plot(series, prefix)
    if marks:
        blocks += block(f"{prefix}marks", [(x, y) for x, y, _ in marks])
        plots.append(f"${prefix}marks using 1:2 with points pt 6 ps 1.8 lw 2 lc rgb '#000000' "
                     "notitle")
    commands = f"set title '{title}'\nset xlabel '{xlabel}'\nplot {', '.join(plots)}\n"
    return blocks, commands


SIGNED_LOG = """\
set nonlinear y via (y < 0 ? -log10(1 - y / 100.0) : log10(1 + y / 100.0)) \
inverse (y < 0 ? 100 * (1 - 10 ** -y) : 100 * (10 ** y - 1))
set ytics (-10000, -1000, -100, 0, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000)
set format y "%.0f"
"""

PANEL, KEY = 420, 260  # width in pixels


def key_panel(names, marked, left):
    """What the lines are, in a panel of its own at the right."""
    plots = [f"NaN with linespoints {style(*name)} title '{series_name(*name)}'" for name in names]
    if marked:
        plots.append("NaN with points pt 6 ps 1.8 lw 2 lc rgb '#000000' title 'crossover'")
    return (f"set origin {left:.4f},0\nset size {1 - left:.4f},0.95\nunset title\nunset xlabel\n"
            "unset ylabel\nunset border\nunset tics\nunset grid\nunset nonlinear x\n"
            "unset nonlinear y\nset xrange [0:1]\nset yrange [0:1]\n"
            "set key on at graph 0,1 left top Left reverse samplen 3 spacing 1.3 vertical "
            f"maxcols 1\nplot {', '.join(plots)}\n")


def panels(path, title, found, xsetup, height=520):
    """Several panels; `found`: [(series, title, xlabel, marks)]."""
    width = PANEL * len(found) + KEY
    data, commands = "", ""
    for number, (series, name, xlabel, marks) in enumerate(found):
        blocks, plot = panel(series, f"p{number}_", name, xlabel, marks)
        data += blocks
        commands += (f"set origin {PANEL * number / width:.4f},0\n"
                     f"set size {PANEL / width:.4f},0.95\n{plot}")
    names = list(dict.fromkeys(name for series, *_ in found for name in series))
    commands += key_panel(names, any(marks for *_, marks in found), PANEL * len(found) / width)
    body = (f"{data}set multiplot title '{title}' font ',15'\n{xsetup}{SIGNED_LOG}"
            f"set ylabel 'instructions a pin, above none'\nset key off\n{commands}"
            "unset multiplot\n")
    gnuplot(body, path, f"{width},{height}")


def draw_alias(results, out):
    """Cost against alias rate."""
    entries, drawn = results["cells"], []
    for workload in dict.fromkeys(e["workload"] for e in entries if e["alias"] is not None):
        found = []
        for cpus, busy in ((1, "all"), (4, "all"), (4, "one"), (8, "one")):
            series = costs(entries, "alias", workload=workload, cpus=cpus, busy=busy)
            if any(len(rows) > 1 for rows in series.values()):
                found.append((series, point_title(cpus, busy),
                              "stale aliases, % of recycled tables", trap_crossings(series)))
        if found:
            name = f"cost-alias-{workload}"
            panels(out / name, f"Workload {workload}: cost of a pin against the alias rate", found,
                   "set nonlinear x via sqrt(x) inverse x * x\nset xtics (0,1,5,20,50,100)\n")
            drawn.append((name, ALIAS_TEXT + crossing_text(found)))
    return drawn


def point_title(cpus, busy):
    """Of a panel."""
    if cpus == 1:
        return "1 vCPU"
    return f"{cpus} vCPUs, " + ("all busy" if busy == "all" else "one busy, others halted")


ALIAS_TEXT = ("What a pin costs above the same run with `none`, without waiting, against the share "
              "of recycled tables that still have a stale alias. A circle marks where a line crosses "
              "that of `trap`. The scale of costs is logarithmic, and linear near 0.")
CPUS_TEXT = ("The same cost against the number of vCPUs, with the aliases that fall out of the "
             "allocator. Left, all vCPUs are at work on one processor; right, all but one are "
             "halted, so that no time goes to whoever else has work.")
PARTS_TEXT = ("What the instructions of a pin go to, upcalls and purges on its behalf included. "
              "Measured where one vCPU is busy: with several on one processor these spans hold "
              "what others do.")
HISTORY_TEXT = ("Memory that is unmapped but still has PTEs, from the start of a run to its end. The "
                "line of `none` rises until the lazy limit is reached; elsewhere each fall is a "
                "purge. The runs take different numbers of instructions.")


def draw_cpus(results, out):
    """Cost against vCPUs."""
    entries, drawn = results["cells"], []
    for workload in dict.fromkeys(e["workload"] for e in entries if e["cost"]):
        found = []
        for busy in ("all", "one"):
            series = costs([{**e, "busy": busy} if e["cpus"] == 1 else e for e in entries
                            if e["alias"] is None], "cpus", workload=workload, busy=busy)
            if series and any(len(rows) > 1 for rows in series.values()):
                found.append((series, "all busy" if busy == "all" else "one busy, others halted",
                              "vCPUs", ()))
        if found:
            name = f"cost-cpus-{workload}"
            panels(out / name, f"Workload {workload}: cost of a pin against vCPUs", found,
                   "set logscale x 2\nset xtics (1,2,4,8,16,32,64)\n")
            drawn.append((name, CPUS_TEXT))
    return drawn


def parts_rows(entries, workload, cpus, busy):
    """[(name, parts per pin)] of a point."""
    rows = []
    for entry in entries:
        if (entry["workload"], entry["cpus"], entry["busy"]) == (workload, cpus, busy) and \
                entry["alias"] is None and entry["instructions"] and not entry["extra"]:
            pins = entry["counts"]["pins"] or 1
            parts = entry["instructions"]["parts"]
            rows.append((f"{entry['strategy']}\\n{entry['source']}",
                         [parts[name] / pins for name in PARTS]))
    return rows


def parts_panel(rows, prefix, title):
    """Stacked bars."""
    lines = "\n".join(f'"{name}" ' + " ".join(f"{v:.0f}" for v in values) for name, values in rows)
    data = f"${prefix} << EOD\n{lines}\nEOD\n"
    plots = [f"${prefix} using {i + 2}:xtic(1) with histogram lc rgb '{PART_COLOURS[i]}' "
             f"title '{text}'" for i, text in enumerate(PARTS.values())]
    return data, f"set title '{title}'\nplot {', '.join(plots)}\n"


def draw_parts(results, out):
    """What a pin's cost is made of."""
    entries, drawn = results["cells"], []
    for workload in dict.fromkeys(e["workload"] for e in entries if e["cost"]):
        data, commands, number = "", "", 0
        for cpus, busy in ((1, "all"), (4, "one"), (8, "one")):
            rows = parts_rows(entries, workload, cpus, busy)
            if rows:
                blocks, plot = parts_panel(rows, f"h{number}", point_title(cpus, busy))
                data, commands, number = data + blocks, commands + plot, number + 1
        if number:
            name = f"parts-{workload}"
            body = (f"{data}set multiplot layout {number},1 title 'Workload {workload}: what a pin "
                    "is made of' font ',15'\nset style data histograms\n"
                    "set style histogram rowstacked\nset style fill solid 0.9 noborder\n"
                    "set boxwidth 0.7\nset ylabel 'instructions a pin'\nset format y '%.0f'\n"
                    "set xtics scale 0 font ',9'\nset bmargin 4\nset key outside right top vertical invert\n"
                    f"{commands}unset multiplot\n")
            gnuplot(body, out / name, f"1100,{330 * number + 40}")
            drawn.append((name, PARTS_TEXT))
    return drawn


def draw_history(results, out):
    """Lazily held memory over time."""
    histories = [h for h in results["histories"] if len(h["samples"]) > 1]
    if not histories:
        return []
    data, plots = "", []
    for number, found in enumerate(histories):
        last = found["samples"][-1][0]
        data += block(f"s{number}", [(100 * t / last, max(pages, 1) / 256)
                                     for t, pages in found["samples"]])
        plots.append(f"$s{number} using 1:2 with steps lw 2 lc rgb "
                     f"'{COLOURS.get(found['strategy'], '#000000')}' title '{found['strategy']}'")
    body = (f"{data}set title 'Workload process, {histories[0]['cpus']} vCPUs: memory held lazily'"
            "\nset xlabel 'share of the run, %'\nset ylabel 'MiB, logarithmic'\nset logscale y\n"
            f"set format y '%g'\nset key outside right\nplot {', '.join(plots)}\n")
    gnuplot(body, out / "lazy-memory", "1000,480")
    return [("lazy-memory", HISTORY_TEXT)]


def draw(results, out):
    """All pictures; returns [(name, text)]."""
    return (draw_alias(results, out) + draw_cpus(results, out) + draw_parts(results, out)
            + draw_history(results, out))
