# SPDX-License-Identifier: MIT
"""What all pictures share: gnuplot, which draws each as SVG and as PNG, and the colours."""
import subprocess

from .machine import Failure

# One colour a strategy, told apart by those who see red and green alike too.
COLOURS = {"none": "#999999", "legacy": "#882255", "eager": "#d55e00", "eager/host": "#7a3e00",
           "nolazy": "#cc79a7",
           "eager-pte": "#e69f00", "quicklist": "#009e73", "page-bit": "#56b4e9",
           "trap": "#0072b2", "trap-range": "#111111"}

HEAD = """\
set encoding utf8
set datafile missing "?"
set border 3 lc rgb "#444444"
set tics nomirror textcolor rgb "#222222"
set grid ytics lc rgb "#dddddd" lt 1
set key textcolor rgb "#222222"
"""


def gnuplot(body, path, size):
    """One picture at `path`, without its ending, in both formats."""
    svg = f"svg size {size} dynamic font 'sans-serif,13' background rgb 'white'"
    for terminal, ending in ((svg, "svg"), (f"pngcairo size {size} font 'sans,11'", "png")):
        head = f"set terminal {terminal}\nset output '{path}.{ending}'\n{HEAD}"
        run = subprocess.run(["gnuplot", "-"], input=head + body, text=True, capture_output=True,
                             check=False)
        if run.returncode or "warning" in run.stderr:
            raise Failure(f"gnuplot: {path.name}: {run.stderr.strip()}")


def block(name, rows):
    """A data block."""
    lines = "\n".join(" ".join("?" if v is None else str(v) for v in row) for row in rows)
    return f"${name} << EOD\n{lines}\nEOD\n"
