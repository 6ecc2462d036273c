# SPDX-License-Identifier: MIT
"""What is to be run: cells, and the groups of cells that share one machine boot."""
from dataclasses import asdict, dataclass
import itertools

# How often each workload does its work, on all its busy CPUs together. Enough that what happens
# once does not matter.
STEPS = {"process": 80, "grow": 120, "mixed": 60, "nfs": 8, "xfs": 40, "cleanpin": 300}
DEFAULT_STEPS = 80
# Those of the default set; all of them map and unmap and make page tables.
MAIN_WORKLOADS = ("process", "grow", "mixed", "nfs", "xfs")
# With --all, as far as the guest has them: the other transitions, and the cases of Linux's
# test_vmalloc.
MORE_WORKLOADS = ("pat", "balloon") + tuple(f"test_vmalloc:{case}" for case in (
    "fix_size", "full_fit", "long_busy_list", "random_size", "fix_align", "random_size_align",
    "align_shift", "vm_map_ram"))
# The sources of the default set: the usual one, with every strategy, and the baseline, with
# SCANNED.
MAIN_SOURCES = ("dirty", "scan")
SCANNED = ("none", "trap")
ALIAS_WORKLOADS = ("process",)
ALIAS_WORKLOADS_ALL = ("process", "grow", "mixed")
ALIAS_RATES = (0, 1, 5, 20, 50, 100)
ALIAS_POINTS = ((1, "all"), (4, "all"), (8, "one"))  # (vCPUs, busy) at which all rates are run
RARE = 1  # per cent; rates up to this are run with any number of vCPUs
MANY_CPUS = 4  # from so many on, runs in which all but one are halted tell something new
HISTORY_STRATEGIES = ("none", "legacy", "eager", "nolazy", "quicklist", "trap", "trap-range")


# Booting takes as long as many cells, but what is in a machine that is stopped is lost.
GROUP_CELLS = 30


@dataclass(frozen=True)
class Cell:
    """One run of vmm. The workload may name a case, after a colon. `busy` is "all", or "one": the
    other CPUs are halted."""
    workload: str
    strategy: str
    source: str
    cpus: int
    busy: str = "all"
    alias: int | None = None  # per cent; None: as it falls out of the allocator
    seed: int = 1
    iters: int = 0
    mem: str = "64M"
    extra: tuple = ()  # more boot arguments
    clocked: bool = True  # False: its instructions are not to be used

    def bootargs(self):
        """The guest's arguments, one a word."""
        name, _, case = self.workload.partition(":")
        words = [f"workload={name}", f"seed={self.seed}", "touch=1"]
        if case:
            words.append(f"case={case}")
        if self.iters:
            words.append(f"iters={self.iters}")
        if self.busy == "one":
            words.append("busy=1")
        if self.alias is not None:
            words.append(f"alias={self.alias}")
        return words + list(self.extra)

    def spec(self):
        """As in compare.json."""
        spec = asdict(self)
        spec["extra"] = list(self.extra)
        return spec

    def weight(self):
        """How long it takes, roughly and in no unit."""
        return 2 + (self.cpus if self.busy == "all" else 1) / 2


@dataclass(frozen=True)
class Group:
    """Cells of one machine boot. The first is also a warm-up, whose figures are thrown away."""
    name: str
    kind: str  # "matrix", "history" or "pins"
    cells: tuple

    def weight(self):
        """Of all its cells, and the boot."""
        return 8 + sum(cell.weight() for cell in self.cells)


def variants(opt, found, main):
    """(strategy, source) of all the cells of a group, those of `none` first: with "off", a host
    that grants every pin unseen, then with each source. With the sources but the first only
    SCANNED are run, and only at main points, unless all pairs are asked for."""
    looking = [source for source in found.sources if source in opt.sources]
    pairs = []
    for strategy in dict.fromkeys(["none", *opt.strategies]):
        several = opt.all_pairs or (main and strategy in SCANNED)
        unseen = ["off"] if found.works_unseen(strategy) else []
        pairs += [(strategy, source) for source in unseen + looking[:None if several else 1]]
    return pairs


def iterations(opt, workload, cpus=1, busy="all"):
    """How often each busy CPU does its work."""
    steps = STEPS.get(workload, DEFAULT_STEPS)
    return opt.iters or max(1, steps // (cpus if busy == "all" else 1))


def is_wanted(opt, workload, cpus, busy, alias):
    """Is this point one of the default set, or of --all? Those asked for by name are."""
    if alias is None or opt.alias:
        return opt.all_busy or busy == "all" or cpus >= MANY_CPUS
    if workload not in (ALIAS_WORKLOADS_ALL if opt.all else ALIAS_WORKLOADS):
        return False
    if opt.all or (cpus, busy) in ALIAS_POINTS:
        return True
    return alias <= RARE and (busy == "all" or cpus == MANY_CPUS)


def point_cells(opt, found, workload, cpus, busy, alias, seed):
    """All strategies and sources at one point of the other axes."""
    main = alias is None and busy == "all"
    return [Cell(workload, strategy, source, cpus, busy, alias, seed,
                 iterations(opt, workload, cpus, busy))
            for strategy, source in variants(opt, found, main)]


def workload_points(opt, found, workload, seed):
    """[(name, cells)] of all points of a workload."""
    natural = [None] if "alias" not in found.bootargs else [None, *ALIAS_RATES]
    points = []
    for alias, cpus, busy in itertools.product(opt.alias or natural, opt.cpus, opt.busy):
        if is_wanted(opt, workload, cpus, busy, alias) and (cpus > 1 or busy == "all"):
            rate = "natural" if alias is None else f"alias-{alias}"
            points.append((f"{workload.replace(':', '-')}-seed-{seed}-{rate}-c{cpus}-{busy}",
                           point_cells(opt, found, workload, cpus, busy, alias, seed)))
    return points


def matrix(opt, found):
    """The groups of the comparison itself: neighbouring points of a workload share a machine."""
    groups = []
    for seed, workload in itertools.product(opt.seeds, opt.workloads):
        name, cells = None, []
        for name_here, more in workload_points(opt, found, workload, seed):
            name = name or name_here
            cells += more
            if len(cells) >= GROUP_CELLS:
                groups.append(Group(name, "matrix", tuple(cells)))
                name, cells = None, []
        if cells:
            groups.append(Group(name, "matrix", tuple(cells)))
    return groups


def history_group(opt, found):
    """How many pages are held lazily over time; the sampling spoils the instructions."""
    sources = [source for source in found.sources if source in opt.sources]
    cells = []
    for strategy in HISTORY_STRATEGIES:
        if strategy != "none" and strategy not in opt.strategies:
            continue
        source = "off" if found.works_unseen(strategy) else sources[0]
        cpus = min(4, max(opt.cpus))
        cells.append(Cell("process", strategy, source, cpus, seed=opt.seeds[0],
                          iters=2 * iterations(opt, "process", cpus), extra=("history=1",),
                          clocked=False))
    return Group("history", "history", tuple(cells))


def pins_group(opt, found):
    """What a clean pin costs, by itself."""
    sources = [source for source in found.sources if source in opt.sources]
    iters = iterations(opt, "cleanpin")
    cells = [Cell("cleanpin", "none", "off", 1, iters=iters)]
    for source in sources:
        def add(mem="64M", *extra, source=source):
            for times in (iters, 3 * iters):  # the difference leaves out what happens once
                cells.append(Cell("cleanpin", "trap", source, 1, iters=times, mem=mem,
                                  extra=extra))
        add()
        for mem in ("256M", "1G", "8G", "64G"):
            add(mem, "touch=0")
        if "batch" in found.bootargs:
            add("64M", "batch=32")
        for tables in (10, 100, 1000, 10000) if "tables" in found.bootargs else ():
            add("256M", f"tables={2 * tables}")  # MiB of vmalloc space, of 2 MiB a table
    return Group("pins", "pins", tuple(cells))


def make(opt, found):
    """Everything that the options ask for, in the order in which it is run."""
    groups = matrix(opt, found)
    if opt.extras:
        sources = [source for source in found.sources if source in opt.sources]
        if sources and {"trap"} & set(opt.strategies):
            groups.append(pins_group(opt, found))
        if sources and "history" in found.bootargs and "process" in opt.workloads:
            groups.append(history_group(opt, found))
    return groups
