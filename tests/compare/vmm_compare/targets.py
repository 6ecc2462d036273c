# SPDX-License-Identifier: MIT
"""What the design must reach, judged by the results."""
import itertools

from .figures import POINT, least_noise, point, spread, stale_share
from .plan import BASELINE, MEM

RARE = 1.0  # per cent of recycled tables with a stale alias
COMPARED = ("none", "eager", "trap", "trap-range")  # by the targets
MANY_PAGES = 256  # purged at a time by `trap`: many areas are lazy
BUSY = ((1, "all"), (2, "all"), (4, "all"), (4, "one"), (8, "all"), (8, "one"))
LIMITS = {1: 1.1, 2: 1 / 4, 4: 1 / 10, 8: 1 / 20}
# The two costs, and against an eager under which host.
KINDS = (("maintenance", "tracked"), ("maintenance", "untracked"), ("total", "tracked"),
         ("total", "untracked"))


class Points:
    """The cells of the matrix that have a cost, by point; those of one kind of MMU."""

    def __init__(self, entries, mmu="nested"):
        self.points = {}
        for entry in entries:
            if entry["cost"] and entry["mmu"] == mmu:
                here = self.points.setdefault(point(entry), {})
                here[entry["strategy"], entry["track"]] = entry

    def rate(self, where):
        """Per cent of the recycled tables that have a stale alias: as it was set, or as it was
        measured under `none`, which leaves them all. Never that which a strategy has left over."""
        alias = dict(zip(POINT, where))["alias"]
        if alias is not None:
            return alias
        cells = self.points[where]
        none = [cells[key] for key in sorted(cells, key=lambda key: key[1] == "off")
                if key[0] == "none"]
        return stale_share(none[0]) or 0

    def noise(self, where, track, strategies=COMPARED):
        """Costs at the point that are no larger can't be told from none: by how much the runs of
        one cell that went into them differ, at most, or may without being repeated."""
        cells = [entry for (strategy, of), entry in self.points[where].items()
                 if of in (track, "off") and strategy in strategies]
        return max([spread(entry) for entry in cells]
                   + [least_noise(entry) for entry in cells if entry["strategy"] == "none"])

    def best(self, where, strategy):
        """The cell of the strategy with the `--track` that costs least in all."""
        cells = [entry for (name, track), entry in self.points[where].items()
                 if name == strategy and track != "off"]
        return min(cells, key=lambda entry: entry["cost"]["total"]) if cells else None

    def get(self, where, strategy, track):
        """One cell or None."""
        return self.points[where].get((strategy, track))

    def pairs(self, against, only=lambda named, rate: True, rival="eager"):
        """[(trap, eager, where)] at all points that fit; eager under a host that tracks as that of
        trap does, or not at all. Another rival than that is one of its variants."""
        found = []
        for where in self.points:
            trap = self.best(where, "trap")
            eager = trap and self.get(where, rival,
                                      "off" if against == "untracked" else trap["track"])
            if eager and only(dict(zip(POINT, where)), self.rate(where)):
                found.append((trap, eager, where))
        return found


def judged(name, target, measured, reached, note="", **more):
    """A row of the table; `reached` is None where nothing was measured."""
    return {"name": name, "cost": None, "against": None, "target": target, "measured": measured,
            "with_waiting": "", "reached": reached, "note": note, **more}


def ratio(entry, base, which, noise=0):
    """Of two costs, or None if neither is more than noise. A base that costs less than that counts
    as so much, as nobody knows better."""
    cost, least = entry["cost"][which], max(base["cost"][which], noise)
    return None if least <= 0 or max(cost, base["cost"][which]) <= noise else cost / least


def times(value):
    """A ratio for people: what is less than nothing is noise."""
    return f"{max(value, 0):.2f}"


def cpus_text(cpus, busy):
    """How many vCPUs, and how many of them at work."""
    return "1 vCPU" if cpus == 1 else f"{cpus} vCPUs, {busy} busy"


def where_of(where):
    """For people: a point in short."""
    named = dict(zip(POINT, where))
    alias = "" if named["alias"] is None else f", alias {named['alias']} %"
    fifo = ", FIFO" if named["free"] == "fifo" else ""
    return f"{named['workload']}, {cpus_text(named['cpus'], named['busy'])}{alias}{fifo}"


def flushes_text(one, other):
    """The counts that instructions undercount."""
    said = [f"{text} {one['counts'][name]:,} against {other['counts'][name]:,}"
            for name, text in (("local_flushes", "TLB flushes"), ("shootdown_ipis", "IPIs"))]
    return ", ".join(said)


def ratio_target(name, limit, points, pairs, cost, against):
    """The worst ratio of the pairs must stay below the limit."""
    kinds = {"cost": cost, "against": against}
    found = [(ratio(one, other, cost, points.noise(where, one["track"])), where, one, other)
             for one, other, where in pairs]
    waiting = [ratio(one, other, cost + "_with_waiting") for one, other, _ in pairs]
    found = sorted([row for row in found if row[0] is not None], key=lambda row: -row[0])
    waiting = [value for value in waiting if value is not None]
    if not found:
        return judged(name, f"at most {limit:.3g}", "not measured", None, **kinds)
    (worst, where, one, other), best = found[0], found[-1]
    note = f"worst: {where_of(where)}, {one['track']}: {flushes_text(one, other)}"
    if len(found) > 1:
        within = sum(row[0] <= limit for row in found)
        note += f"; best {times(best[0])}: {where_of(best[1])}; within: {within} of {len(found)}"
    if len(found) < len(pairs):
        note += f"; at {len(pairs) - len(found)} more points neither costs more than noise"
    return judged(name, f"at most {limit:.3g}", times(worst), worst <= limit, note,
                  with_waiting=times(max(waiting)) if waiting else "", **kinds)


def eager_targets(points):
    """`trap` against `eager`: both costs, and both kinds of host under eager."""
    rows = []
    for (cpus, busy), (text, most) in itertools.product(BUSY, (("none", 0), ("at most 1 %", RARE))):
        def few(named, rate, at=(cpus, busy), most=most):
            return (named["cpus"], named["busy"]) == at and rate <= most
        rows += [ratio_target(f"{cpus_text(cpus, busy)}, {text} stale: trap / eager",
                              LIMITS[cpus], points, points.pairs(against, few), cost,
                              against)
                 for cost, against in KINDS]
    return rows + [ratio_target("any alias rate, any vCPUs: trap / eager", 1.1,
                                points, points.pairs(against), cost, against) for cost, against in KINDS]


def run_target(points, cost):
    """The whole run with `trap` against that with `none`."""
    against = "tracked" if cost == "maintenance" else "untracked"
    name, found, waiting = "any vCPUs, at most 1 % stale: whole run, trap / none", [], []
    for trap, _, where in points.pairs("tracked", lambda _, rate: rate <= RARE):
        run = trap["instructions"]
        found.append((run["work"] / (run["work"] - trap["cost"][cost]), where))
        waiting.append(run["total"] / (run["total"] - trap["cost"][cost + "_with_waiting"]))
    kinds = {"cost": cost, "against": against}
    if not found:
        return judged(name, "at most 1.03", "not measured", None, **kinds)
    worst, where = max(found, key=lambda row: row[0])
    within = sum(value <= 1.03 for value, _ in found)
    return judged(name, "at most 1.03", f"{worst:.3f}", worst <= 1.03,
                  f"worst: {where_of(where)}; within: {within} of {len(found)}",
                  with_waiting=f"{max(waiting):.3f}", **kinds)


def range_targets(points):
    """`trap-range` against `trap`, same `--track`, where there was something to purge: elsewhere both
    do the same. Where several vCPUs are busy, who meets whom differs, so those stand apart."""
    exact, noisy, half = [], [], []
    for where, cells in points.points.items():
        for (strategy, track), entry in cells.items():
            trap = points.get(where, "trap", track)
            if strategy != "trap-range" or not trap or not trap["counts"]["purges"]:
                continue
            named = dict(zip(POINT, where))
            alone = named["cpus"] == 1 or named["busy"] == "one"
            (exact if alone else noisy).append((entry, trap, where))
            many = trap["counts"]["purged_pages"] / trap["counts"]["purges"] >= MANY_PAGES
            half += [(entry, trap, where)] if many else []
    return [ratio_target(name, limit, points, pairs, "maintenance", "tracked") for name, limit, pairs in (
        ("one vCPU busy: trap-range / trap", 1.0, exact),
        ("several busy: trap-range / trap", 1.0, noisy),
        (f"a purge clears {MANY_PAGES} pages or more: trap-range / trap", 0.5, half))]


PLAIN = (1, "all", MEM, ())  # vCPUs, busy, memory, further arguments


def pin_pairs(entries, track, clocked=True):
    """Of the runs about single pins: (few, many) by the kind of run."""
    found = {}
    for entry in entries:
        if (entry["workload"], entry["strategy"], entry["track"]) == ("cleanpin", "trap", track) \
                and entry["counts"] and entry["clocked"] == clocked:
            kind = (entry["cpus"], entry["busy"], entry["mem"], tuple(entry["extra"]))
            found.setdefault(kind, []).append(entry)
    return {key: sorted(pair, key=lambda e: e["iters"]) for key, pair in found.items()
            if len(pair) == 2}


def grown(pair, kind, name):
    """By how much a figure is larger in the longer run, for each pin that it has more."""
    few, many = pair
    return (many[kind][name] - few[kind][name]) / (many["counts"]["pins"] - few["counts"]["pins"])


def exit_per_pin(pair):
    """The way to the host and back alone."""
    few, many = pair
    parts = [entry["instructions"]["parts"]["exit"] for entry in pair]
    return (parts[1] - parts[0]) / (many["counts"]["pins"] - few["counts"]["pins"])


# What a clean pin must not cause, and in which of the counts it would show.
DISTURBED = {"kicks": ("exits_kicked",), "flushes": ("exits_tlb_flushes", "host_flushes",
             "shootdowns"), "tables armed or dirtied": ("arms", "dirtied")}


def steady_target(pair, track, where):
    """One exit a call, and nothing that concerns another vCPU, when all is as it stays. A pin and
    an unpin are two calls."""
    few, many = pair
    exits = grown(pair, "counts", "exits_pio") / 2
    disturbed = {what: sum(many["counts"][name] - few["counts"][name] for name in names)
                 for what, names in DISTURBED.items()}
    said = ", ".join(f"{count} {what}" for what, count in disturbed.items())
    pins = many["counts"]["pins"] - few["counts"]["pins"]
    return judged(f"steady clean pin, {track}, {where}: exits a call, and what disturbs others", "1; 0",
                  f"{exits:.2f}; {sum(disturbed.values())}",
                  exits <= 1.01 and not any(disturbed.values()),
                  f"in {pins:,} more pins and unpins: {said}; "
                  f"{grown(pair, 'counts', 'exits_runs') / 2:.2f} KVM_RUN a call")


def clean_pin_targets(entries, track):
    """Of pins that meet no alias; each is unpinned again, in a call of its own."""
    rows = [steady_target(pair, track, cpus_text(cpus, busy))
            for (cpus, busy, *_), pair in pin_pairs(entries, track, clocked=False).items()]
    pairs = pin_pairs(entries, track)
    plain, batch = pairs.get(PLAIN), pairs.get((*PLAIN[:3], ("batch=32",)))
    if plain and batch:
        one, many = exit_per_pin(plain), exit_per_pin(batch)
        rows.append(judged(f"batch of 32, {track}: exit cost a pin / that of a single pin",
                           "at most 0.125", f"{many / one:.3f}", many / one <= 0.125,
                           f"instructions: {many:.0f} against {one:.0f}"))
    sizes = [pairs.get((1, "all", mem, ("touch=0",))) for mem in ("256M", "1G", "8G", "64G")]
    rows += flat(f"cost of a pin and unpin from 256 MiB to 64 GiB of guest, {track}", sizes)
    tables = [pairs.get((1, "all", "256M", (f"tables={2 * n}",))) for n in (10, 100, 1000, 10000)]
    return rows + flat(f"cost of a pin and unpin from 10 to 10,000 live tables, {track}", tables)


def flat(name, pairs):
    """All within 10 % of the first."""
    if not all(pairs):
        return []
    costs = [grown(pair, "instructions", "work") for pair in pairs]
    worst = max(abs(c / costs[0] - 1) for c in costs)
    return [judged(name, "within 10 %", f"{100 * worst:.1f} %", worst <= 0.1,
                   "instructions: " + ", ".join(f"{c:.0f}" for c in costs))]


def judge(entries):
    """All rows of the table. The baseline among the values of `--track` is there to be compared with."""
    points = Points(entries)
    rows = eager_targets(points) + range_targets(points)
    rows += [run_target(points, cost) for cost in ("maintenance", "total")]
    tracks = dict.fromkeys(e["track"] for e in entries if e["workload"] == "cleanpin"
                            and e["track"] != BASELINE)
    for track in tracks:
        rows += clean_pin_targets(entries, track)
    return rows
