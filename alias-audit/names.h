/* SPDX-License-Identifier: MIT */
/* Names of the kernel's addresses: from System.map, the guest's /proc/kallsyms, or VMCOREINFO,
 * which has few. */
#ifndef AUDIT_NAMES_H
#define AUDIT_NAMES_H

#include <stddef.h>
#include <stdint.h>
#include "notes.h"
#include "windows.h"

struct names;

/* Returns NULL after a message, with the kind of failure in *error: -ENOENT: the file can't be
 * read; -EINVAL: it has no names; or -ENOMEM. */
struct names *names_read(const char *path, int *error);
/* The same for names in memory, without a message. Returns NULL if there are none, and when out of
 * memory. */
struct names *names_parse(const char *text, size_t size);
void names_free(struct names *names);

/* Finds out by where the image is how far KASLR has moved it from where the names are; what is in
 * doubt is noted. Without this no address has a name. */
void names_place(struct names *names, const struct windows *windows, struct notes *notes);
/* Writes "init_top_pgt" or "__end_rodata+0x3000", or nothing if the address has no name. `names`
 * may be NULL. Returns `to`. */
const char *names_of(const struct names *names, uint64_t va, char *to, size_t size);

#endif
