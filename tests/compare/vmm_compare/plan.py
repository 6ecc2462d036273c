# SPDX-License-Identifier: MIT
"""What is to be run: cells, and the groups of cells that share one machine boot."""
from dataclasses import asdict, dataclass
import itertools

# How often each workload does its work on each CPU. Enough that what happens once does not matter.
ITERATIONS = {"process": 60, "grow": 100, "mixed": 100, "nfs": 1, "xfs": 60, "cleanpin": 500}
DEFAULT_ITERATIONS = 60
# Those of the default set; all of them map and unmap and make page tables.
MAIN_WORKLOADS = ("process", "grow", "mixed", "nfs", "xfs")
# The cases of Linux's test_vmalloc; part of --all.
VMALLOC_WORKLOADS = tuple(f"test_vmalloc:{case}" for case in (
    "fix_size", "full_fit", "long_busy_list", "random_size", "fix_align", "random_size_align",
    "align_shift", "vm_map_ram"))
ALIAS_WORKLOADS = ("process",)
ALIAS_WORKLOADS_ALL = ("process", "grow", "mixed")
ALIAS_RATES = (0, 1, 5, 20, 50, 100)
HISTORY_STRATEGIES = ("none", "legacy", "eager", "nolazy", "quicklist", "trap", "trap-range")
# One strategy that flushes on its own is also run under a host that looks, to tell what looking
# costs; --all does so with every strategy.
LOOKED_AT = ("eager",)


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
        return 2 + (self.cpus if self.busy == "all" else 1)


@dataclass(frozen=True)
class Group:
    """Cells of one machine boot. The first is a warm-up: its figures are thrown away."""
    name: str
    kind: str  # "matrix", "history" or "pins"
    cells: tuple

    def weight(self):
        """Of all its cells, and the boot."""
        return 8 + sum(cell.weight() for cell in self.cells)


def sources_for(strategy, found, wanted, everything):
    """The sources a strategy is run with; "off" is a host that grants every pin unseen."""
    looking = [source for source in found.sources if source in wanted]
    if strategy == "none":
        return ["off"]
    if not found.works_unseen(strategy):
        return looking
    extra = looking if everything else looking[:1] if strategy in LOOKED_AT else []
    return ["off"] + extra


def variants(opt, found):
    """(strategy, source) of all the cells of a group, `none` always first."""
    pairs = [("none", "off")]
    for strategy in opt.strategies:
        if strategy != "none":
            pairs += [(strategy, source) for source in
                      sources_for(strategy, found, opt.sources, opt.all)]
    return pairs


def iterations(opt, workload):
    """How often the workload does its work."""
    return opt.iters or ITERATIONS.get(workload, DEFAULT_ITERATIONS)


def rates(opt, found, workload):
    """The alias rates of a workload; None is the natural one."""
    if "alias" not in found.bootargs:
        return [None]
    if opt.alias:
        return opt.alias
    setting = ALIAS_WORKLOADS_ALL if opt.all else ALIAS_WORKLOADS
    return [None] + (list(ALIAS_RATES) if workload in setting else [])


def matrix_group(opt, found, workload, cpus, busy, alias, seed):
    """All strategies and sources at one point of the other axes."""
    rate = "natural" if alias is None else alias
    cells = [Cell(workload, strategy, source, cpus, busy, alias, seed, iterations(opt, workload))
             for strategy, source in variants(opt, found)]
    name = workload.replace(":", "-")
    return Group(f"{name}-c{cpus}-{busy}-alias-{rate}-seed-{seed}", "matrix", tuple(cells))


def matrix(opt, found):
    """The groups of the comparison itself."""
    groups = []
    for workload, cpus, seed in itertools.product(opt.workloads, opt.cpus, opt.seeds):
        for alias in rates(opt, found, workload):
            for busy in opt.busy if cpus > 1 else ["all"]:
                groups.append(matrix_group(opt, found, workload, cpus, busy, alias, seed))
    return groups


def history_group(opt, found):
    """How many pages are held lazily over time; the sampling spoils the instructions."""
    sources = [source for source in found.sources if source in opt.sources]
    cells = []
    for strategy in HISTORY_STRATEGIES:
        if strategy != "none" and strategy not in opt.strategies:
            continue
        source = "off" if found.works_unseen(strategy) else sources[0]
        cells.append(Cell("process", strategy, source, min(4, max(opt.cpus)), seed=opt.seeds[0],
                          iters=iterations(opt, "process"), extra=("history=1",), clocked=False))
    return Group("history", "history", tuple(cells))


def pins_group(opt, found):
    """What a clean pin costs, by itself."""
    sources = [source for source in found.sources if source in opt.sources]
    iters = opt.iters or ITERATIONS["cleanpin"]
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
