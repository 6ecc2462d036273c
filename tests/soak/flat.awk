# SPDX-License-Identifier: MIT
# Is memory flat? Samples are lines "SECONDS PINS HEAP TRACKER TABLES VMM GUEST": bytes that vmm has
# allocated, those of them that are the tracker's, the page tables that it follows, and the KiB resident
# of vmm's own and of the guest's memory. `all` is how many pins there are to be.
#
# How many page tables are alive, and so what goes with them, changes all the time. So the first half of
# the samples says, by least squares, what so many tables come to. What is lost is never given back: it
# is what the second half has above that, on average. Besides what the tracker says that it holds that is
# at most 4 KiB: of ten million pins, one byte lost in a thousand shows. Of the tracker's own, whose tables
# differ in what they hold, it is at most a tenth. What is resident is more than what is allocated, as
# malloc() keeps what it once had, in pieces: the most of the second half is at most 10 % and 256 KiB (of
# the guest's, a large page) above the most of the first. The first tenth of the pins does not count, as
# programs are touched for the first time then.

# What list[] has on average in the second half above what the first says of so many tables.
function excess(list,   i, x, y, xx, xy, slope, above) {
	for (i = 1; i <= half; i++) {
		x += tables[i] / half
		y += list[i] / half
	}
	for (i = 1; i <= half; i++) {
		xx += (tables[i] - x) * (tables[i] - x)
		xy += (tables[i] - x) * (list[i] - y)
	}
	slope = xx ? xy / xx : 0
	for (i = half + 1; i <= n; i++)
		above += (list[i] - y - slope * (tables[i] - x)) / (n - half)
	return above
}

function most(list, from, to,   i, found) {
	for (i = from; i <= to; i++)
		if (list[i] > found)
			found = list[i]
	return found
}

function grown(what, list, slack,   before, after) {
	before = most(list, 1, half)
	after = most(list, half + 1, n)
	printf "%s %d and %d KiB, ", what, before, after
	return after > before * 1.1 + slack
}

$2 >= all / 10 {
	tables[++n] = $5
	tracker[n] = $4
	rest[n] = $3 - $4
	vmm[n] = $6
	guest[n] = $7
	sum += $4
}

END {
	half = int(n / 2)
	if (n < 10) {
		printf "only %d samples", n
		exit 1
	}
	lost = excess(rest)
	more = excess(tracker)
	printf "for as many tables the tracker had %d bytes more in the second half than in the first, of %d; " \
		"besides %d more; at most resident in the first and in the second: ", more, sum / n, lost
	bad = lost > 4096 || more > sum / n / 10
	bad += grown("vmm", vmm, 256)
	bad += grown("guest", guest, 2048)
	printf "%d samples", n
	exit bad > 0
}
