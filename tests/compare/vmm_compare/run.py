# SPDX-License-Identifier: MIT
"""Runs what is not there yet, some groups at a time, and keeps each group's result in a file."""
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
import hashlib
import json
import os
import signal
import sys
import threading
import time

from .machine import Boot

KEPT = ("version", "exits", "pins", "tracker", "guest", "memory", "host", "tsc_to_first_char",
        "seconds_to_first_char", "exits_to_first_char")

TRIES = 2  # machines for a group, if one ends early


def write_whole(path, text):
    """Either the whole file is there, or what was there before."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    os.replace(temporary, path)


class Progress:
    """A line on stderr that says how far it is."""

    def __init__(self, todo, cells_there, repeat, out=sys.stderr):
        self.out, self.lock, self.start = out, threading.Lock(), time.monotonic()
        self.repeat, self.runs = repeat, sum(group.runs(repeat) for group in todo)
        self.weight = sum(group.weight() for group in todo) or 1
        self.done_runs, self.done_weight, self.there = 0, 0.0, cells_there

    def run(self, group):
        """One more of this group is through."""
        with self.lock:
            self.done_runs += 1
            self.done_weight += group.weight() / group.runs(self.repeat)
            self._show(group)

    def again(self, group, cells):
        """These are not all there: that many were counted in vain."""
        lost = [cell for cell in cells if cell["status"] is None]
        with self.lock:
            done = group.runs(self.repeat) * (len(cells) - len(lost)) // len(cells)
            self.done_runs -= done
            self.done_weight -= done * group.weight() / group.runs(self.repeat)
        print(f"{group.name}: {lost[0]['log']}", file=self.out, flush=True)

    def _show(self, group):
        spent = time.monotonic() - self.start
        left = spent * (self.weight / (self.done_weight or 1) - 1)
        end = "\r\033[K" if self.out.isatty() else "\n"
        if self.out.isatty() or self.done_runs % 50 == 0 or self.done_runs == self.runs:
            print(f"{self.done_runs}/{self.runs} runs, {spent / 60:.1f} min, some "
                  f"{left / 60:.1f} min to go ({group.name})", end=end, file=self.out, flush=True)

    def end(self):
        """No more of these lines."""
        if self.out.isatty():
            print("\r\033[K", end="", file=self.out, flush=True)


def slim(cell):
    """The part of vmm's statistics that is used."""
    if cell["stats"] is not None:
        cell["stats"] = {key: cell["stats"].get(key) for key in KEPT}
    if "history: " not in cell["log"]:
        cell["log"] = "\n".join(cell["log"].splitlines()[-40:])
    return cell


class Runner:
    """The groups, their files, and the machines at work."""

    def __init__(self, stage, out, opt, counted):
        self.stage, self.repeat, self.counted = stage, opt.repeat, counted
        self.jobs = opt.jobs if counted else 1  # timed ones would share processors
        self.kept = out / "groups" / ("counted" if counted else "timed")
        self.kept.mkdir(parents=True, exist_ok=True)
        self.digest = stage.digest()
        self.boots, self.stopping = set(), False

    def _key(self, group):
        """Changes with anything that the result depends on."""
        spec = json.dumps([self.repeat, *(cell.spec() for cell in group.cells)], sort_keys=True)
        return hashlib.sha256((self.digest + spec).encode()).hexdigest()

    def _path(self, group):
        return self.kept / f"{group.name}.json"

    def load(self, group):
        """What was kept of the group, if it is whole and still true; else None."""
        cells = self.load_any(group)
        return cells if cells and all(cell["status"] == 0 for cell in cells) else None

    def _run_group(self, group, progress):
        for _ in range(TRIES):
            cells = self._boot(group, progress)
            if self.stopping:
                return
            if all(cell["status"] is not None for cell in cells):
                break
            progress.again(group, cells)
        write_whole(self._path(group), json.dumps({"key": self._key(group), "cells": cells}))

    def _boot(self, group, progress):
        if self.stopping:
            return []
        boot = Boot(self.stage, group, self.counted, self.repeat)
        self.boots.add(boot)
        try:
            return [slim(cell) for cell in boot.run(lambda: progress.run(group))]
        finally:
            self.boots.discard(boot)

    def run(self, groups):
        """Runs what is missing. Raises KeyboardInterrupt when it was stopped, after the machines
        have ended. What failed is told by its results, and run again at the next call."""
        todo = [group for group in groups if self.load(group) is None]
        there = len(groups) - len(todo)
        if there:
            print(f"{there} of {len(groups)} groups are there already", file=sys.stderr)
        progress = Progress(todo, there, self.repeat)
        with ThreadPoolExecutor(self.jobs) as pool:
            pending = {pool.submit(self._run_group, group, progress) for group in todo}
            try:
                self._attend(pending)
            except BaseException:
                self._stop()
                raise
        progress.end()

    @staticmethod
    def _attend(pending):
        while pending:
            done, pending = wait(pending, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def _stop(self):
        self.stopping = True
        for boot in list(self.boots):
            boot.stop(signal.SIGTERM)

    def results(self, groups):
        """(group, cells) of all that are there."""
        found = ((group, self.load_any(group)) for group in groups)
        return [(group, cells) for group, cells in found if cells is not None]

    def load_any(self, group):
        """As load(), with cells that failed."""
        try:
            result = json.loads(self._path(group).read_text())
            cells = result["cells"] if result["key"] == self._key(group) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none, not whole, or not ours
        return cells
