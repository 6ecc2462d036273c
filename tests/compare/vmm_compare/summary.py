# SPDX-License-Identifier: MIT
"""What the figures say, in sentences made of the figures."""
from .figures import POINT, per_pin, stale_counts, stale_share, transitions
from .plan import EAGER_HOST, strategy_text
from .targets import COMPARED, RARE, Points, cpus_text, ratio, times, where_of

NO_DIFFERENCE = "no difference"
TIE = 1.1  # the design calls nothing worse that is within this factor of `eager`


def number(value):
    """With thousands apart, short."""
    if value is None:
        return "-"
    if isinstance(value, float) and abs(value) < 100:
        return f"{value:.2f}"
    return f"{value:,.0f}".replace(",", "\u202f")


def named(where):
    """The axes of a point by name."""
    return dict(zip(POINT, where))


def span(values):
    """The least and the most, in words."""
    found = sorted({round(min(values)), round(max(values))})
    return " to ".join(number(value) if value else NO_DIFFERENCE for value in found)


def cost(entry, which, noise):
    """What this costs a pin; 0 where the runs differ by as much from one to the next, or it is less than
    nothing."""
    return per_pin(entry, which) if entry["cost"][which] > noise else 0


def cost_span(points, pairs, at, which="maintenance", strategies=COMPARED):
    """The least and the most that the first or the second of these pairs costs a pin."""
    return span([cost(pair[at], which, points.noise(pair[2], pair[0]["track"], strategies)) for pair in pairs])


def is_rare(_, rate):
    """Are few of the recycled tables stale at this point?"""
    return rate <= RARE


def is_often(_, rate):
    """Or more?"""
    return rate > RARE


def wins(pairs, which):
    """Those where the first costs less."""
    return [pair for pair in pairs if pair[0]["cost"][which] < pair[1]["cost"][which]]


def answer_text(points):
    """The answer in one sentence: all that `trap` costs, in parts of all that `eager` does."""
    found = {}
    for one, other, where in points.pairs("untracked", is_rare):
        if other["cost"]["total"] > points.noise(where, "off"):
            found.setdefault(named(where)["cpus"], []).append(per_pin(one, "total") / per_pin(other, "total"))
    said = [f"{times_span(values)} times with {cpus} vCPU{'s' * (cpus > 1)}" for cpus, values in sorted(found.items())]
    if not said:
        return ""
    return (f"Where at most {RARE:g} % of the frames that become page tables have a stale alias, all that `trap` "
            "costs, the host's tracking included, is this much of what `eager` costs under a host that does not "
            f"track, at points where that is more than the noise: {'; '.join(said)}.")


def maintenance_text(points):
    """Where the idea wins: what is done about stale aliases, where these are rare."""
    pairs = points.pairs("tracked", is_rare)
    if not pairs:
        return "Stale aliases are rare at no point that was run, so nothing shows where traps win."
    text = (f"Where at most {RARE:g} % of the recycled tables have a stale alias, `trap` costs "
            "less alias maintenance than `eager` under the same host at "
            f"{len(wins(pairs, 'maintenance'))} of {len(pairs)} points. In instructions a pin, "
            "waiting left out, it is ")
    said = []
    for at in sorted({(named(where)["cpus"], named(where)["busy"]) for *_, where in pairs}):
        here = [p for p in pairs if (named(p[2])["cpus"], named(p[2])["busy"]) == at]
        said.append(f"{cost_span(points, here, 0)} against {cost_span(points, here, 1)} with {cpus_text(*at)}")
    return text + "; ".join(said) + "."


def often_text(points):
    """Where more are stale."""
    rows = [(ratio(one, other, "maintenance", points.noise(where, one["track"])),
             points.rate(where), where) for one, other, where in points.pairs("tracked", is_often)]
    rows = sorted(row for row in rows if row[0] is not None)
    if not rows:
        return ""
    loses = [row for row in rows if row[0] > TIE]
    text = (f"Where more are stale, it costs less than `eager` under the same host at "
            f"{sum(row[0] < 1 for row in rows)} of {len(rows)} points, and more than {TIE:g} times "
            f"as much at {len(loses)}")
    if loses:
        value, rate, where = loses[-1]
        text += (f": {value:.1f} times at worst ({where_of(where)}; {rate:.0f} % are "
                 "stale)")
    return text + "."


def times_span(values):
    """The least and the most ratio."""
    return " to ".join(dict.fromkeys((times(min(values)), times(max(values)))))


def ratios_text(points, pairs):
    """The least and the most of what the first maintains, in parts of what the second does."""
    found = [ratio(one, other, "maintenance", points.noise(where, one["track"],
                                                           (*COMPARED, other["strategy"])))
             for one, other, where in pairs]
    told = sorted(value for value in found if value is not None)
    if not told:
        return "not to be told from"
    text = times_span(told) + " times"
    some = f" (at {len(told)} of them; noise hides both at the rest)" if len(told) < len(found) else ""
    return text + some


def host_flush_text(points):
    """What is left of that where `eager` flushes as `trap` does."""
    pairs = points.pairs("tracked", is_rare, EAGER_HOST)
    if not pairs:
        return ""
    there = {where for *_, where in pairs}
    plain = [pair for pair in points.pairs("tracked", is_rare) if pair[2] in there]
    mine, theirs = (cost_span(points, pairs, at, strategies=(*COMPARED, EAGER_HOST)) for at in (0, 1))
    text = ("`trap` has the TLBs of other vCPUs flushed by the host, `eager` by IPIs. An `eager` that "
            f"has the host flush them too was run at {len(pairs)} points with at most {RARE:g} % "
            f"stale. There, under the same host, `trap`'s maintenance is {ratios_text(points, plain)} "
            f"that of `eager` with IPIs, and {ratios_text(points, pairs)} that of `eager` with the "
            f"host's flush: {mine} against {theirs} instructions a pin")
    often = points.pairs("tracked", is_often, EAGER_HOST)
    if often:
        text += f". At {len(often)} points where more are stale it is {ratios_text(points, often)} that"
    return text + "."


def tracking_text(points):
    """What the host's tracking costs, and what that means for the idea as a whole."""
    pairs = points.pairs("untracked")
    if not pairs:
        return ""
    tracks = [one["track"] for one, *_ in pairs]
    cheaper = wins(pairs, "total")
    trackings = span([per_pin(one, "tracking") for one, *_ in pairs])
    untracked = cost_span(points, pairs, 1, "total")
    text = (f"The host's tracking is the other cost: {trackings} instructions a pin (best `--track`, mostly "
            f"`{max(set(tracks), key=tracks.count)}`). Under a host that does not track, all that "
            f"`eager` does about aliases is {untracked}. A host that tracks anyway, for its own "
            "safety, pays for that whatever the guest does. One that would track for this alone "
            f"finds `trap` cheaper in all than `eager` at {len(cheaper)} of {len(pairs)} points")
    if 0 < len(cheaper) <= 4:
        text += f" ({'; '.join(where_of(where) for *_, where in cheaper)})"
    waiting = len(wins(pairs, "total_with_waiting"))
    return f"{text}, and at {waiting} if what CPUs spend waiting for each other is counted."


def rivals(points):
    """{strategy: [number of points where it costs least, of both costs]}."""
    found = {}
    for which in ("maintenance", "total"):
        for cells in points.points.values():
            kept = [e for (strategy, _), e in cells.items() if strategy != "none"]
            if kept:
                best = min(kept, key=lambda e: e["cost"][which])["strategy"]
                found.setdefault(best, {"maintenance": 0, "total": 0})[which] += 1
    return found


def rivals_text(points):
    """Who costs least."""
    found = rivals(points)
    if len(points.points) == 0:
        return ""
    said = []
    for which in ("maintenance", "total"):
        rows = sorted(((count[which], name) for name, count in found.items() if count[which]),
                      reverse=True)
        said.append(", ".join(f"`{strategy_text(name)}` at {count}" for count, name in rows))
    return (f"Of all strategies the least maintenance is that of {said[0]} of {len(points.points)} "
            f"points; the least in all that of {said[1]}.")


def lead(results):
    """Paragraphs: when trap-driven flushing wins, by how much, and when not."""
    points = Points(results["cells"])
    texts = [answer_text(points), maintenance_text(points) + " " + often_text(points), host_flush_text(points),
             tracking_text(points), rivals_text(points)]
    return [text.strip() for text in texts if text.strip()]


HEAD = ["vCPUs", "stale", "track", "host's tracking", "eager, untracked", "eager", strategy_text(EAGER_HOST),
        "trap", "trap / eager", "total: eager, untracked", "total: eager, host flushes, untracked", "total: trap",
        "trap / eager, untracked", "with waiting"]


def cost_text(entry, which, noise):
    """What this costs a pin, unless the runs differ by more than that from one to the next."""
    if not entry:
        return "-"
    found = round(cost(entry, which, noise))
    return number(found) if found else NO_DIFFERENCE


def quotient_text(one, other, which, noise):
    """In parts of the other; less than nothing is noise."""
    value = ratio(one, other, which, noise)
    return "-" if value is None else times(value)


def short_row(where, rate, points, cells):
    """One point of the table; cells: trap, then eager untracked, tracked, and both with the host's flush."""
    trap, untracked, tracked, by_host_untracked, by_host = cells
    noise = points.noise(where, trap["track"])
    more_noise = points.noise(where, trap["track"], (*COMPARED, EAGER_HOST))
    axes = named(where)
    rate = f"{rate:.0f} %" + ("" if axes["alias"] is not None else f", {axes['free']}")
    costs = ((trap, "tracking", noise), (untracked, "maintenance", noise), (tracked, "maintenance", noise),
             (by_host, "maintenance", more_noise), (trap, "maintenance", noise))
    return [cpus_text(axes["cpus"], axes["busy"]), rate, trap["track"],
            *(cost_text(*one) for one in costs),
            quotient_text(trap, tracked, "maintenance", noise), cost_text(untracked, "total", noise),
            cost_text(by_host_untracked, "total", more_noise), cost_text(trap, "total", noise),
            quotient(trap, untracked, "total"),
            quotient(trap, untracked, "total_with_waiting")]


def short_rows(results, workload="process"):
    """(head, rows) of the table that the lead paragraphs are about: one workload, instructions a
    pin."""
    points = Points(results["cells"])
    rows = []
    for trap, untracked, where in points.pairs("untracked"):
        axes, tracked = named(where), points.get(where, "eager", trap["track"])
        if axes["workload"] == workload and tracked:
            at = (axes["alias"] is None, axes["alias"] or 0, axes["free"] == "fifo", axes["cpus"],
                  axes["busy"])
            cells = (trap, untracked, tracked, points.get(where, EAGER_HOST, "off"),
                     points.get(where, EAGER_HOST, trap["track"]))
            rows.append((at, short_row(where, points.rate(where), points, cells)))
    return HEAD, [row for _, row in sorted(rows)]


def quotient(one, other, which):
    """For the table."""
    return number(per_pin(one, which) / per_pin(other, which)) if other["cost"][which] > 0 else "-"


def share_rows(results):
    """(head, rows) of how many recycled frames are stale, as it falls out of the allocator: under
    `none`, which leaves every alias, and under others."""
    names = ("none", "eager", "trap")
    head, rows = ["workload", "vCPUs", "free list", "frames", *names], []
    for where, cells in Points(results["cells"]).points.items():
        axes, found = named(where), {}
        for (strategy, _), entry in sorted(cells.items(), key=lambda item: item[0][1] == "off"):
            found.setdefault(strategy, entry)
        shares = [stale_share(found[name]) if name in found else None for name in names]
        if axes["alias"] is None and shares[0] is not None:
            rows.append([axes["workload"], cpus_text(axes["cpus"], axes["busy"]),
                         axes["free"].upper(), number(stale_counts(found["none"])[0]),
                         *("-" if share is None else f"{share:.1f} %" for share in shares)])
    return head, rows


def confine_rows(results):
    """(head, rows) of hosts that prevent instead of auditing: on the shadow MMU, where a run is
    dearer even under a host that does not track."""
    head = ["workload", "vCPUs", "stale", "run, untracked", "tracking", "eager", "trap", "total: trap"]
    points, rows = Points(results["cells"], "shadow"), []
    for where, cells in points.points.items():
        axes = named(where)
        for track in dict.fromkeys(track for _, track in cells if track != "off"):
            trap, eager = cells.get(("trap", track)), cells.get(("eager", track))
            if trap and eager:
                untracked = (trap["instructions"]["work"] - trap["cost"]["total"]) / (
                    transitions(trap) or 1)
                costs = ((trap, "tracking"), (eager, "maintenance"), (trap, "maintenance"), (trap, "total"))
                noise = points.noise(where, track)
                rows.append([axes["workload"], cpus_text(axes["cpus"], axes["busy"]),
                             f"{points.rate(where):.0f} %", number(round(untracked)),
                             *(cost_text(*one, noise) for one in costs)])
    return head, rows
