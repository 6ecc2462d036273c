# SPDX-License-Identifier: MIT
"""The picture of memory held lazily over time."""
from .gnuplot import COLOURS, block, gnuplot

HISTORY_PARTS = 100
HISTORY_TEXT = """\
Pages that are unmapped but still have PTEs, from the start of a run to its end: within each
hundredth of it the most (shaded) and the mean (line). The scale is logarithmic and the same in all
panels; nothing is drawn where nothing is held. The runs take different numbers of instructions."""


def condensed(samples):
    """[(share of the run in %, most pages in it, mean)]: samples hold until the next."""
    last = samples[-1][0] or 1
    most, area = [0] * HISTORY_PARTS, [0.0] * HISTORY_PARTS
    for (start, pages), (end, _) in zip(samples, samples[1:]):
        at, end = start * HISTORY_PARTS / last, end * HISTORY_PARTS / last
        while at < end:
            part = min(int(at), HISTORY_PARTS - 1)
            upto = min(end, part + 1) if part < HISTORY_PARTS - 1 else end
            most[part] = max(most[part], pages)
            area[part] += pages * (upto - at)
            at = upto
    return [(i * 100 / HISTORY_PARTS, most[i], area[i]) for i in range(HISTORY_PARTS)]


def pale(colour):
    """The same, mixed with white."""
    parts = (int(colour[at:at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{255 - (255 - part) // 4:02x}" for part in parts)


def history_panel(number, found):
    """(data block, plot command) of one strategy."""
    rows = condensed(found["samples"])
    name, end = found["strategy"], found["samples"][-1][0] / 1e6
    colour = COLOURS.get(name, "#000000")
    return block(f"s{number}", [(x, max(most, 0.1), max(mean, 0.1)) for x, most, mean in rows]), (
        f"set title '{name}: at most {max(row[1] for row in rows):,} pages'\n"
        f"set xlabel '% of {end:.0f} M instructions'\n"
        f"plot $s{number} using 1:2 with fillsteps fs solid 1.0 noborder lc rgb '{pale(colour)}' "
        f"notitle, $s{number} using 1:3 with steps lw 2 lc rgb '{colour}' notitle\n")


def draw_history(results, out):
    """Lazily held memory over time: a panel a strategy."""
    histories = [h for h in results["histories"] if len(h["samples"]) > 1]
    if not histories:
        return []
    panels = [history_panel(number, found) for number, found in enumerate(histories)]
    most = max(pages for found in histories for _, pages in found["samples"])
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    body = ("".join(data for data, _ in panels)
            + f"set multiplot layout {rows},{columns} title 'Workload process, "
            f"{histories[0]['cpus']} vCPUs: pages held lazily' font ',15'\n"
            f"set logscale y\nset yrange [0.5:{2 * most}]\nset xrange [0:100]\n"
            "set ylabel 'pages, logarithmic'\nset format y '%g'\n"
            + "".join(plot for _, plot in panels) + "unset multiplot\n")
    gnuplot(body, out / "lazy-memory", f"{330 * columns},{300 * rows + 40}")
    return [("lazy-memory", HISTORY_TEXT)]
