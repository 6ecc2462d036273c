# SPDX-License-Identifier: MIT
"""A Linux in QEMU, by emulation: its kernel and an initramfs of busybox, to which a folder `extra` of files
is added. A shell on its console does what it is told."""
import json
import os
import select
import shutil
import socket
import subprocess
import time

# What QEMU emulates a byte at a time; without it code takes words.
SLOW_OFF = ',erms=off,fsrm=off'

DRIVER = """#!/bin/sh
stty -echo 2>/dev/null
dmesg -n 1
mount -t debugfs none /sys/kernel/debug 2>/dev/null
echo 1 >/proc/sys/kernel/kptr_restrict
echo "DRIVER READY"
while read -r line; do
	eval "$line" </dev/null
	echo "DRIVER END $?"
done
"""


class Linux:
    def __init__(self, folder, kernel, initramfs, extra=(), append='', memory='512M', cpus=1, cpu='max,la57=off',
                 log=None):
        self.folder, self.log = folder, log
        self.qmp_path, self.memory_path = folder + '/qmp', folder + '/memory'
        initrd = self.build_initrd(initramfs, extra)
        self.process = subprocess.Popen(
            ['qemu-system-x86_64', '-M', 'q35', '-accel', 'tcg', '-cpu', cpu + SLOW_OFF, '-m', memory, '-smp', str(cpus),
             '-display', 'none', '-nic', 'none', '-no-reboot', '-kernel', kernel, '-initrd', initrd,
             '-append', 'console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable cmd="exec sh /driver" ' + append,
             '-object', 'memory-backend-file,id=ram,size=%s,mem-path=%s,share=on' % (memory, self.memory_path),
             '-machine', 'memory-backend=ram', '-device', 'vmcoreinfo',
             '-qmp', 'unix:%s,server=on,wait=off' % self.qmp_path, '-serial', 'stdio', '-monitor', 'none'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = b''

    def build_initrd(self, initramfs, extra):
        """Archives that follow one another are one to the kernel."""
        root = self.folder + '/extra'
        os.makedirs(root)
        for file in extra:
            shutil.copy(file, root)
        with open(root + '/driver', 'w') as file:
            file.write(DRIVER)
        os.chmod(root + '/driver', 0o755)
        archive = subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet', '-R', '+0:+0'], cwd=root, check=True,
                                 input='\n'.join(os.listdir(root)).encode(), stdout=subprocess.PIPE).stdout
        path = self.folder + '/initrd'
        with open(path, 'wb') as out, open(initramfs, 'rb') as first:
            out.write(first.read())
            out.write(b'\0' * (-out.tell() % 4))
            out.write(archive)
        return path

    def wait_for(self, what, seconds=300):
        """Returns what the console says up to this text, and without it."""
        end = time.monotonic() + seconds
        while what not in self.text:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError('no %r, but %r' % (what, self.text[-500:]))
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise EOFError('QEMU has ended: %r' % self.text[-500:])
            if self.log:
                self.log.write(more)
            self.text += more
        said, self.text = self.text.split(what, 1)
        return said.decode(errors='replace').replace('\r', '')

    def ready(self):
        self.wait_for(b'DRIVER READY')
        self.wait_for(b'\n')

    def do(self, command, seconds=300):
        """Has the shell do it. Returns what it prints."""
        self.process.stdin.write(command.encode() + b'\n')
        self.process.stdin.flush()
        said = self.wait_for(b'DRIVER END', seconds)
        self.wait_for(b'\n')
        return said

    def qmp(self, command, **arguments):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.qmp_path)
        lines = connection.makefile('rw')
        lines.readline()
        for name, args in (('qmp_capabilities', {}), (command, arguments)):
            lines.write(json.dumps({'execute': name, 'arguments': args}) + '\n')
            lines.flush()
            while True:
                answer = json.loads(lines.readline())
                if 'return' in answer or 'error' in answer:
                    break
        connection.close()
        return answer

    def dump(self, path, **options):
        """QEMU makes the file without a right to write, and so can't write over an older one."""
        if os.path.exists(path):
            os.unlink(path)
        answer = self.qmp('dump-guest-memory', paging=False, protocol='file:' + path, **options)
        if 'error' in answer:
            raise OSError(answer['error']['desc'])

    def runs(self):
        return self.qmp('query-status')['return']['running']

    def end(self):
        self.process.kill()
        self.process.wait()
