# SPDX-License-Identifier: MIT
"""What the design must reach, judged by the results."""
RARE = 1.0  # per cent of tables with a stale alias
MANY_PAGES = 256  # purged at a time by `trap`: many areas are lazy
LIMITS = {1: 1.1, 2: 1 / 4, 4: 1 / 10, 8: 1 / 20}
POINT = ("workload", "cpus", "busy", "alias", "seed", "iters")


def point(entry):
    """Where on the axes other than strategy and source a cell lies."""
    return tuple(entry[name] for name in POINT)


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

    def best(self, where, strategy, which="work"):
        """The cell of the strategy with the source that costs least."""
        cells = [entry for (name, source), entry in self.points[where].items()
                 if name == strategy and source != "off"]
        return min(cells, key=lambda entry: entry["cost"][which]) if cells else None

    def get(self, where, strategy, source):
        """One cell or None."""
        return self.points[where].get((strategy, source))


def met_rate(entry):
    """Stale aliases that the host met, per cent of the pins."""
    return 100 * entry["counts"]["aliases_met"] / (entry["counts"]["pins"] or 1)


def judged(name, target, measured, reached, note=""):
    """A row of the table; `reached` is None where nothing was measured."""
    return {"name": name, "target": target, "measured": measured, "reached": reached, "note": note}


def ratio(entry, base, which):
    """Of two costs, or None if the base costs nothing."""
    return entry["cost"][which] / base["cost"][which] if base["cost"][which] > 0 else None


def where_of(where):
    """For people: a point in short."""
    named = dict(zip(POINT, where))
    alias = "" if named["alias"] is None else f", alias {named['alias']} %"
    return f"{named['workload']}, {named['busy']} of {named['cpus']} busy{alias}"


def against_eager(points, which, unseen, only):
    """[(ratio, rate, point)] of `trap` with its best source to `eager`, worst first. Unseen: the
    host of `eager` does not look; else it uses the same source."""
    found = []
    for where in points.points:
        best = points.best(where, "trap")
        if not best or not only(dict(zip(POINT, where)), points.rate(where)):
            continue
        eager = points.get(where, "eager", "off" if unseen else best["source"])
        value = ratio(best, eager, which) if eager else None
        if value is not None:
            found.append((value, points.rate(where), where))
    return sorted(found, key=lambda row: -row[0])


def ratio_target(name, limit, rows):
    """The worst of the rows must stay below the limit."""
    if not rows:
        return judged(name, f"at most {limit:.3g}", "not measured", None)
    worst, best = rows[0], rows[-1]
    note = f"worst: {where_of(worst[2])}"
    if len(rows) > 1:
        note += f"; best {best[0]:.2f}: {where_of(best[2])}"
    return judged(name, f"at most {limit:.3g}", f"{worst[0]:.2f}", worst[0] <= limit, note)


def eager_targets(points):
    """`trap` against `eager`, for both kinds of eager, with waiting and without."""
    rows = []
    for unseen, of in ((True, "eager, the host not looking"), (False, "eager, the host looking")):
        for cpus, limit in LIMITS.items():
            def rare(named, rate, cpus=cpus):
                return named["cpus"] == cpus and rate <= RARE
            rows.append(ratio_target(f"{cpus} vCPUs, at most 1 % stale: trap / {of}", limit,
                                     against_eager(points, "work", unseen, rare)))
        rows.append(ratio_target(f"any alias rate, any vCPUs: trap / {of}", 1.1,
                                 against_eager(points, "work", unseen, lambda n, r: True)))
        rows.append(ratio_target(f"the same with waiting counted: trap / {of}", 1.1,
                                 against_eager(points, "with_waiting", unseen,
                                               lambda n, r: True)))
    return rows


def run_target(points):
    """The whole run with `trap` against that with `none`."""
    found = []
    for where in points.points:
        best = points.best(where, "trap")
        named = dict(zip(POINT, where))
        if best and named["cpus"] == 4 and points.rate(where) <= RARE:
            found.append((best["cost"]["run_against_none"], where))
    name = "4 vCPUs, at most 1 % stale: whole run, trap / none"
    if not found:
        return judged(name, "at most 1.03", "not measured", None)
    worst = max(found)
    return judged(name, "at most 1.03", f"{worst[0]:.2f}", worst[0] <= 1.03,
                  f"worst: {where_of(worst[1])}")


def range_targets(points):
    """`trap-range` against `trap`, same source."""
    never, half = [], []
    for where, cells in points.points.items():
        for (strategy, source), entry in cells.items():
            trap = points.get(where, "trap", source)
            if strategy != "trap-range" or not trap or not ratio(entry, trap, "work"):
                continue
            row = (ratio(entry, trap, "work"), 0, where)
            never.append(row)
            purges = trap["counts"]["purges"]
            if purges and trap["counts"]["purged_pages"] / purges >= MANY_PAGES:
                half.append(row)
    never.sort(key=lambda row: -row[0])
    half.sort(key=lambda row: -row[0])
    return [ratio_target("trap-range / trap, everywhere", 1.0, never),
            ratio_target(f"trap-range / trap, where a purge clears {MANY_PAGES} pages or more",
                         0.5, half)]


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
    rows = eager_targets(points) + [run_target(points)] + range_targets(points)
    sources = dict.fromkeys(e["source"] for e in entries if e["workload"] == "cleanpin"
                            and e["strategy"] == "trap")
    for source in sources:
        rows += clean_pin_targets(entries, source)
    return rows
