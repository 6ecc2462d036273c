# SPDX-License-Identifier: MIT
"""What the design must reach, judged by the results."""
from .figures import POINT, met_rate, point

RARE = 1.0  # per cent of tables with a stale alias
MANY_PAGES = 256  # purged at a time by `trap`: many areas are lazy
LIMITS = {1: 1.1, 2: 1 / 4, 4: 1 / 10, 8: 1 / 20}
# The two costs, and against an eager under which host.
KINDS = (("maintenance", "looking"), ("maintenance", "unseen"), ("total", "looking"),
         ("total", "unseen"))


class Points:
    """The cells of the matrix that have a cost, by point."""

    def __init__(self, entries):
        self.points = {}
        for entry in entries:
            if entry["cost"]:
                here = self.points.setdefault(point(entry), {})
                here[entry["strategy"], entry["source"]] = entry

    def rate(self, where):
        """The alias rate of a point, as `trap` meets it: per cent of the pins."""
        rates = [met_rate(entry) for (strategy, _), entry in self.points[where].items()
                 if strategy == "trap"]
        return min(rates) if rates else None

    def best(self, where, strategy):
        """The cell of the strategy with the source that costs least in all."""
        cells = [entry for (name, source), entry in self.points[where].items()
                 if name == strategy and source != "off"]
        return min(cells, key=lambda entry: entry["cost"]["total"]) if cells else None

    def get(self, where, strategy, source):
        """One cell or None."""
        return self.points[where].get((strategy, source))

    def pairs(self, against, only=lambda named, rate: True):
        """[(trap, eager, where)] at all points that fit; eager under a host that looks as that of
        trap does, or not at all."""
        found = []
        for where in self.points:
            trap = self.best(where, "trap")
            eager = trap and self.get(where, "eager",
                                      "off" if against == "unseen" else trap["source"])
            if eager and only(dict(zip(POINT, where)), self.rate(where)):
                found.append((trap, eager, where))
        return found


def judged(name, target, measured, reached, note="", **more):
    """A row of the table; `reached` is None where nothing was measured."""
    return {"name": name, "cost": None, "against": None, "target": target, "measured": measured,
            "with_waiting": "", "reached": reached, "note": note, **more}


def ratio(entry, base, which):
    """Of two costs, or None if the base costs nothing."""
    return entry["cost"][which] / base["cost"][which] if base["cost"][which] > 0 else None


def cpus_text(cpus, busy):
    """How many vCPUs, and how many of them at work."""
    return "1 vCPU" if cpus == 1 else f"{cpus} vCPUs, {busy} busy"


def where_of(where):
    """For people: a point in short."""
    named = dict(zip(POINT, where))
    alias = "" if named["alias"] is None else f", alias {named['alias']} %"
    return f"{named['workload']}, {cpus_text(named['cpus'], named['busy'])}{alias}"


def ratio_target(name, limit, pairs, cost, against):
    """The worst ratio of the pairs must stay below the limit."""
    kinds = {"cost": cost, "against": against}
    found = [(ratio(one, other, cost), where) for one, other, where in pairs]
    waiting = [ratio(one, other, cost + "_with_waiting") for one, other, _ in pairs]
    found = sorted([row for row in found if row[0] is not None], key=lambda row: -row[0])
    waiting = [value for value in waiting if value is not None]
    if not found:
        return judged(name, f"at most {limit:.3g}", "not measured", None, **kinds)
    worst, best = found[0], found[-1]
    note = f"worst: {where_of(worst[1])}"
    if len(found) > 1:
        within = sum(value <= limit for value, _ in found)
        note += f"; best {best[0]:.2f}: {where_of(best[1])}; within: {within} of {len(found)}"
    return judged(name, f"at most {limit:.3g}", f"{worst[0]:.2f}", worst[0] <= limit, note,
                  with_waiting=f"{max(waiting):.2f}" if waiting else "", **kinds)


def eager_targets(points):
    """`trap` against `eager`: both costs, and both kinds of host under eager."""
    rows = []
    for cpus, busy in ((1, "all"), (2, "all"), (4, "all"), (4, "one"), (8, "all"), (8, "one")):
        def rare(named, rate, at=(cpus, busy)):
            return (named["cpus"], named["busy"]) == at and rate <= RARE
        rows += [ratio_target(f"{cpus_text(cpus, busy)}, at most 1 % stale: trap / eager",
                              LIMITS[cpus], points.pairs(against, rare), cost, against)
                 for cost, against in KINDS]
    return rows + [ratio_target("any alias rate, any vCPUs: trap / eager", 1.1,
                                points.pairs(against), cost, against) for cost, against in KINDS]


def run_target(points, cost):
    """The whole run with `trap` against that with `none`."""
    name, found = "4 vCPUs, at most 1 % stale: whole run, trap / none", []
    for trap, _, where in points.pairs("looking", lambda n, r: n["cpus"] == 4 and r <= RARE):
        work = trap["instructions"]["work"]
        found.append((work / (work - trap["cost"][cost]), where))
    kinds = {"cost": cost, "against": "looking" if cost == "maintenance" else "unseen"}
    if not found:
        return judged(name, "at most 1.03", "not measured", None, **kinds)
    worst = max(found)
    return judged(name, "at most 1.03", f"{worst[0]:.2f}", worst[0] <= 1.03,
                  f"worst: {where_of(worst[1])}", **kinds)


def range_targets(points):
    """`trap-range` against `trap`, same source."""
    never, half = [], []
    for where, cells in points.points.items():
        for (strategy, source), entry in cells.items():
            trap = points.get(where, "trap", source)
            if strategy != "trap-range" or not trap:
                continue
            never.append((entry, trap, where))
            purges = trap["counts"]["purges"]
            if purges and trap["counts"]["purged_pages"] / purges >= MANY_PAGES:
                half.append((entry, trap, where))
    return [ratio_target("trap-range / trap, everywhere", 1.0, never, "maintenance", "looking"),
            ratio_target(f"trap-range / trap, where a purge clears {MANY_PAGES} pages or more",
                         0.5, half, "maintenance", "looking")]


def pin_pairs(entries, source):
    """Of the runs about single pins: (few, many) by (memory, further arguments)."""
    found = {}
    for entry in entries:
        if (entry["workload"], entry["strategy"], entry["source"]) == ("cleanpin", "trap", source) \
                and entry["instructions"]:
            found.setdefault((entry["mem"], tuple(entry["extra"])), []).append(entry)
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


def clean_pin_targets(entries, source):
    """Of pins that meet no alias; each is unpinned again, in a call of its own."""
    pairs = pin_pairs(entries, source)
    plain, batch = pairs.get(("64M", ())), pairs.get(("64M", ("batch=32",)))
    rows = []
    if plain:
        exits = grown(plain, "counts", "exits_runs") / 2
        disturbed = sum(grown(plain, "counts", name) for name in
                        ("exits_kicked", "exits_tlb_flushes", "shootdowns", "host_flushes"))
        rows.append(judged(f"clean pin, {source}: exits to user space a call; vCPUs kicked or "
                           "flushed", "1; 0", f"{exits:.2f}; {disturbed:.0f}",
                           exits <= 1.01 and disturbed == 0))
    if plain and batch:
        value = exit_per_pin(batch) / exit_per_pin(plain)
        rows.append(judged(f"batch of 32, {source}: exit cost a pin / that of a single pin",
                           "at most 0.125", f"{value:.3f}", value <= 0.125))
    sizes = [pairs.get((mem, ("touch=0",))) for mem in ("256M", "1G", "8G", "64G")]
    rows += flat(f"cost of a pin and unpin from 256 MiB to 64 GiB of guest, {source}", sizes)
    tables = [pairs.get(("256M", (f"tables={2 * n}",))) for n in (10, 100, 1000, 10000)]
    rows += flat(f"cost of a pin and unpin from 10 to 10,000 live tables, {source}", tables)
    return rows


def flat(name, pairs):
    """All within 10 % of the first."""
    if not all(pairs):
        return []
    costs = [grown(pair, "instructions", "work") for pair in pairs]
    worst = max(abs(c / costs[0] - 1) for c in costs)
    return [judged(name, "within 10 %", f"{100 * worst:.1f} %", worst <= 0.1,
                   "instructions: " + ", ".join(f"{c:.0f}" for c in costs))]


def judge(entries):
    """All rows of the table."""
    points = Points(entries)
    rows = eager_targets(points) + range_targets(points)
    rows += [run_target(points, cost) for cost in ("maintenance", "total")]
    sources = dict.fromkeys(e["source"] for e in entries if e["workload"] == "cleanpin"
                            and e["strategy"] == "trap")
    for source in sources:
        rows += clean_pin_targets(entries, source)
    return rows
