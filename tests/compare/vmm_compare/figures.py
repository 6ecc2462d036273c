# SPDX-License-Identifier: MIT
"""From vmm's statistics to figures. Three kinds, never mixed: counts, instructions, time."""

# Two runs of a cell agree if they differ by no more than this part of what they took. No third is
# made then, so no figure is known any better.
AGREED = 256
# With several vCPUs at work, who meets whom differs from one strategy to the next, by this part and more.
MET = 100

# The guest's counters that are told; all of them count events.
COUNTS = ("vmaps", "vunmaps", "pins", "unpins", "memtypes", "inflates", "pin_calls", "unmap_aliases",
          "purges", "purged_pages", "shootdowns", "host_shootdowns", "shootdown_ipis",
          "local_flushes", "upcalls", "upcall_pages", "tables", "tables_aliased", "tables_recycled",
          "address_spaces", "lazy_pages_max")
HOST_COUNTS = ("aliases_met", "upcalls_resolved", "host_flushes", "violations")
EXIT_COUNTS = ("runs", "pio", "mmio", "interrupted", "kicked", "tlb_flushes")
TRACKER_COUNTS = ("syncs", "tables_compared", "tables_changed", "entries_changed", "arms", "dirtied")


def counts(stats):
    """Events, exact everywhere."""
    found = {name: stats["guest"].get(name) for name in COUNTS}
    found.update({name: stats["pins"].get(name) for name in HOST_COUNTS})
    found.update({f"exits_{name}": stats["exits"].get(name) for name in EXIT_COUNTS})
    found.update({name: stats["tracker"].get(name) for name in TRACKER_COUNTS})
    return {name: value for name, value in found.items() if value is not None}


def parts(stats):
    """What the ticks of pins, upcalls, purges and flushes of kernel ranges went to. They hold what
    others ran meanwhile, so they mean little where several vCPUs are busy on one processor."""
    guest, host = stats["guest"], stats["pins"]
    in_purges = guest["purge_ticks"] - guest["flush_ticks"]
    upcalls = guest["upcall_ticks"]
    # Purges that are made in upcalls are told as purges.
    in_upcalls = guest["purge_ticks"] if guest["upcalls"] else 0
    return {
        "exit": max(0, guest["pin_ticks"] - host["ticks"] - upcalls),
        "lock": host["lock_ticks"],
        "track": host["track_ticks"],
        "compare": host["sync_ticks"] - host["track_ticks"],
        "verdict": max(0, host["ticks"] - host["lock_ticks"] - host["sync_ticks"]
                       - host["flush_ticks"]),
        "host_flush": host["flush_ticks"],
        "upcall": max(0, upcalls - in_upcalls),
        "purge": max(0, in_purges),
        "shootdown": guest["flush_ticks"],
    }


def work(stats):
    """What the workload took, but for loops that wait for an acknowledgement or a lock."""
    guest = stats["guest"]
    return guest["workload_ticks"] - guest["shootdown_spin"] - guest["lock_spin"]


def instructions(stats, works):
    """Of the whole system while the workload ran; `works`: those of all runs of the cell."""
    guest = stats["guest"]
    return {
        "total": guest["workload_ticks"],
        "shootdown_spin": guest["shootdown_spin"],
        "lock_spin": guest["lock_spin"],
        "work": work(stats),
        "works": works,
        "shootdown_wait": guest["shootdown_wait"],
        "parts": parts(stats),
    }


def seconds(stats):
    """Of the workload, by the TSC, whose frequency the start of the run tells."""
    if not stats.get("tsc_to_first_char"):
        return None
    hertz = stats["tsc_to_first_char"] / stats["seconds_to_first_char"]
    return stats["guest"]["workload_ticks"] / hertz


def history(log):
    """[(ticks, pages)] that the guest printed."""
    lines = (line.split() for line in log.splitlines() if line.startswith("history: "))
    return [[int(words[1]), int(words[2])] for words in lines]


def cell_figures(cell, result, counted):
    """The entry of one cell in compare.json, its cost yet to come."""
    entry = {**cell.spec(), "status": result["status"], "counts": None, "instructions": None,
             "seconds": None, "cost": None}
    stats = result["stats"]
    if result["status"] == 0 and stats:
        entry["counts"] = counts(stats)
        if counted and cell.clocked:
            entry["instructions"] = instructions(stats, result["works"])
        entry["memory_bytes"] = stats["tracker"]["memory_bytes"]
    else:
        entry["said"] = result["log"].splitlines()[-3:]
    return entry


POINT = ("workload", "cpus", "busy", "alias", "free", "mmu", "seed", "iters")


def point(entry):
    """Where on the axes other than strategy and `--track` a cell lies."""
    return tuple(entry[name] for name in POINT)


def cost(entry, untracked, same):
    """Above `none`: untracked is that under a host that does not track, same that under the same
    `--track`. Between them is what the host's tracking costs; the rest is done about stale aliases."""
    mine = entry["instructions"]
    tracking = {which: same["instructions"][which] - untracked["instructions"][which]
            for which in ("work", "total")}
    above = {which: mine[which] - untracked["instructions"][which] for which in ("work", "total")}
    return {
        "tracking": tracking["work"],
        "maintenance": above["work"] - tracking["work"],
        "total": above["work"],
        "maintenance_with_waiting": above["total"] - tracking["total"],
        "total_with_waiting": above["total"],
    }


def group_figures(group, results, counted):
    """The entries of a group; those of the matrix know their cost."""
    entries = [cell_figures(cell, result, counted)
               for cell, result in zip(group.cells, results)]
    bases = {(point(entry), entry["track"]): entry for entry in entries
             if entry["strategy"] == "none" and entry["instructions"]}
    for entry in entries:
        untracked = bases.get((point(entry), "off"))
        same = bases.get((point(entry), entry["track"]))
        if group.kind == "matrix" and entry["instructions"] and untracked and same:
            entry["cost"] = cost(entry, untracked, same)
    return entries


def transitions(entry):
    """How often a frame got another meaning, and had to have no alias of the old one: mostly pins.
    A guest or a vmm that knows of no others doesn't count them."""
    return sum(entry["counts"].get(name, 0) for name in ("pins", "memtypes", "inflates"))


def per_pin(entry, which):
    """A cost of the entry for each pin, or other transition."""
    return entry["cost"][which] / (transitions(entry) or 1)


def stale_counts(entry):
    """(frames that might have had a stale alias, those that had one): recycled ones that became
    page tables; in a workload about other transitions all of these, and which had is known only to
    a host that tracks."""
    counts = entry["counts"]
    others = counts.get("memtypes", 0) + counts.get("inflates", 0)
    if others:
        return others, counts["aliases_met"]
    return counts["tables_recycled"], counts["tables_aliased"]


def stale_share(entry):
    """The share of these in per cent. Measured where the run let them fall as they do; None if
    there was none."""
    frames, stale = stale_counts(entry)
    return 100 * stale / frames if frames else None


def spread(entry):
    """By how much the two best runs of the cell differ."""
    works = sorted(entry["instructions"]["works"])
    return works[1] - works[0] if len(works) > 1 else 0


def least_noise(entry):
    """How well the figure is known at best, however much its runs agree."""
    several = entry["cpus"] > 1 and entry["busy"] == "all"
    return entry["instructions"]["work"] / (MET if several else AGREED)
