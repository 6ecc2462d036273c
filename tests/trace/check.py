# SPDX-License-Identifier: MIT
"""Reads the traces that test-trace has made: check.py DIRECTORY."""
import json
import pathlib
import re
import subprocess
import sys

failed = 0
ROUNDED = 0.0001  # of sums of numbers with three digits


def check(name, good, why=""):
    global failed
    failed += not good
    print(f"ok {name}" if good else f"not ok {name}: {why}")


def slices(events):
    return [e for e in events if e["ph"] == "X"]


def nest(events):
    """Do the slices of each track nest? Returns the first that does not, or None."""
    for tid in {e["tid"] for e in slices(events)}:
        open_ends = []
        for e in sorted((e for e in slices(events) if e["tid"] == tid), key=lambda e: (e["ts"], -e["dur"])):
            while open_ends and open_ends[-1] <= e["ts"] + ROUNDED:
                open_ends.pop()
            if open_ends and e["ts"] + e["dur"] > open_ends[-1] + ROUNDED:
                return e
            open_ends.append(e["ts"] + e["dur"])
    return None


def story(events):
    """What became of each stale alias, by its flow: the names of its slices in order of time."""
    flows = {}
    for i, e in enumerate(events):
        if e["ph"] in "stf":
            flows.setdefault(e["id"], []).append((e["ts"], e["ph"], events[i - 1]["name"]))
    return [[(ph, name) for _, ph, name in sorted(flow)] for _, flow in sorted(flows.items())]


STALE, LIVE = ("s", "stale alias"), ("s", "live alias")
UPCALL = ("t", "upcall: the guest purges")
PURGE = ("t", "purge")
IN_VAIN = ("t", "upcall: the guest purges, in vain")


def inside(events, name, outer):
    """Does each slice of this name lie in one of `outer` on its track?"""
    return all(any(o["tid"] == e["tid"] and o["ts"] <= e["ts"] and e["ts"] + e["dur"] <= o["ts"] + o["dur"] + ROUNDED
                   for o in slices(events) if o["name"].startswith(outer)) for e in slices(events) if e["name"] == name)


def has_sync(pin, events):
    """Does the pin tell of its sync? If the host flushes after a sync, or the guest waits, that is a slice in the pin."""
    end = pin["ts"] + pin["dur"] + ROUNDED
    return pin["args"].get("sync_us", 0) > 0 or any(
        e["name"] == "sync" and pin["ts"] <= e["ts"] and e["ts"] + e["dur"] <= end for e in slices(events))


def told_by(picture):
    """What README's picture of a trace tells, whatever its frames and addresses: its words, and number of arrows."""
    words = re.findall("<text[^>]*>([^<]*)</text>", picture)
    return [re.sub("0x[0-9a-f]+", "0x", w) for w in words] + [picture.count("marker-end")]


def unasked(directory):
    """What happens without an upcall."""
    eager, none, omit = (json.loads((directory / f"{name}.json").read_text())["traceEvents"]
                         for name in ("eager", "none", "omit"))
    kinds = {e["name"] for e in slices(eager)}
    purges = [e["args"] for e in slices(eager) if e["name"] == "purge"]
    check("purges_without_an_upcall", purges and not any("upcall" in k for k in kinds), kinds)
    check("purges_tell_of_their_flush", all(0 < p["flushed_cpus"] <= 2 for p in purges), purges)
    pins = [e for e in slices(eager) if e["name"] == "pin"]
    check("pins_tell_of_their_sync", any("sync_us" in p["args"] for p in pins) and all(has_sync(p, eager) for p in pins), pins)
    check("purges_nest", nest(eager) is None, nest(eager))
    pins = json.loads((directory / "none.stats").read_text())["pins"]
    passed = [e["args"] for e in slices(none) if e["name"] == "alias, let through"]
    calls = [e["args"]["let_through"] for e in slices(none) if "let_through" in e.get("args", {})]
    check("aliases_let_through", len(passed) == len(calls) < sum(calls) == pins["aliases_met"], (len(passed), calls, pins))
    said = (directory / "none.said").read_text()
    check("messages_name_them", said.count("): let through") == pins["aliases_met"] <= len(re.findall(r"\bmapped by", said)), said)
    check("they_have_an_origin", all("mapped_by" in a for a in passed), passed)
    violations = [e["args"] for e in slices(omit) if e["name"] == "violation"]
    said = (directory / "omit.said").read_text()
    check("violations", violations and all(v["what"] in said for v in violations), (violations, said))


def main(directory):
    demo, nfs = (json.loads((directory / f"{name}.json").read_text()) for name in ("demo", "nfs"))
    for name, trace in ("demo", demo), ("nfs", nfs):
        check(f"{name}_lost_nothing", trace["otherData"]["events_lost"] == 0, trace["otherData"])
        check(f"{name}_nests", nest(trace["traceEvents"]) is None, nest(trace["traceEvents"]))
    events = demo["traceEvents"]
    want = [[STALE, UPCALL, PURGE, ("f", "granted")], [LIVE, IN_VAIN, PURGE, ("f", "refused")]]
    check("demo_tells_its_story", story(events) == want, story(events))
    aliases = [e["args"] for e in slices(events) if e["name"] in (STALE[1], LIVE[1])]
    who = [[re.sub(":[0-9]+", "", a.get(by, "")) for by in ("mapped_by", "unmapped_by")] for a in aliases]
    want = [[f"{f} (guest/workload/demo.c)" if f else "" for f in fs] for fs in (("tell_map", "tell_unmap"), ("tell_live", ""))]
    check("demo_tells_who_mapped_and_unmapped", who == want, aliases)
    check("demo_tells_the_areas", all(0 <= int(a["va"], 16) - int(a["area_va"], 16) < 4096 * a["pages"] for a in aliases), aliases)
    upcalls = [e for e in slices(events) if e["name"].startswith("upcall")]
    check("demo_shows_the_flushes", inside(events, "flush of all TLBs", "purge") and "flush of all TLBs" in {e["name"] for e in events}, events)
    check("demo_shows_the_purges", inside(events, "purge", "upcall") and "purge" in {e["name"] for e in events}, events)
    check("demo_purges_in_upcalls", [e["args"]["ptes_purged"] > 0 for e in upcalls] == [True, True], upcalls)
    drawn = subprocess.run(["docs/pictures/draw", "trace", directory / "demo.json"], capture_output=True, text=True, check=True)
    committed = told_by(pathlib.Path("docs/pictures/trace.svg").read_text())
    check("the_picture_of_it_is_not_stale", told_by(drawn.stdout) == committed, f"make pictures: {told_by(drawn.stdout)}, not {committed}")
    names = {e["args"]["name"] for e in nfs["traceEvents"] if e["name"] == "thread_name"}
    check("each_has_a_track", names == {"host", "vCPU 0", "vCPU 1", "disk 0"}, names)
    kinds = {e["name"] for e in nfs["traceEvents"]}
    # The guest asks for flushes only where the host can.
    flush = {"flush"} if json.loads((directory / "probe.json").read_text())["tlb_flush"]["usable"] else set()
    check("all_kinds_are_there", kinds >= {"sync", "pin", "read", "stale alias"} | flush, kinds)
    check("exits_have_their_port", any(k.startswith("KVM_EXIT_IO 0x") for k in kinds), kinds)
    unasked(directory)
    refused = (directory / "refused").read_text()
    check("a_trace_that_cannot_be_written", "--trace" in refused and "No such file" in refused, refused)
    check("a_trace_without_a_reader", "the time limit has passed" in refused, refused)
    untaken = (directory / "untaken").read_text()
    check("a_trace_that_its_reader_does_not_take", "fifo: its reader did not take it in time" in untaken, untaken)
    return failed > 0


sys.exit(main(pathlib.Path(sys.argv[1])))
