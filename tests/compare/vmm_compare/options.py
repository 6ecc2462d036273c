# SPDX-License-Identifier: MIT
"""The command line."""
import argparse
import os

from . import plan

EPILOG = """\
Three kinds of figure, never mixed: counts of events, which are exact everywhere; instructions of
the whole system, by the instruction clock of the emulated machine; time, on a native KVM only.

What is finished is kept in OUT/groups, and a second call goes on where the first was stopped.
OUT/compare.json is described in tests/compare/SCHEMA.md. Exit status: 0; 1 if a run failed or
figures are missing; 2 for a wrong command line; 130 if it was stopped.
"""


def words(text):
    """A list of names, separated by commas."""
    return [word for word in text.split(",") if word]


def numbers(low, high):
    """The type of a list of numbers within bounds."""
    def parse(text):
        try:
            found = [int(word) for word in words(text)]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"not a list of numbers: {text}") from error
        if not found or any(not low <= number <= high for number in found):
            raise argparse.ArgumentTypeError(f"numbers from {low} to {high}, not {text}")
        return found
    return parse


def rates(text):
    """Per cent, or None for "natural"."""
    parse = numbers(0, 100)
    return [None if word == "natural" else parse(word)[0] for word in words(text)]


def parser():
    """Of argparse."""
    p = argparse.ArgumentParser(
        prog="vmm-compare", description="Runs the strategies against each other and shows what "
        "each costs.", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default=os.environ.get("VMM_BUILD", "build"),
                   help="where vmm and guest.elf are (default: $VMM_BUILD, or build)")
    p.add_argument("--out", help="where the results go (default: compare/ in the build folder)")
    p.add_argument("--strategies", type=words, help="those to compare; none is always run")
    p.add_argument("--workloads", type=words, help="(default: the main ones that there are)")
    p.add_argument("--cpus", type=numbers(1, 64), default=[1, 2, 4, 8], help="(default: 1,2,4,8)")
    p.add_argument("--track", type=words, help="how the host learns of changed page tables, as "
                   "vmm's --track; with all strategies each (default: dirty and log with those that "
                   "differ, scan with some)")
    p.add_argument("--busy", type=words, help="whether all vCPUs are at work, or all but one are "
                   "halted: all, one (default: all, and one with many vCPUs)")
    p.add_argument("--alias", type=rates, help="per cent of recycled tables that have a stale "
                   "alias, or natural, instead of the default choice")
    p.add_argument("--free", type=words, help="which of the freed frames are taken first: lifo, "
                   "fifo (default: lifo, and fifo at some points)")
    p.add_argument("--seeds", "--seed", type=numbers(0, 2**31), default=[1],
                   help="of the workloads' random numbers (default: 1)")
    p.add_argument("--repeat", type=numbers(1, 100), default=[3], help="runs of each cell at most, "
                   "until two agree; the one with the least work counts, as what the machine's "
                   "kernel does now and then only adds to it (default: 3)")
    p.add_argument("--iters", type=int, default=0, help="how often each busy CPU does its work")
    p.add_argument("--all", action="store_true", help="every strategy with every --track, more "
                   "alias rates, the other transitions, and the cases of Linux's test_vmalloc")
    p.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1),
                   help="machines at a time (default: 2, 1 on one processor)")
    p.add_argument("--no-extras", dest="extras", action="store_false",
                   help="without the runs about single pins and about memory over time")
    p.add_argument("--fresh", action="store_true", help="forget what is finished")
    p.add_argument("--report-only", action="store_true", help="run nothing, write the report again")
    p.add_argument("--no-pictures", dest="pictures", action="store_false",
                   help="without pictures, which need gnuplot")
    p.add_argument("--time", action="store_true", help="measure time, too, in runs of their own, "
                   "one after the other; needs a /dev/kvm of this host, and a quiet one")
    p.add_argument("--results", metavar="FILE", help="also write the figures into this page: "
                   "between its lines that say begin and end of them")
    p.add_argument("--schema", action="store_true", help="describe compare.json, and end")
    p.add_argument("--list", action="store_true", help="say what would be run, and end")
    return p


def check(opt, found, p):
    """Fills what was not given, and refuses names that there aren't."""
    if opt.workloads is None:
        opt.workloads = plan.default_workloads(opt, found.workloads)
    for given, offered, what in ((opt.strategies, found.strategies, "strategies"),
                                 (opt.track, found.tracks, "track"),
                                 (opt.workloads, found.workloads, "workloads"),
                                 (opt.busy, ["all", "one"], "busy"),
                                 (opt.free, ["lifo", "fifo"], "free")):
        unknown = [name for name in given or [] if name.partition(":")[0] not in offered]
        if unknown:
            p.error(f"--{what}: no {', '.join(unknown)}; there are: {', '.join(offered)}")
    opt.repeat = opt.repeat[0]
    opt.strategies = opt.strategies or found.strategies
    opt.all_busy = bool(opt.all or opt.busy)
    opt.busy = opt.busy or ["all", "one"]
    opt.all_pairs = bool(opt.all or opt.track)
    opt.track = opt.track or [name for name in found.tracks
                              if opt.all or name in plan.MAIN_TRACKS]
    if any(rate is not None for rate in opt.alias or []) and "alias" not in found.bootargs:
        p.error("--alias: this guest has no boot argument alias=")
