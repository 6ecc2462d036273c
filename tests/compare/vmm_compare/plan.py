# SPDX-License-Identifier: MIT
"""What is to be run: cells, and the groups of cells that share one machine boot."""
from dataclasses import asdict, dataclass
import itertools


@dataclass(frozen=True)
class Workload:
    """One of the guest's; behind a colon its case."""
    name: str
    steps: int  # how often it does its work, on all busy CPUs together
    when: str = "main"  # "main": at all points; "few": at FEW of them; "all": with --all only
    shared: bool = False  # the steps are done by all busy CPUs together, not by each


# A line each. Those that this guest hasn't got are left out; others that it has can be asked for by
# name, and take DEFAULT_STEPS. Steps are enough that what happens once doesn't matter: some 30 M
# instructions.
WORKLOADS = (
    Workload("process", 120),
    Workload("grow", 240),
    Workload("mixed", 80),
    Workload("nfs", 8, shared=True),
    Workload("xfs", 60),
    Workload("pat", 320, "few"),
    Workload("balloon", 320, "few"),
    *(Workload(f"test_vmalloc:{case}", 80, "all") for case in (
        "fix_size", "full_fit", "long_busy_list", "random_size", "fix_align", "random_size_align",
        "align_shift", "vm_map_ram")),
)
DEFAULT_STEPS = 80
# Of workload cleanpin: whole audits of the log (256 calls each, two calls a pin), and more than the 32
# after which all that is quiet is armed, so that the longer run arms no more than the shorter one. A
# sync of all tables takes much longer.
PIN_STEPS, PIN_STEPS_BASELINE = 34 * 128, 32
# When all is as it stays: a table that is quiet, but walked all the time, is armed in vain after 128
# syncs, after twice as many each time, and after 65,536 of them in the end.
STEADY_PINS, STEADY_MORE = 20000, 1536

# The values of --track in the default set: those that a VMM would use, and the baseline.
MAIN_TRACKS = ("dirty", "log", "scan", "strict")
BASELINE = "scan"
# Those that need KVM's shadow MMU: a machine of its own, whose costs are not those of the other.
SHADOW = ("strict",)
# Who can do without a host that tracks is run without one. These are run with one too, at all points
# with all of these but the baseline, and at SCANNED points with that.
TRACKED = ("none", "eager", "trap", "trap-range")
SCAN_TRACKED = ("none", "trap")
SCAN_WORKLOADS = ("process",)

SHADOW_WORKLOADS = ("process",)
FEW = ((1, "all"), (4, "all"), (4, "one"))  # (vCPUs, busy)
MANY_CPUS = 4  # from so many on, runs in which all but one are halted tell something new
ALIAS_WORKLOADS = ("process",)
ALIAS_WORKLOADS_ALL = ("process", "grow", "mixed")
ALIAS_RATES = (0, 1, 5, 20, 50, 100)
ALIAS_POINTS = ((1, "all"), (4, "all"), (8, "one"))  # at which all rates are run
RARE = 1  # per cent; rates up to this are run with any number of vCPUs
# `eager`, but the other CPUs' TLBs are flushed as `trap` has it done: so that the two can be told
# apart from two ways of flushing. Where rates are set, with the --track that mostly is `trap`'s best.
EAGER_HOST, EAGER_HOST_TRACKS = "eager/host", ("off", "log")
FIFO_POINTS = ((1, "all"), (4, "one"))  # at which frames are also taken in the other order
HISTORY_STRATEGIES = ("none", "legacy", "eager", "nolazy", "quicklist", "trap", "trap-range")

# Booting takes as long as many cells, but what is in a machine that is stopped is lost.
GROUP_CELLS = 60

MEM = "32M"  # of the guest, enough for all of these; touching it takes as long as many a run


def strategy_text(strategy):
    """For people."""
    return "eager, host flushes" if strategy == EAGER_HOST else strategy


@dataclass(frozen=True)
class Cell:
    """One run of vmm. `busy` is "all", or "one": the other CPUs are halted."""
    workload: str
    strategy: str  # behind a slash how TLBs are flushed, if not as the guest would
    track: str
    cpus: int
    busy: str = "all"
    alias: int | None = None  # per cent; None: as it falls out of the allocator
    free: str = "lifo"  # which of the freed frames is taken first: lifo, fifo
    mmu: str = "nested"  # or "shadow"
    seed: int = 1
    iters: int = 0
    mem: str = MEM
    extra: tuple = ()  # more boot arguments
    clocked: bool = True  # False: its instructions are not to be used

    def flush(self):
        """vmm's name of the strategy."""
        return self.strategy.partition("/")[0]

    def bootargs(self):
        """The guest's arguments, one a word."""
        name, _, case = self.workload.partition(":")
        shootdown = self.strategy.partition("/")[2]
        words = [f"workload={name}", f"seed={self.seed}", "touch=1"]
        if shootdown:
            words.append(f"shootdown={shootdown}")
        if case:
            words.append(f"case={case}")
        if self.iters:
            words.append(f"iters={self.iters}")
        if self.busy == "one":
            words.append("busy=1")
        if self.alias is not None:
            words.append(f"alias={self.alias}")
        if self.free != "lifo":
            words.append(f"free={self.free}")
        return words + list(self.extra)

    def spec(self):
        """As in compare.json."""
        spec = asdict(self)
        spec["extra"] = list(self.extra)
        return spec

    def weight(self):
        """How long it takes, roughly and in no unit."""
        return 2 + (self.cpus if self.busy == "all" else 1) / 2

    def times(self, repeat):
        """How often it is to be run: once, if it isn't about what varies."""
        return repeat if self.clocked else 1


@dataclass(frozen=True)
class Group:
    """Cells of one machine boot."""
    name: str
    kind: str  # "matrix", "history" or "pins"
    cells: tuple

    def weight(self):
        """Of all its cells, and the boot."""
        return 8 + sum(cell.weight() for cell in self.cells)

    def runs(self, repeat):
        """How many runs that makes."""
        return sum(cell.times(repeat) for cell in self.cells)

    def warm_ups(self):
        """Run before the others, their figures thrown away: the first cell of each `--track`. The
        host's kernel does much of what write tracking asks of it for the first time only once."""
        return list({cell.track: cell for cell in reversed(self.cells)}.values())[::-1]


def find(name):
    """The line of WORKLOADS about it, or one like those."""
    lines = [workload for workload in WORKLOADS if workload.name == name]
    return lines[0] if lines else Workload(name, DEFAULT_STEPS)


def default_workloads(opt, offered):
    """The names of those that this guest has, in the default set or in that of --all."""
    return [w.name for w in WORKLOADS
            if w.name.partition(":")[0] in offered and (opt.all or w.when != "all")]


def is_tracked(strategy, track, scanned, untracked):
    """Is the pair, of a strategy and a `--track` that tracks, one of the default set?"""
    if track == BASELINE:
        return scanned and strategy in SCAN_TRACKED
    return strategy in TRACKED or not untracked and track not in SHADOW


def tracks_of(opt, found, mmu="nested"):
    """The values of `--track` that are asked for and work on such an MMU, in vmm's order."""
    return [track for track in found.tracks
            if track in opt.track and (track in SHADOW) == (mmu == "shadow")]


def variants(opt, found, mmu, scanned):
    """(strategy, track) of all the cells of a point, those of `none` first; track "off" is a host
    that grants every pin without tracking."""
    pairs = []
    for strategy in dict.fromkeys(["none", *opt.strategies]):
        untracked = strategy in found.untracked and (mmu == "nested" or opt.all_pairs or strategy in TRACKED)
        pairs += [(strategy, "off")] if untracked else []
        pairs += [(strategy, track) for track in tracks_of(opt, found, mmu)
                  if opt.all_pairs or is_tracked(strategy, track, scanned, untracked)]
    return pairs


def eager_host_variants(opt, found, workload, mmu, cpus, alias):
    """(strategy, track) of the cells of a point that tell `trap` from its way of flushing."""
    if "shootdown" not in found.bootargs or "eager" not in opt.strategies or mmu != "nested" or \
            workload.name not in ALIAS_WORKLOADS or cpus == 1 or alias is None:
        return []
    return [(EAGER_HOST, track) for track in EAGER_HOST_TRACKS
            if track in ("off", *tracks_of(opt, found))]


def iterations(opt, workload, cpus=1, busy="all", mmu="nested"):
    """How often each busy CPU does its work: all together half of it where several wait for each
    other, which takes long, and is less exact whatever is done; and a quarter on the shadow MMU,
    where each is so much dearer."""
    steps = workload.steps // (4 if mmu == "shadow" else 1)
    if cpus > 1 and busy == "all":
        steps //= 2 if workload.shared else 2 * cpus
    return opt.iters or max(1, steps)


def is_wanted(opt, workload, mmu, free, cpus, busy, alias):
    """Is this point one of the default set, or of --all? Those asked for by name are."""
    at = (cpus, busy)
    if mmu == "shadow" and not opt.all_pairs and (
            workload.name not in SHADOW_WORKLOADS or free == "fifo" or at not in FEW or alias):
        return False
    if busy == "one" and (cpus == 1 or cpus < MANY_CPUS and not opt.all_busy):
        return False
    if free == "fifo":
        return alias is None and (opt.all or opt.free or
                                  at in FIFO_POINTS and workload.when != "all")
    if alias is None or opt.alias:
        return opt.all or workload.when != "few" or at in FEW
    if workload.name not in (ALIAS_WORKLOADS_ALL if opt.all else ALIAS_WORKLOADS):
        return False
    return opt.all or at in ALIAS_POINTS or alias <= RARE


def point_cells(opt, found, workload, mmu, free, cpus, busy, alias, seed):
    """All strategies and values of `--track` at one point of the other axes."""
    scanned = alias is None and busy == "all" and free == "lifo" and workload.name in SCAN_WORKLOADS
    pairs = (variants(opt, found, mmu, scanned)
             + eager_host_variants(opt, found, workload, mmu, cpus, alias))
    return [Cell(workload.name, strategy, track, cpus, busy, alias, free, mmu, seed,
                 iterations(opt, workload, cpus, busy, mmu))
            for strategy, track in pairs]


def workload_points(opt, found, workload, mmu, seed):
    """[(name, cells)] of all points of a workload on an MMU."""
    natural = [None, *ALIAS_RATES] if "alias" in found.bootargs else [None]
    orders = opt.free or (["lifo", "fifo"] if "free" in found.bootargs else ["lifo"])
    points = []
    for free, alias, cpus, busy in itertools.product(orders, opt.alias or natural, opt.cpus,
                                                     opt.busy):
        if is_wanted(opt, workload, mmu, free, cpus, busy, alias):
            rate = free if alias is None else f"alias-{alias}"
            name = f"{workload.name.replace(':', '-')}-{mmu}-seed-{seed}-{rate}-c{cpus}-{busy}"
            points.append((name, point_cells(opt, found, workload, mmu, free, cpus, busy, alias,
                                             seed)))
    return points


def matrix(opt, found):
    """The groups of the comparison itself: neighbouring points of a workload share a machine."""
    groups = []
    mmus = [mmu for mmu in ("nested", "shadow") if tracks_of(opt, found, mmu) or mmu == "nested"]
    for mmu, seed, name in itertools.product(mmus, opt.seeds, opt.workloads):
        first, cells = None, []
        for point, more in workload_points(opt, found, find(name), mmu, seed):
            first = first or point
            cells += more
            if len(cells) >= GROUP_CELLS:
                groups.append(Group(first, "matrix", tuple(cells)))
                first, cells = None, []
        if cells:
            groups.append(Group(first, "matrix", tuple(cells)))
    return groups


def history_group(opt, found):
    """How many pages are held lazily over time; the sampling spoils the instructions."""
    tracks = tracks_of(opt, found)
    cpus = min(4, max(opt.cpus))
    iters = iterations(opt, find("process"), cpus)
    cells = [Cell("process", strategy, "off" if strategy in found.untracked else tracks[0], cpus,
                  seed=opt.seeds[0], iters=iters, extra=("history=1",), clocked=False)
             for strategy in HISTORY_STRATEGIES if strategy == "none" or strategy in opt.strategies]
    return Group("history", "history", tuple(cells))


def pin_cells(opt, found, track):
    """What a clean pin costs, by itself. Each is run with two lengths: the difference leaves out
    what happens once."""
    kinds = [{}] + [{"mem": mem, "extra": ("touch=0",)} for mem in ("256M", "1G", "8G", "64G")]
    kinds += [{"cpus": 4, "busy": "one"}, {"cpus": 4}]
    if "batch" in found.bootargs:
        kinds.append({"extra": ("batch=32",)})
    # One sync of 10,000 tables takes longer than a run may.
    live = (10, 100, 1000) if track == BASELINE else (10, 100, 1000, 10000)
    for tables in live if "tables" in found.bootargs else ():
        # MiB of vmalloc space, of 2 MiB a table
        kinds.append({"mem": "256M", "extra": (f"tables={2 * tables}",)})
    steps = opt.iters or (PIN_STEPS_BASELINE if track == BASELINE else PIN_STEPS)
    return [Cell("cleanpin", "trap", track, iters=times * steps, **{"cpus": 1, **kind})
            for kind in kinds for times in (1, 3)]


def steady_cells(opt, track):
    """Runs that have long been steady, and are a little longer still: only events count."""
    pins = [opt.iters, 2 * opt.iters] if opt.iters else [STEADY_PINS, STEADY_PINS + STEADY_MORE]
    return [Cell("cleanpin", "trap", track, cpus, busy,
                 iters=more // (cpus if busy == "all" else 1), clocked=False)
            for cpus, busy in FEW for more in pins]


def make(opt, found):
    """Everything that the options ask for, in the order in which it is run."""
    groups = matrix(opt, found)
    tracks = tracks_of(opt, found)
    if opt.extras and tracks:
        if "trap" in opt.strategies:
            groups += [Group(f"pins-{track}", "pins", tuple(pin_cells(opt, found, track)))
                       for track in tracks]
            groups += [Group(f"steady-{track}", "pins", tuple(steady_cells(opt, track)))
                       for track in tracks if track != BASELINE]
        if "history" in found.bootargs and "process" in opt.workloads:
            groups.append(history_group(opt, found))
    return groups
