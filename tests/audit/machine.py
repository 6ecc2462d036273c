# SPDX-License-Identifier: MIT
"""A machine that never ran: memory of a few frames with page tables in it, as a raw image, as an ELF
core with QEMU's notes, and as QEMU's monitor tells of it. What it has is one kernel half, two roots,
a direct map, an image, and a process; tests plant what is to be found."""
import struct
import zlib

P, RW, US, PWT, PCD, A, D, PS, NX = 1, 2, 4, 8, 16, 32, 64, 128, 1 << 63
FRAME = 4096
DIRECT = 0xffff888000000000
DIRECT5 = 0xff11000000000000
VMALLOC = 0xffffc90000000000
IMAGE = 0xffffffff81000000
HIGH = 0x40000000  # gpa of the second range, which 1 GiB leaves map

# Frames.
ROOT, ROOT2, USER_L1, EXTRA_L1 = 0x10, 0x12, 0x22, 0x300
HIGH_L1 = HIGH >> 12
DATA, TEXT, OTHER = 0x100, 0x101, 0x102


def flatten(core):
    """The same in pieces, the last one first."""
    pieces = [(at, core[at:at + 5000]) for at in range(0, len(core), 5000)]
    out = b'makedumpfile\0\0\0\0' + struct.pack('>QQ', 1, 1) + bytes(FRAME - 32)
    for at, piece in reversed(pieces):
        out += struct.pack('>QQ', at, len(piece)) + piece
    return out + b'\xff' * 16


class Machine:
    def __init__(self, levels=4, image=IMAGE):
        self.levels = levels
        self.ranges = [(0, 4 << 20), (HIGH, 64 << 10)]
        self.memory = {}  # pfn -> 512 entries
        self.next_table = 0x40
        self.direct = DIRECT5 if levels == 5 else DIRECT
        self.cr3s = [ROOT << 12]
        for gpa in (0, 2 << 20):
            self.map(ROOT, self.direct + gpa, gpa, RW | NX, 2)
        self.map(ROOT, self.direct + HIGH, HIGH, RW | NX, 3)
        self.map(ROOT, image, 0, NX, 2)  # read-only
        self.map(ROOT, VMALLOC, DATA << 12, RW | NX)  # so that the half has all its entries
        for i in range(256, 512):
            self.table(ROOT2)[i] = self.table(ROOT)[i]
        self.next_table = 0x80
        self.process(ROOT2, 0x400000, TEXT, US, [USER_L1])
        self.process(ROOT2, 0x401000, DATA, US | RW | NX)
        self.process(ROOT2, 0x600000, OTHER, US | RW | NX, [EXTRA_L1])
        self.process(ROOT2, 0x800000, OTHER, US | RW | NX, [HIGH_L1])

    def table(self, pfn):
        return self.memory.setdefault(pfn, [0] * 512)

    def new_table(self):
        self.next_table += 1
        return self.next_table - 1

    def process(self, root, va, pfn, rights, tables=None):
        self.map(root, va, pfn << 12, rights, 1, tables)

    def map(self, root, va, gpa, rights, leaf=1, tables=None):
        """Maps it by a leaf of this level; `tables` are the frames of new tables, the lowest first."""
        tables = list(tables or [])
        table = self.table(root)
        for level in range(self.levels, leaf, -1):
            i = va >> (12 + 9 * (level - 1)) & 511
            if not table[i] & P:
                below = tables.pop() if level == leaf + 1 and tables else self.new_table()
                table[i] = below << 12 | P | RW | A | (US if va < 1 << 63 else 0)
            table = self.table(table[i] >> 12 & (1 << 40) - 1)
        i = va >> (12 + 9 * (leaf - 1)) & 511
        table[i] = gpa | rights | P | A | D | (PS if leaf > 1 else 0)

    def image(self, ranges=None):
        """All of memory in one piece, for a file: the ranges one after the other."""
        out = b''
        for gpa, size in ranges or self.ranges:
            part = bytearray(size)
            for pfn, entries in self.memory.items():
                if gpa <= pfn << 12 < gpa + size:
                    at = (pfn << 12) - gpa
                    part[at:at + FRAME] = struct.pack('<512Q', *entries)
            out += bytes(part)
        return out

    def cr4(self):
        return 0x20 | (0x1000 if self.levels == 5 else 0)

    def note(self, cr3):
        state = bytearray(440)
        struct.pack_into('<II', state, 0, 1, 440)
        struct.pack_into('<5Q', state, 392, 0x80050033, 0, 0, cr3, self.cr4())
        return struct.pack('<III', 5, 440, 0) + b'QEMU\0\0\0\0' + bytes(state)

    def prstatus(self):
        return struct.pack('<III', 5, 336, 1) + b'CORE\0\0\0\0' + bytes(336)

    def vmcoreinfo(self):
        """Of a kernel whose image's first 2 MiB are at 0, as its root is."""
        text = 'OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(swapper_pg_dir)=%x\nSYMBOL(_stext)=%x\n' \
               'NUMBER(phys_base)=-16777216\nNUMBER(pgtable_l5_enabled)=%d\n' % \
               (IMAGE + (ROOT << 12), IMAGE, self.levels == 5)
        text = text.encode() + b'\0' * (-len(text) % 4)
        return struct.pack('<III', 11, len(text), 0) + b'VMCOREINFO\0\0' + text

    def core_headers(self, notes=True, vmcoreinfo=False, ranges=None):
        ranges = ranges or self.ranges
        note = self.prstatus() * len(self.cr3s)
        if notes:
            note += b''.join(self.note(cr3) for cr3 in self.cr3s)
        if vmcoreinfo:
            note += self.vmcoreinfo()
        nr = 1 + len(ranges)
        header = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 4, 62, 1, 0, 64, 0, 0, 64, 56, nr, 0, 0, 0)
        at = 64 + 56 * nr
        phdrs = struct.pack('<IIQQQQQQ', 4, 0, at, 0, 0, len(note), len(note), 0)
        at += len(note)
        for gpa, size in ranges:
            phdrs += struct.pack('<IIQQQQQQ', 1, 0, at, 0, gpa, size, size, 0)
            at += size
        return header + phdrs + note

    def core(self, notes=True, vmcoreinfo=False, first=()):
        """`first` are ranges that come before the others, of memory that these have, too."""
        ranges = [*first, *self.ranges]
        return self.core_headers(notes, vmcoreinfo, ranges) + self.image(ranges)

    def write_sparse_core(self, path, size, more=0):
        """Of one range of that size, and more that have one frame each; but for the tables it is a hole of the file."""
        self.ranges = [(0, size)] + [(size + (i << 20), FRAME) for i in range(more)]
        headers = self.core_headers()
        with open(path, 'wb') as file:
            file.write(headers)
            for pfn, entries in self.memory.items():
                file.seek(len(headers) + (pfn << 12))
                file.write(struct.pack('<512Q', *entries))
            file.truncate(len(headers) + size + more * FRAME)

    def compressed(self, more=()):
        """A compressed core as QEMU writes it, with the frames that hold something, and more that hold zeros."""
        frames = sorted({*self.memory, *more})
        end = max([frames[-1] + 1, *(gpa + size >> 12 for gpa, size in self.ranges)])
        blocks = (end // 8 + FRAME) // FRAME  # of one bitmap
        bitmap = bytearray(blocks * FRAME)
        for pfn in frames:
            bitmap[pfn // 8] |= 1 << pfn % 8
        note = b''.join(self.prstatus() + self.note(cr3) for cr3 in self.cr3s)
        header = bytearray(FRAME)
        struct.pack_into('<8si', header, 0, b'KDUMP   ', 6)
        header[0x110:0x116] = b'x86_64'
        struct.pack_into('<IiiiIIIIi', header, 0x1a8, 1, FRAME, 1, 2 * blocks, min(end, 0xffffffff), 0, 0, 0, 1)
        sub = bytearray(FRAME)
        struct.pack_into('<QQ', sub, 48, FRAME + 512, len(note))
        struct.pack_into('<QQQ', sub, 88, 0, end, end)
        sub[512:512 + len(note)] = note
        table, data = bytearray(), bytearray()
        at = FRAME * (2 + 2 * blocks) + 24 * len(frames)
        zeros = zlib.compress(bytes(FRAME))
        for pfn in frames:
            page = zlib.compress(struct.pack('<512Q', *self.memory[pfn])) if pfn in self.memory else zeros
            table += struct.pack('<QIIQ', at + len(data), len(page), 1, 0)
            data += page
        return bytes(header + sub + bitmap + bitmap + table + data)

    def mtree(self):
        """`info mtree -f`, with the carriage returns that the monitor sends."""
        lines = ['FlatView #0', ' AS "I/O", root: io', ' Root memory region: io',
                 '  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan', '', 'FlatView #1',
                 ' AS "memory", root: system', ' AS "cpu-memory-0", root: system',
                 ' Root memory region: system']
        offset = 0
        for gpa, size in self.ranges:
            lines.append('  %016x-%016x (prio 0, ram): the ram%s' %
                         (gpa, gpa + size - 1, ' @%016x' % offset if offset else ''))
            offset += size
        lines.append('  00000000fec00000-00000000fec00fff (prio 0, i/o): ioapic')
        return '\r\n'.join(lines) + '\r\n'

    def registers(self):
        return ''.join('\r\nCPU#%d\r\nRAX=0000000000000000 RBX=0000000000000000\r\n'
                       'CR0=80050033 CR2=0000000000000000 CR3=%016x CR4=%08x\r\nEFER=0000000000000d01\r\n' %
                       (i, cr3, self.cr4()) for i, cr3 in enumerate(self.cr3s))
