#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""naive.py CORE REPORT.json: walks all page tables of an ELF core once more, as simply as can be, and says
where the report is wrong about them. It shares nothing with alias-audit but the core, and takes from
the report only where the direct map is."""
import json
import struct
import sys

P, RW, US, PS, NX = 1, 2, 4, 128, 1 << 63
ADDR = 0x000ffffffffff000
FRAME = 4096


class Core:
    def __init__(self, path):
        self.data = open(path, 'rb').read()
        offset, nr = struct.unpack_from('<Q', self.data, 32)[0], struct.unpack_from('<H', self.data, 56)[0]
        self.loads, self.cr3s, self.levels = [], [], 4
        for i in range(nr):
            kind, _, at, _, gpa, size, _, _ = struct.unpack_from('<IIQQQQQQ', self.data, offset + 56 * i)
            if kind == 1:
                self.loads.append((gpa, size, at))
            elif kind == 4:
                self.notes(self.data[at:at + size])

    def notes(self, notes):
        at = 0
        while at + 12 <= len(notes):
            name, desc, _ = struct.unpack_from('<III', notes, at)
            start = at + 12 + (name + 3 & ~3)
            if notes[at + 12:at + 16] == b'QEMU':
                cr = struct.unpack_from('<5Q', notes, start + 392)
                self.cr3s.append(cr[3] & ADDR)
                self.levels = 5 if cr[4] & 0x1000 else 4
            at = start + (desc + 3 & ~3)

    def place(self, gpa):
        for start, size, at in self.loads:
            if start <= gpa and gpa + FRAME <= start + size:
                return at + gpa - start
        return None

    def table(self, pfn):
        at = self.place(pfn << 12)
        return None if at is None else struct.unpack_from('<512Q', self.data, at)

    def frames(self):
        for start, size, at in self.loads:
            for i in range(0, size - FRAME + 1, FRAME):
                yield start + i >> 12, at + i


def half(entries):
    return tuple(e & (ADDR | P) if e & P else 0 for e in entries[256:])


def halves(core):
    """The upper halves of the roots in CR3; with PTI also of the frame beside."""
    known = {}
    for cr3 in core.cr3s:
        one = core.table(cr3 >> 12)
        known[half(one)] = True
        other = core.table(cr3 >> 12 ^ 1)
        if other and [e & (ADDR | P) for e in one[:256]] == [e & (ADDR | P) for e in other[:256]] and \
           any(half(other)) and sum(map(bool, half(other))) != sum(map(bool, half(one))) and \
           all(not e or core.place(e & ADDR) is not None for e in half(other)):
            known[half(other)] = True
    return known


def roots(core):
    known = halves(core)
    # The last eight bytes of each, as a filter.
    last = set()
    for h in known:
        i = max(i for i in range(256) if h[i])
        last.add((i, h[i]))
    for pfn, at in core.frames():
        for i, value in last:
            if struct.unpack_from('<Q', core.data, at + 8 * (256 + i))[0] & (ADDR | P) == value:
                entries = struct.unpack_from('<512Q', core.data, at)
                if half(entries) in known:
                    yield pfn, entries
                    break


def maps_low(entries):
    """Has it kernel mappings of low addresses? Such roots are told apart."""
    upper = {e & ADDR for e in entries[256:] if e & P}
    return any(e & P and (not e & US or e & ADDR in upper) for e in entries[:256])


def canonical(va, levels):
    bits = 12 + 9 * levels
    va &= (1 << bits) - 1
    return va | (~((1 << bits) - 1) & (1 << 64) - 1 if va >> bits - 1 else 0)


class Walk:
    def __init__(self, core):
        self.core, self.seen = core, set()
        self.tables = {}  # pfn -> levels
        self.leaves = []  # (va, gpa, level, pte_gpa, writable, user, executable)

    def table(self, pfn, level, va, rights):
        if (pfn, level, va, rights) in self.seen:
            return
        self.seen.add((pfn, level, va, rights))
        entries = self.core.table(pfn)
        if entries is None:
            return
        self.tables.setdefault(pfn, set()).add(level)
        shift = 12 + 9 * (level - 1)
        for i, e in enumerate(entries):
            if not e & P:
                continue
            at = canonical(va + (i << shift), self.core.levels)
            below = (rights & e & (RW | US)) | ((rights | e) & NX)
            if level == 1 or e & PS and level <= 3:
                gpa = e & ADDR & ~((1 << shift) - 1)
                self.leaves.append((at, gpa, level, (pfn << 12) + 8 * i, bool(below & RW), bool(below & US),
                                    not below & NX))
            elif not e & PS:
                self.table((e & ADDR) >> 12, level - 1, at, below)


def aliases(walk, direct):
    """Of each table the writable leaves that map it anywhere else than in the direct map."""
    found = {}
    pfns = sorted(walk.tables)
    for va, gpa, level, pte_gpa, writable, user, _ in walk.leaves:
        if not writable or direct and 0 <= va - direct['base'] < direct['size'] and va - direct['base'] == gpa:
            continue
        first, nr = gpa >> 12, 512 ** (level - 1)
        inside = [first] if nr == 1 and first in walk.tables else \
            [] if nr == 1 else [p for p in pfns if first <= p < first + nr]
        for pfn in inside:
            found.setdefault(pfn, {}).setdefault((pte_gpa, level), set()).add(va + (pfn - first << 12))
    return found


def pairs(walk, direct):
    """Of frames that 4 KiB leaves map executable, by user or not: at which addresses they are that, and writable
    outside of the direct map."""
    executable = {gpa >> 12 for _, gpa, level, _, _, _, x in walk.leaves if x and level == 1}
    found = {}
    for va, gpa, level, pte_gpa, writable, user, x in walk.leaves:
        if not x and not writable or direct and 0 <= va - direct['base'] < direct['size'] and va - direct['base'] == gpa:
            continue
        first, nr = gpa >> 12, 512 ** (level - 1)
        for pfn in [first] if nr == 1 else [p for p in executable if first <= p < first + nr]:
            if pfn in executable:
                of = found.setdefault(pfn, {'x': {}, 'w': {}, 'leaves': set()})
                at = va + (pfn - first << 12)
                if x:
                    of['x'].setdefault(user, set()).add(at)
                if writable:
                    of['w'].setdefault(user, set()).add(at)
                    of['leaves'].add((pte_gpa, level))
    return found


def compare_told(core, there, report):
    """Each frame of memory that is executable by a 4 KiB leaf, and writable outside of the direct map, is told; and
    none that is not."""
    found = [f for f in report['findings'] if f['kind'] == 'wx']
    told = {int(f['pfn'], 16) + i for f in found for i in range(f['frames'])}
    if not any(doubt.startswith('there are more than') for doubt in report['doubts']):
        for pfn in sorted(set(there) - told):
            if there[pfn]['leaves'] and core.place(pfn << 12) is not None:
                yield 'frame 0x%x is executable and writable, which is not told' % pfn
    for f in found:
        of = there.get(int(f['pfn'], 16))
        if f['at'][0]['level'] == 1 and not (of and of['x']):
            yield 'frame %s is not executable' % f['pfn']
        elif f['at'][0]['level'] == 1 and f['at'][1]['place'] != 'direct-map' and not of['leaves']:
            yield 'frame %s is not writable' % f['pfn']


def compare_pairs(core, walk, direct, report):
    """Pairs are of two mappings of users or of two of the kernel, where there are such; and how many they are."""
    there = pairs(walk, direct)
    yield from compare_told(core, there, report)
    for f in report['findings']:
        of = there.get(int(f['pfn'], 16))
        if f['kind'] != 'wx' or f['frames'] != 1 or not of or not of['leaves']:
            continue
        one, other = f['at']
        if int(one['va'], 16) not in of['x'].get(one['user'], ()):
            yield 'frame %s is not executable at %s' % (f['pfn'], one['va'])
        if int(other['va'], 16) not in of['w'].get(other['user'], ()):
            yield 'frame %s is not writable at %s' % (f['pfn'], other['va'])
        if one['user'] != other['user'] and set(of['x']) & set(of['w']):
            yield 'frame %s is told at %s and %s, not by two of the same rights' % (f['pfn'], one['va'], other['va'])
        nr = len(of['leaves'] | {(int(one['pte_gpa'], 16), one['level'])})
        if f['mappings'] != nr:
            yield 'frame %s: %d mappings, and there are %d' % (f['pfn'], f['mappings'], nr)


def compare(core, report):
    wrong = []
    looked = report['looked_at']
    direct = looked['direct_map'] and {k: int(v, 16) for k, v in looked['direct_map'].items()}
    walk = Walk(core)
    for pfn, entries in roots(core):
        if not maps_low(entries):
            walk.table(pfn, core.levels, 0, RW | US)
    if looked['tables'] != len(walk.tables):
        wrong.append('%d tables, and there are %d' % (looked['tables'], len(walk.tables)))
    for level in range(1, core.levels + 1):
        nr = sum(level in levels for levels in walk.tables.values())
        if looked['tables_by_level'][level - 1] != nr:
            wrong.append('%d tables at level %d, and there are %d' %
                         (looked['tables_by_level'][level - 1], level, nr))
    there = aliases(walk, direct)
    told = {int(f['pfn'], 16): f for f in report['findings'] if f['kind'] == 'table'}
    for pfn in sorted(set(there) | set(told)):
        if pfn not in told:
            wrong.append('table 0x%x has aliases at %s, which are not told' % (pfn, there[pfn]))
        elif pfn not in there:
            wrong.append('table 0x%x has no alias' % pfn)
        elif told[pfn]['mappings'] != len(there[pfn]):
            wrong.append('table 0x%x: %d aliases, and there are %d' %
                         (pfn, told[pfn]['mappings'], len(there[pfn])))
        else:
            for at in told[pfn]['at']:
                where = there[pfn].get((int(at['pte_gpa'], 16), at['level']), ())
                if int(at['va'], 16) not in where:
                    wrong.append('table 0x%x is not mapped at %s' % (pfn, at['va']))
    wrong += compare_pairs(core, walk, direct, report)
    return wrong, len(walk.tables), len(there)


def main():
    wrong, tables, aliased = compare(Core(sys.argv[1]), json.load(open(sys.argv[2])))
    for line in wrong[:20]:
        print(line)
    print('%d tables, %d with aliases, %d differences' % (tables, aliased, len(wrong)))
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
