# SPDX-License-Identifier: MIT
"""compare.json, told and checked. `vmm-compare --schema` prints what SCHEMA.md holds."""

VERSION = 7
ABOUT = f"""\
# compare.json

What `vmm-compare` writes for programs; version {VERSION}. Everything in it comes from runs of `vmm`; there
is no date in it, so two runs of the same programs give the same file. *Instructions* are ticks of
the instruction clock (one an instruction, `build/with-kvm --count`), never times; `seconds` are
times on a native KVM, and null without one.
"""

# For each object its members: name, type, meaning. A type is int, number, str, bool, any, the name
# of another object, a list of these in [], or several with |.
SHAPES = {
    "file": [
        ("schema", "int", str(VERSION)),
        ("versions", "versions", "of what was run"),
        ("host", "any", "the emulated machine's kernel, processors, and parameters of KVM, as "
                        "`vmm --probe` tells them"),
        ("clock", "clock", "which clocks there were"),
        ("settings", "any", "the options of the comparison"),
        ("cells", "[cell]", "in the order in which they were run, each some times"),
        ("histories", "[history]", "memory held lazily over time"),
        ("targets", "[target]", "what the design must reach"),
        ("missing", "int", "groups of cells that have not been run"),
    ],
    "versions": [
        ("vmm", "str", "as `vmm -V` says"),
        ("inputs_sha256", "str", "over vmm, guest.elf, the runner and the emulated machine: "
                                 "figures of different inputs are not to be compared"),
    ],
    "clock": [
        ("instructions", "str", "how they were counted"),
        ("time", "str|null", "on which KVM time was measured; null: it was not"),
    ],
    "cell": [
        ("workload", "str", "the guest's, and behind a colon the case of test_vmalloc"),
        ("strategy", "str", "how stale aliases were kept off page tables; `eager/host`: `eager`, with "
                            "the shootdowns done by the host"),
        ("track", "str", "`--track`: how the host learned of changed page tables; `off`: not at all"),
        ("cpus", "int", "vCPUs"),
        ("busy", "str", "`all`, or `one`: all vCPUs but one were halted"),
        ("alias", "int|null", "per cent of recycled tables that have a stale alias; null: as it fell "
                              "out of the allocator"),
        ("free", "str", "which of the freed frames was taken first: `lifo`, `fifo`"),
        ("mmu", "str", "KVM's: `nested` paging, or `shadow`, which `--track strict` needs"),
        ("seed", "int", "of the workload's random numbers"),
        ("iters", "int", "how often each busy CPU did its work"),
        ("mem", "str", "memory of the guest"),
        ("extra", "[str]", "further arguments of the guest"),
        ("clocked", "bool", "false: the run measured something else, at the cost of its "
                            "instructions"),
        ("status", "int|null", "vmm's exit status; other than 0 there are no figures; null: the "
                               "machine it ran in ended before it did"),
        ("said", "[str]|absent", "the last lines of such a run"),
        ("counts", "counts|null", "events of the whole run, boot included"),
        ("instructions", "instructions|null", "of the workload"),
        ("seconds", "number|null", "of the workload, on a native KVM"),
        ("memory_bytes", "int|absent", "of the host's tracker at the end"),
        ("cost", "cost|null", "instructions above `none` at the same point; null outside of the "
                              "matrix"),
    ],
    "counts": [
        ("vmaps", "int", "vmap and vm_map_ram calls"),
        ("vunmaps", "int", "vunmap and vm_unmap_ram calls"),
        ("pins", "int", "frames handed to the host as page tables"),
        ("unpins", "int", "page tables that became ordinary frames again"),
        ("memtypes", "int|absent", "frames that got another memory type"),
        ("inflates", "int|absent", "frames ballooned"),
        ("pin_calls", "int", "calls for both"),
        ("unmap_aliases", "int", "vm_unmap_aliases calls"),
        ("purges", "int", "purges that cleared a PTE or owed a flush"),
        ("purged_pages", "int", "PTEs they cleared"),
        ("shootdowns", "int", "TLB shootdown rounds"),
        ("host_shootdowns", "int|absent", "of these, done by the host, without IPIs"),
        ("shootdown_ipis", "int", "IPIs for the others"),
        ("local_flushes", "int", "TLB flushes of the guest's, each CPU's counted, by the host or "
                                 "not"),
        ("upcalls", "int", "upcalls for a stale alias"),
        ("upcall_pages", "int", "PTEs that their handler cleared"),
        ("tables", "int", "frames taken as page tables"),
        ("tables_recycled", "int", "of them vmapped before"),
        ("tables_aliased", "int", "of them still mapped there when they were taken"),
        ("address_spaces", "int", "created"),
        ("lazy_pages_max", "int", "most pages ever held lazily"),
        ("aliases_met", "int", "pins that met a writable alias at the host"),
        ("upcalls_resolved", "int", "of them granted after the upcall"),
        ("host_flushes", "int", "TLB flushes forced by the host for want of evidence"),
        ("violations", "int", "tables found writable after they were granted"),
        ("exits_runs", "int", "times vmm called KVM_RUN"),
        ("exits_pio", "int", "exits to it for a port"),
        ("exits_mmio", "int", "for an address without memory"),
        ("exits_interrupted", "int", "returns for a signal"),
        ("exits_kicked", "int", "of these, to bring the vCPU out"),
        ("exits_tlb_flushes", "int", "TLBs flushed by the host, for itself"),
        ("syncs", "int", "syncs of the host with the page tables"),
        ("tables_compared", "int", "tables compared in them"),
        ("tables_changed", "int", "tables found changed"),
        ("entries_changed", "int", "entries found changed"),
        ("arms", "int", "times that a table was armed"),
        ("dirtied", "int", "times that an armed table was dirtied"),
    ],
    "instructions": [
        ("total", "int", "of the whole system while the workload ran: guest, VMM, host's kernel"),
        ("shootdown_spin", "int", "of these, loops that wait for acknowledgements of a shootdown"),
        ("lock_spin", "int", "of these, loops that wait for a spinlock"),
        ("work", "int", "the rest: total - shootdown_spin - lock_spin"),
        ("works", "[int]", "of each run of the cell, in their order; everything else is told of "
                           "the run with the least"),
        ("shootdown_wait", "int", "from asking to the last acknowledgement, summed over vCPUs, "
                                  "with all that others did meanwhile; can exceed total"),
        ("parts", "parts", "spans of the whole run, boot included; they hold what others did "
                           "meanwhile"),
    ],
    "parts": [
        ("exit", "int", "from the guest to the VMM and back"),
        ("lock", "int", "waiting for the host's lock"),
        ("track", "int", "write tracking: arming quiet tables, learning which were written"),
        ("compare", "int", "comparing tables with their copies, and following what changed"),
        ("verdict", "int", "judging, recording, following new trees, and the rest of a call"),
        ("host_flush", "int", "TLB flushes by the host"),
        ("upcall", "int", "upcalls but for the purge in them"),
        ("purge", "int", "purges but for their flush"),
        ("shootdown", "int", "flushes of kernel ranges"),
    ],
    "cost": [
        ("tracking", "int", "of a host that tracks: `none` with this `track` - `none` with `off`"),
        ("maintenance", "int", "of what is done about stale aliases: the run - `none` with the "
                               "same track"),
        ("total", "int", "both: the run - `none` with `off`"),
        ("maintenance_with_waiting", "int", "the same of instructions.total; the others are of "
                                            "instructions.work, which leaves waiting out"),
        ("total_with_waiting", "int", "likewise"),
    ],
    "history": [
        ("strategy", "str", ""),
        ("cpus", "int", ""),
        ("samples", "[[int]]", "instructions since the first, pages held lazily"),
    ],
    "target": [
        ("name", "str", "what is judged"),
        ("cost", "str|null", "`maintenance` or `total`: which cost of both is compared"),
        ("against", "str|null", "with another run under a host that tracks, too (`tracked`), or "
                                "not (`untracked`)"),
        ("target", "str", "what it must be"),
        ("measured", "str", "what it is, at the point where it is worst"),
        ("with_waiting", "str", "the same with waiting counted, at its worst; empty where that "
                                "means nothing"),
        ("reached", "bool|null", "null: not measured"),
        ("note", "str", "where, or of what"),
    ],
}

SIMPLE = {"int": lambda v: isinstance(v, int) and not isinstance(v, bool),
          "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
          "str": lambda v: isinstance(v, str), "bool": lambda v: isinstance(v, bool),
          "null": lambda v: v is None, "any": lambda v: True}


def markdown():
    """SCHEMA.md."""
    text = ABOUT
    for name, members in SHAPES.items():
        text += f"\n## {name}\n\n| member | type | meaning |\n| --- | --- | --- |\n"
        kinds = ((member, kind.replace("|", " or "), about) for member, kind, about in members)
        text += "".join(f"| `{member}` | {kind} | {about} |\n" for member, kind, about in kinds)
    return text


def fits(value, kind, where, wrong):
    """Appends to `wrong` what does not fit; returns if all does."""
    if "|" in kind:
        return any(fits(value, part, where, []) for part in kind.split("|")) or \
            wrong.append(f"{where}: not {kind}") or False
    if kind.startswith("["):
        return isinstance(value, list) and all(
            [fits(item, kind[1:-1], f"{where}[{i}]", wrong) for i, item in enumerate(value)])
    if kind in SHAPES:
        return object_fits(value, kind, where, wrong)
    good = kind in SIMPLE and SIMPLE[kind](value)
    if not good:
        wrong.append(f"{where}: {value!r} is not {kind}")
    return good


def object_fits(value, kind, where, wrong):
    """The members of an object, no fewer and no others."""
    if not isinstance(value, dict):
        wrong.append(f"{where}: no object")
        return False
    before = len(wrong)
    members = {name: shape for name, shape, _ in SHAPES[kind]}
    wrong += [f"{where}: unknown member {name}" for name in value if name not in members]
    for name, shape in members.items():
        if name not in value and "absent" not in shape.split("|"):
            wrong.append(f"{where}: no {name}")
        elif name in value:
            fits(value[name], shape, f"{where}.{name}", wrong)
    return len(wrong) == before


def check(results):
    """What is wrong with it, a line each."""
    wrong = []
    fits(results, "file", "file", wrong)
    return wrong
