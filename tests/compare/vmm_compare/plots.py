# SPDX-License-Identifier: MIT
"""The pictures of costs, and all of them."""
from .figures import per_pin, transitions
from .gnuplot import COLOURS, block, gnuplot
from .history import draw_history
from .plan import BASELINE, TRACKED, SHADOW, strategy_text

# The value of --track: the line. A strategy that works under a host that does not track has no other.
DASHES = {"off": 1, "dirty": 2, "scan": 3, "log": 4}
# The strategy: its point, too, so that lines are told apart without colours.
POINTS = {"none": 1, "legacy": 2, "eager": 7, "eager/host": 6, "nolazy": 8, "eager-pte": 10, "quicklist": 12,
          "page-bit": 4, "trap": 5, "trap-range": 9}
PARTS = {"exit": "exit and entry", "lock": "waiting for the host", "track": "write tracking",
         "compare": "compare tables", "verdict": "verdict and graph",
         "host_flush": "flush by the host", "upcall": "upcall",
         "purge": "purge: clear PTEs", "shootdown": "purge: shootdown"}
# Colour and fill of each: without colours, too, each is told from all others.
PART_LOOKS = (("#cccccc", "solid 1"), ("#555555", "pattern 1"), ("#3090c0", "pattern 4"), ("#0060a0", "solid 1"),
              ("#5848a8", "pattern 5"), ("#181040", "solid 1"), ("#b07000", "pattern 6"), ("#006e50", "pattern 2"),
              ("#c04880", "pattern 7"))


def series_name(strategy, track):
    """For the key."""
    return f"{strategy_text(strategy)}, {'untracked' if track == 'off' else track}"


def style(strategy, track):
    """gnuplot's words for a line."""
    return (f'lc rgb "{COLOURS.get(strategy, "#000000")}" lw 2 dt {DASHES.get(track, 5)} '
            f'pt {POINTS.get(strategy, 3)} ps 0.9')


def lines_plot(series, prefix):
    """(data blocks, plot command) of {(strategy, track): [(x, y)]}."""
    blocks, plots = "", []
    for number, ((strategy, track), rows) in enumerate(series.items()):
        blocks += block(f"{prefix}{number}", sorted(rows))
        plots.append(f"${prefix}{number} using 1:2 with linespoints {style(strategy, track)} "
                     f"title '{series_name(strategy, track)}'")
    return blocks, plots


def shown(results):
    """The lines of the pictures: {cost: keep(strategy, track)}. Strategies that can do without a
    host that tracks are shown without; of the maintenance `eager` with one too, so that like is
    compared with like."""
    tracked = [track for track in results["settings"]["track"]
               if track not in (BASELINE, *SHADOW)]
    untracked = {e["strategy"] for e in results["cells"] if e["track"] == "off"}

    def keep(also, strategy, track):
        strategy = strategy.partition("/")[0]
        if strategy in also or strategy not in untracked:
            return track in tracked if strategy in TRACKED else track in tracked[:1]
        return track == "off"
    return {"maintenance": lambda *pair: keep(TRACKED, *pair), "total": lambda *pair: keep((), *pair)}


def costs(entries, x, which, keep, **fixed):
    """{(strategy, track): [(x, cost a pin)]} of the cells that fit; means over seeds."""
    found = {}
    for entry in entries:
        if entry["cost"] and entry["strategy"] != "none" and entry[x] is not None and keep(
                entry["strategy"], entry["track"]) and all(
                entry[name] == value for name, value in fixed.items()):
            there = found.setdefault((entry["strategy"], entry["track"]), {})
            there.setdefault(entry[x], []).append(per_pin(entry, which))
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
            found.append((left + part * (right - left),
                          one[left] + part * (one[right] - one[left])))
    return found


def trap_crossings(series):
    """Of `trap` with all others but its kin: [(x, y, who)]."""
    found = []
    for (strategy, track), rows in series.items():
        for (other, other_track), other_rows in series.items():
            if strategy == "trap" and other not in ("trap", "trap-range", "none"):
                found += [(x, y, series_name(other, other_track))
                          for x, y in crossings(rows, other_rows)]
    return found


# The scale of costs: logarithmic, and linear near 0, below which only noise lies.
SIGNED_LOG = """\
set nonlinear y via (y < 0 ? -log10(1 - y / 100.0) : log10(1 + y / 100.0)) \
inverse (y < 0 ? 100 * (1 - 10 ** -y) : 100 * (10 ** y - 1))
set ytics (-10000, -1000, -100, 0, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000)
set format y "%.0f"
"""
PANEL, HEIGHT, KEY, TITLE = 440, 400, 260, 40  # pixels
ROWS = ("maintenance", "total")
MARK = "pt 6 ps 1.8 lw 2 lc rgb '#000000'"
ALIAS_AXIS = "set nonlinear x via sqrt(x) inverse x * x\nset xtics (0,1,5,20,50,100)\n"
CPUS_AXIS = "set logscale x 2\nset xtics (1,2,4,8,16,32,64)\nset xrange [{}:{}]\n"
NO_AXES = """\
unset title
unset xlabel
unset ylabel
unset border
unset tics
unset grid
unset nonlinear x
unset nonlinear y
unset logscale
set lmargin 0
set xrange [0:1]
set yrange [0:1]
set key on at graph 0,0.95 left top Left reverse samplen 3 spacing 1.3 vertical maxcols 1
"""


class Grid:
    """Panels: a row for each of the two costs, a column for each point; the key at the right."""

    def __init__(self, path, title, columns, setup, xlabel):
        self.path, self.title, self.setup, self.xlabel = path, title, setup, xlabel
        self.width = PANEL * columns + KEY
        self.height = HEIGHT * len(ROWS) + TITLE
        self.data, self.commands, self.names = "", "", {}
        self.marked = False

    def add(self, row, column, title, series, marks=()):
        """A panel."""
        prefix = f"p{row}_{column}_"
        blocks, plots = lines_plot(series, prefix)
        if marks:
            blocks += block(f"{prefix}marks", [(x, y) for x, y, _ in marks])
            plots.append(f"${prefix}marks using 1:2 with points {MARK} notitle")
            self.marked = True
        self.data += blocks
        self.names.update(dict.fromkeys((row, name) for name in series))
        self.commands += (
            f"set origin {PANEL * column / self.width:.4f},{self._bottom(row):.4f}\n"
            f"set size {PANEL / self.width:.4f},{HEIGHT / self.height:.4f}\n"
            f"set title '{title}'\n"
            f"set xlabel '{self.xlabel}'\nset ylabel 'instructions a pin: {ROWS[row]}'\n"
            f"plot {', '.join(plots)}\n")

    def _bottom(self, row):
        return HEIGHT * (len(ROWS) - 1 - row) / self.height

    def _key(self, row):
        """What the lines of a row are: a panel without axes."""
        names = [name for at, name in self.names if at == row]
        plots = [f"NaN with linespoints {style(*name)} title '{series_name(*name)}'"
                 for name in names]
        if self.marked:
            plots.append(f"NaN with points {MARK} title 'crosses trap'")
        left = (self.width - KEY) / self.width
        return (f"set origin {left:.4f},{self._bottom(row):.4f}\n"
                f"set size {1 - left:.4f},{HEIGHT / self.height:.4f}\n"
                f"plot {', '.join(plots)}\n") if names else ""

    def draw(self):
        """Both files."""
        keys = "".join(self._key(row) for row in range(len(ROWS)))
        gnuplot(f"{self.data}set multiplot title '{self.title}' font ',15'\n{self.setup}"
                f"{SIGNED_LOG}set key off\nset lmargin 11\n{self.commands}{NO_AXES}{keys}"
                "unset multiplot\n",
                self.path, f"{self.width},{self.height}")


def point_title(cpus, busy):
    """Of a panel."""
    if cpus == 1:
        return "1 vCPU"
    return f"{cpus} vCPUs, " + ("all busy" if busy == "all" else "one busy, others halted")


ALIAS_TEXT = """\
What a pin costs above the same run with `none`, waiting left out, against the share of recycled
tables that still have a stale alias. Above, the maintenance of aliases alone: `none` under a
host that tracks is subtracted. Below, everything: `none` under a host that does not track is, and
strategies that need no such host are shown without. A circle marks where a line crosses that of
`trap`. The scale of costs is logarithmic, and linear near 0."""
CPUS_TEXT = """\
The same costs against the number of vCPUs, with the aliases that fall out of the allocator.
Left, all vCPUs are at work on one processor; right, all but one are halted, so that no time
goes to whoever else has work."""
PARTS_TEXT = """\
What the instructions of a pin go to, upcalls and purges on its behalf included. Measured where
one vCPU is busy: with several on one processor these spans hold what others do. `off`: the host
does not track."""


def draw_alias(results, out):
    """Cost against alias rate."""
    entries, drawn, keep = results["cells"], [], shown(results)
    for workload in dict.fromkeys(e["workload"] for e in entries if e["alias"] is not None):
        here = [e for e in entries if e["workload"] == workload and e["alias"] is not None]
        rates = {}
        for entry in here:
            rates.setdefault((entry["cpus"], entry["busy"]), set()).add(entry["alias"])
        columns = [at for at, found in rates.items() if len(found) > 2]
        if not columns:
            continue
        grid = Grid(out / f"cost-alias-{workload}", f"{workload}: cost of a pin, and stale aliases",
                    len(columns), ALIAS_AXIS, "stale aliases, % of recycled tables")
        for row, which in enumerate(ROWS):
            for column, (cpus, busy) in enumerate(columns):
                series = costs(here, "alias", which, keep[which], cpus=cpus, busy=busy)
                grid.add(row, column, point_title(cpus, busy), series, trap_crossings(series))
        grid.draw()
        drawn.append((grid.path.name, ALIAS_TEXT))
    return drawn


def draw_cpus(results, out):
    """Cost against vCPUs."""
    drawn, keep = [], shown(results)
    entries = [e for e in results["cells"]
               if e["cost"] and e["alias"] is None and e["free"] == "lifo"]
    for workload in dict.fromkeys(e["workload"] for e in entries):
        here = [e for e in entries if e["workload"] == workload]
        columns = [busy for busy in ("all", "one")
                   if len({e["cpus"] for e in here if e["cpus"] == 1 or e["busy"] == busy}) > 1]
        if not columns:
            continue
        name = f"cost-cpus-{workload.replace(':', '-')}"
        cpus = [e["cpus"] for e in here]
        axis = CPUS_AXIS.format(0.9 * min(cpus), 1.1 * max(cpus))
        grid = Grid(out / name, f"{workload}: cost of a pin, and vCPUs", len(columns), axis,
                    "vCPUs")
        for row, which in enumerate(ROWS):
            for column, busy in enumerate(columns):
                series = costs([{**e, "busy": busy} if e["cpus"] == 1 else e for e in here], "cpus",
                               which, keep[which], busy=busy)
                grid.add(row, column, "all busy" if busy == "all" else "one busy, others halted",
                         series)
        grid.draw()
        drawn.append((name, CPUS_TEXT))
    return drawn


def parts_rows(results, workload, cpus, busy):
    """[(name, parts per pin)] of a point, as far as the pictures of costs show it."""
    rows, keep = [], shown(results)["maintenance"]
    for entry in results["cells"]:
        if (entry["workload"], entry["cpus"], entry["busy"]) == (workload, cpus, busy) and \
                entry["alias"] is None and entry["free"] == "lifo" and entry["cost"] and \
                (entry["strategy"] == "none" and entry["track"] != BASELINE
                 or keep(entry["strategy"], entry["track"])):
            pins = transitions(entry) or 1
            parts = entry["instructions"]["parts"]
            rows.append((f"{entry['strategy']}\\n{entry['track']}",
                         [parts[name] / pins for name in PARTS]))
    return rows


def parts_panel(rows, prefix, title):
    """Stacked bars."""
    lines = "\n".join(f'"{name}" ' + " ".join(f"{v:.0f}" for v in values) for name, values in rows)
    data = f"${prefix} << EOD\n{lines}\nEOD\n"
    plots = [f"${prefix} using {i + 2}:xtic(1) with histogram fs {fill} border lc rgb '#444444' lc rgb '{colour}' "
             f"title '{text}'" for i, ((colour, fill), text) in enumerate(zip(PART_LOOKS, PARTS.values()))]
    return data, f"set title '{title}'\nplot {', '.join(plots)}\n"


# Where one vCPU is busy: with more, the spans hold what others do.
PARTS_POINTS = ((1, "all"), (4, "one"), (8, "one"))


def draw_parts(results, out):
    """What a pin's cost is made of."""
    entries, drawn = results["cells"], []
    for workload in dict.fromkeys(e["workload"] for e in entries if e["cost"]):
        data, commands, number = "", "", 0
        for cpus, busy in PARTS_POINTS:
            rows = parts_rows(results, workload, cpus, busy)
            if rows:
                blocks, plot = parts_panel(rows, f"h{number}", point_title(cpus, busy))
                data, commands, number = data + blocks, commands + plot, number + 1
        if number:
            name = f"parts-{workload.replace(':', '-')}"
            body = (f"{data}set multiplot layout {number},1 "
                    f"title '{workload}: what a pin is made of' font ',15'\n"
                    "set style data histograms\nset style histogram rowstacked\n"
                    "set boxwidth 0.7\n"
                    "set ylabel 'instructions a pin'\nset format y '%.0f'\n"
                    "set xtics scale 0 font ',8'\nset bmargin 4\nset lmargin 11\n"
                    f"set key outside right top vertical invert\n{commands}unset multiplot\n")
            gnuplot(body, out / name, f"1300,{330 * number + 40}")
            drawn.append((name, PARTS_TEXT))
    return drawn


def draw(results, out):
    """All pictures; returns [(name, text)]. Costs on a shadow MMU are in the tables only."""
    results = {**results, "cells": [e for e in results["cells"] if e["mmu"] == "nested"]}
    return (draw_alias(results, out) + draw_cpus(results, out) + draw_parts(results, out)
            + draw_history(results, out))
