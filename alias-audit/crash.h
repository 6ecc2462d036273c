/* SPDX-License-Identifier: MIT */
/*
 * libkdumpfile crashes on some cores that are corrupt. A crash in it ends the program with a
 * sentence about the core, as an error does that it reports. Crashes elsewhere stay what they are.
 * Signals are the process's, so this is in variables of crash.c. One thread.
 */
#ifndef AUDIT_CRASH_H
#define AUDIT_CRASH_H

/* From now on crashes between crash_begin() and crash_end() print `sentence`, which must stay, and
 * exit with VMM_EX_DATAERR. */
void crash_handle(const char *sentence);
/* Around each call of the library. */
void crash_begin(void);
void crash_end(void);

#endif
