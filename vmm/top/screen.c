/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <langinfo.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include "plain_text.h"
#include "top/show.h"

#define NAME_WIDTH   12
#define NUMBER_WIDTH 12
#define GRAPH_AT     (NAME_WIDTH + 2 * NUMBER_WIDTH + 2)
#define GRAPH_LEVELS 8
#define VCPU_WIDTH   8 /* a terminal of 80 columns has room for all */
#define KEYS         "s next strategy   t next track   p pause   r resume   q quit"

/* What a signal handler needs to restore the terminal: its settings, and what is to be written to
 * it. Read while the screen is `on`. */
static struct termios before;
static char farewell[256];
static size_t farewell_len;
static volatile sig_atomic_t on;

/* A "dumb" terminal is known and can do nothing. */
static bool can_move_cursor(void)
{
	int err;
	const char *cup;

	if (setupterm(NULL, STDOUT_FILENO, &err) != OK)
		return false;
	cup = tigetstr("cup");
	return cup && cup != (const char *)-1;
}

static int add_to_farewell(int byte)
{
	if (farewell_len == sizeof(farewell))
		return ERR;
	farewell[farewell_len++] = (char)byte;
	return byte;
}

static SCREEN *open_screen(void)
{
	/* Without a screen of its own to leave, the line of the cursor is made the shell's. */
	const char *const parts[] = {exit_attribute_mode, cursor_normal, keypad_local,
				     exit_ca_mode ? exit_ca_mode : carriage_return,
				     exit_ca_mode ? NULL : clr_eol};
	SCREEN *screen;

	if (tcgetattr(STDOUT_FILENO, &before) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i])
			tputs(parts[i], 1, add_to_farewell);
	on = 1; /* newterm() changes the terminal */
	screen = newterm(NULL, stdout, stdin);
	on = screen != NULL;
	return screen;
}

bool screen_start(void)
{
	static SCREEN *screen; /* ncurses frees nothing of it anyway */

	if (!screen) {
		if (!can_move_cursor())
			return false;
		screen = open_screen();
		if (!screen)
			return false;
	}
	on = 1;
	cbreak();
	noecho();
	curs_set(0);
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	clearok(stdscr, TRUE);
	return true;
}

/* Where a terminal has no screen of its own for programs, the shell goes on in the last line. */
void screen_stop(void)
{
	move(LINES - 1, 0);
	clrtoeol();
	refresh();
	endwin();
	on = 0;
}

/* A terminal that takes nothing now (Ctrl-S) must not keep the program from ending. */
void screen_restore(void)
{
	struct pollfd room = {.fd = STDOUT_FILENO, .events = POLLOUT};

	if (!on)
		return;
	on = 0;
	tcsetattr(STDOUT_FILENO, TCSANOW, &before);
	if (poll(&room, 1, 0) == 1 && write(STDOUT_FILENO, farewell, farewell_len) < 0)
		return;
}

void screen_resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
	clearok(stdscr, TRUE);
}

int screen_key(void)
{
	int key = getch();

	return key == ERR || key > 127 ? 0 : tolower(key);
}

/* With a sign for thousands, as totals grow long. */
static const char *group_digits(uint64_t number, char text[32])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
	char *to = text;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*to++ = ' ';
		*to++ = digits[i];
	}
	*to = '\0';
	return text;
}

/* Cuts it where the window ends: it never goes on in another line. */
static void __attribute__((format(printf, 3, 4))) show(int y, int x, const char *format, ...)
{
	char text[512];
	va_list args;

	if (x >= COLS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	plain_text(text, strlen(text));
	mvaddnstr(y, x, text, COLS - x);
}

static void show_graph(const struct top_view *view, unsigned figure, int y, int width)
{
	static const char *const blocks[GRAPH_LEVELS + 1] = {" ", "▁", "▂", "▃", "▄",
							     "▅", "▆", "▇", "█"};
	static const char *const plain[GRAPH_LEVELS + 1] = {" ", ".", ":", "-", "=",
							    "+", "*", "#", "@"};
	const char *const *signs = strcmp(nl_langinfo(CODESET), "UTF-8") ? plain : blocks;
	unsigned nr = view->nr < TOP_HISTORY ? view->nr : TOP_HISTORY;
	double most = 0;

	if (width <= 0)
		return;
	if (nr > (unsigned)width)
		nr = (unsigned)width;
	for (unsigned i = view->nr - nr; i < view->nr; i++)
		if (view->history[figure][i % TOP_HISTORY] > most)
			most = view->history[figure][i % TOP_HISTORY];
	move(y, GRAPH_AT);
	for (unsigned i = view->nr - nr; i < view->nr; i++) {
		double value = view->history[figure][i % TOP_HISTORY];
		int level = most > 0 ? (int)(value / most * GRAPH_LEVELS) : 0;

		addstr(signs[level == 0 && value > 0 ? 1 : level]);
	}
}

static void show_figure(const struct top_view *view, unsigned figure, int y)
{
	char total[32];

	show(y, 0, "%s", top_figure_name(figure));
	if (figure < TOP_NR_COUNTERS)
		show(y, NAME_WIDTH, "%*.0f", NUMBER_WIDTH, top_rate(view, figure));
	show(y, NAME_WIDTH + NUMBER_WIDTH, "%*s", NUMBER_WIDTH,
	     group_digits(view->now.figures[figure], total));
	show_graph(view, figure, y, COLS - GRAPH_AT);
}

static void show_head(const struct top_sample *now, const char *path)
{
	bool pins = *now->strategy;

	attron(A_BOLD);
	show(0, 0, "vmm top %s  %s%.1f s, %u vCPU%s%s%s%s%s", path, now->paused ? "PAUSED " : "",
	     now->seconds, now->nr_vcpus, now->nr_vcpus == 1 ? "" : "s", pins ? ", strategy " : "",
	     now->strategy, pins ? ", track " : "", pins ? now->track : "");
	attroff(A_BOLD);
	show(1, NAME_WIDTH, "%*s%*s", NUMBER_WIDTH, "a second", NUMBER_WIDTH, "in all");
}

static int vcpu_figure_at(unsigned figure)
{
	return NAME_WIDTH + (int)figure * VCPU_WIDTH;
}

/* As many vCPUs as there is room for above the line `end`. */
static void show_vcpus(const struct top_view *view, int y, int end)
{
	const struct top_sample *now = &view->now;
	unsigned room = end - y > 1 ? (unsigned)(end - y - 1) : 0;
	unsigned shown = now->nr_vcpus <= room ? now->nr_vcpus : room ? room - 1 : 0;

	if (!room)
		return;
	show(y, 0, "a second:");
	for (unsigned i = 0; i < TOP_NR_VCPU_FIGURES; i++)
		show(y, vcpu_figure_at(i), "%*s", VCPU_WIDTH, top_vcpu_figure_name(i));
	y++;
	for (unsigned v = 0; v < shown; v++, y++) {
		show(y, 0, "vCPU %u", v);
		for (unsigned i = 0; i < TOP_NR_VCPU_FIGURES; i++)
			show(y, vcpu_figure_at(i), "%*.0f", VCPU_WIDTH, top_vcpu_rate(view, v, i));
	}
	if (shown < now->nr_vcpus)
		show(y, 0, "and %u more", now->nr_vcpus - shown);
}

/* Above the line `end`. */
static void show_sample(const struct top_view *view, const char *path, int end)
{
	bool pins = *view->now.strategy;
	int y = 2;

	show_head(&view->now, path);
	for (unsigned i = 0; i < TOP_NR_FIGURES; i++) {
		if (!pins && i != TOP_EXITS)
			continue;
		if (i == TOP_NR_COUNTERS)
			y++;
		if (y < end)
			show_figure(view, i, y++);
	}
	show_vcpus(view, y + 1, end);
}

void screen_show(const struct top_view *view, const char *path, const char *message)
{
	erase();
	if (view->nr)
		show_sample(view, path, LINES - 2);
	else
		show(0, 0, "vmm top %s", path);
	show(LINES - 2, 0, "%s", message);
	attron(A_REVERSE);
	mvaddnstr(LINES - 1, 0, KEYS, COLS - 1);
	attroff(A_REVERSE);
	refresh();
}
