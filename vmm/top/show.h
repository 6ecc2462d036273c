/* SPDX-License-Identifier: MIT */
/* The two ways in which vmm top shows its figures: on a terminal's screen, and as plain lines. */
#ifndef VMM_TOP_SHOW_H
#define VMM_TOP_SHOW_H

#include <stdbool.h>
#include "top/sample.h"

/* The screen, by ncurses: a process has one. screen_start() returns false, and has changed nothing,
 * if the terminal can't do what is needed. screen_stop() restores the terminal; screen_start()
 * takes it again. */
bool screen_start(void);
void screen_stop(void);
/* Restores the terminal if the screen is on. Safe in signal handlers. */
void screen_restore(void);
/* The terminal has another size now. */
void screen_resize(void);
/* Shows figures, as soon as there are some, with what they are of, and a message ("" for none)
 * below. */
void screen_show(const struct top_view *view, const char *path, const char *message);
/* Returns the next key that was typed, in lower case; 0 if there is none. */
int screen_key(void);

/* Prints a line, the first time below headings. */
void line_print(const struct top_view *view);

#endif
