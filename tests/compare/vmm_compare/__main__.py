# SPDX-License-Identifier: MIT
"""vmm-compare: runs the strategies against each other, and shows what each costs."""
import fcntl
import json
from pathlib import Path
import shutil
import signal
import sys

from . import figures, frame_map, options, plan, plots, report, schema, targets
from .discover import discover
from .machine import Failure, Stage
from .run import Runner, write_whole

def say(text):
    """To the person, not into the results."""
    print(f"vmm-compare: {text}", file=sys.stderr)


def describe(opt, found, stage):
    """Where the figures come from."""
    return {
        "schema": schema.VERSION,
        "versions": {"vmm": found.version, "inputs_sha256": stage.digest()},
        "host": found.host,
        "clock": {"instructions": "emulated machine, QEMU -icount shift=0",
                  "time": stage.native_kvm() if opt.time else None},
        "settings": {"cpus": opt.cpus, "seeds": opt.seeds, "strategies": opt.strategies,
                     "track": opt.track, "workloads": opt.workloads, "all": opt.all},
    }


def gather(groups_and_results):
    """(entries of all cells, histories)."""
    entries, histories = [], []
    for group, results in groups_and_results:
        found = figures.group_figures(group, results, True)
        entries += found
        if group.kind == "history":
            histories += [{"strategy": entry["strategy"], "cpus": entry["cpus"],
                           "samples": figures.history(result["log"])}
                          for entry, result in zip(found, results)]
    return entries, histories


def add_times(entries, groups_and_results):
    """The seconds of the native runs, to the entries of the counted ones."""
    times = {}
    for group, results in groups_and_results:
        for cell, result in zip(group.cells, results):
            if result["stats"]:
                times[json.dumps(cell.spec())] = figures.seconds(result["stats"])
    names = list(plan.Cell.__dataclass_fields__)
    for entry in entries:
        entry["seconds"] = times.get(json.dumps({name: entry[name] for name in names}))


def run_all(stage, opt, groups, out):
    """Runs; returns compare.json's content but for its head."""
    counted = Runner(stage, out, opt, True)
    if not opt.report_only:
        counted.run(groups)
    entries, histories = gather(counted.results(groups))
    if opt.time:
        timed = Runner(stage, out, opt, False)
        if not opt.report_only:
            timed.run(groups)
        add_times(entries, timed.results(groups))
    missing = len(groups) - len(counted.results(groups))
    if missing:
        say(f"figures of {missing} of {len(groups)} groups are missing")
    return {"cells": entries, "histories": histories, "targets": targets.judge(entries),
            "missing": missing}


def pictures_of(results, stage, out, opt):
    """[(name, text)] of all that were drawn."""
    if not opt.pictures:
        return []
    frames = frame_map.kept(out) if opt.report_only else frame_map.take(stage, out)
    return plots.draw(results, out) + frames


def publish(results, out, pictures):
    """Writes everything that is for people, and compare.json."""
    wrong = schema.check(results)
    if wrong:
        raise Failure(f"compare.json would not be as described: {wrong[0]}")
    write_whole(out / "compare.json", json.dumps(results, indent=1) + "\n")
    write_whole(out / "compare.md", report.markdown(results, pictures))
    write_whole(out / "index.html", report.html(results, pictures, out))


def failures(results):
    """The cells that did not end well, a line each."""
    return [f"{entry['workload']} {entry['strategy']} {entry['track']} -c {entry['cpus']}: status "
            f"{entry['status']}: {' / '.join(entry.get('said', []))}"
            for entry in results["cells"] if entry["counts"] is None]


def offered(found):
    """What can be asked for by name."""
    return "\n".join(f"{what}: {', '.join(names)}" for what, names in (
        ("strategies", found.strategies), ("track", found.tracks),
        ("workloads", found.workloads)))


def ready(opt, stage):
    """Refuses at once what would fail when all has been run."""
    if opt.time and not stage.native_kvm():
        raise Failure("--time: there is no /dev/kvm here that can be opened")
    if opt.pictures and not shutil.which("gnuplot"):
        raise Failure("gnuplot is missing: apt-get install gnuplot-nox, or --no-pictures")
    if opt.results:
        report.check_page(Path(opt.results).read_text())


def compare(opt, p):
    """The whole of it; returns the exit status."""
    stage = Stage(opt.build)
    out = Path(opt.out or Path(opt.build) / "compare").resolve()
    if opt.fresh:
        shutil.rmtree(out / "groups", ignore_errors=True)
    (out / "groups").mkdir(parents=True, exist_ok=True)
    stage.make()
    ready(opt, stage)
    found = discover(stage, out / "groups")
    options.check(opt, found, p)
    groups = plan.make(opt, found)
    if opt.list:
        print(offered(found))
        print("\n".join(f"{group.name}: {len(group.cells)} cells" for group in groups))
        print(f"{len(groups)} groups, {sum(len(group.cells) for group in groups)} cells, "
              f"{sum(group.runs(opt.repeat) for group in groups)} runs")
        return 0
    results = {**describe(opt, found, stage), **run_all(stage, opt, groups, out)}
    publish(results, out, pictures_of(results, stage, out, opt))
    if opt.results:
        page = Path(opt.results)
        write_whole(page, report.with_figures(page.read_text(), results))
    failed = failures(results)
    for line in failed:
        say(line)
    say(f"{len(results['cells'])} cells, {len(failed)} failed; see {out}/index.html")
    return 1 if failed or results["missing"] or not results["cells"] else 0


def locked(build):
    """Only one at a time in a build folder: the machine's files have fixed names."""
    lock = open(Path(build) / "compare.lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Failure(f"another vmm-compare is at work in {build}") from error
    return lock


def stop(*_):
    """For signals: ends the machines, too, which ^C in a terminal would not reach."""
    raise KeyboardInterrupt


def main():
    """Returns the exit status."""
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    p = options.parser()
    opt = p.parse_args()
    if opt.schema:
        print(schema.markdown(), end="")
        return 0
    try:
        with locked(opt.build):
            return compare(opt, p)
    except KeyboardInterrupt:
        say("stopped; what is finished is kept, call it again to go on")
        return 130
    except (Failure, OSError) as error:
        say(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
