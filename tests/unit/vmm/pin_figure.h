/* SPDX-License-Identifier: MIT */
/* Figures of pins as their statistics have them. */
#ifndef PIN_FIGURE_H
#define PIN_FIGURE_H

#include <stdint.h>

struct pin;

/* By its path, "pins.violations"; fails the test if there is none. No other thread is in pin_*().
 */
int64_t pin_figure(struct pin *pin, const char *path);

#endif
