/* SPDX-License-Identifier: MIT */
#include "gdb/registers.h"

#include <stdio.h>
#include <string.h>
#include "text_stream.h"

enum kind {
	GENERAL,  /* of `size` bytes at `offset`, to be set as well */
	SHOWN,    /* the same, and not to be set */
	SELECTOR, /* 16 bits there, 32 for GDB */
	TAGS,     /* the FPU's tag word, from the abridged one of FXSAVE */
	ZERO,     /* KVM does not tell */
};

struct reg {
	const char *feature; /* where one begins */
	const char *name, *type;
	uint8_t size; /* bytes, for GDB */
	enum kind kind;
	size_t offset; /* into struct gdb_registers */
};

#define AT(member) offsetof(struct gdb_registers, member)
#define REG(name)                                                                                  \
	{                                                                                          \
		NULL, #name, "int64", 8, GENERAL, AT(regs.name)                                    \
	}
#define SEG(name)                                                                                  \
	{                                                                                          \
		NULL, #name, "int32", 4, SELECTOR, AT(sregs.name.selector)                         \
	}
#define ST(n)                                                                                      \
	{                                                                                          \
		NULL, "st" #n, "i387_ext", 10, GENERAL, AT(fpu.fpr[n])                             \
	}
#define XMM(n)                                                                                     \
	{                                                                                          \
		NULL, "xmm" #n, "vec128", 16, GENERAL, AT(fpu.xmm[n])                              \
	}
#define CONTROL(name)                                                                              \
	{                                                                                          \
		NULL, #name, "int64", 8, SHOWN, AT(sregs.name)                                     \
	}

static const struct reg table[] = {
	{"org.gnu.gdb.i386.core", "rax", "int64", 8, GENERAL, AT(regs.rax)},
	REG(rbx),
	REG(rcx),
	REG(rdx),
	REG(rsi),
	REG(rdi),
	{NULL, "rbp", "data_ptr", 8, GENERAL, AT(regs.rbp)},
	{NULL, "rsp", "data_ptr", 8, GENERAL, AT(regs.rsp)},
	REG(r8),
	REG(r9),
	REG(r10),
	REG(r11),
	REG(r12),
	REG(r13),
	REG(r14),
	REG(r15),
	{NULL, "rip", "code_ptr", 8, GENERAL, AT(regs.rip)},
	{NULL, "eflags", "i386_eflags", 4, GENERAL, AT(regs.rflags)},
	SEG(cs),
	SEG(ss),
	SEG(ds),
	SEG(es),
	SEG(fs),
	SEG(gs),
	ST(0),
	ST(1),
	ST(2),
	ST(3),
	ST(4),
	ST(5),
	ST(6),
	ST(7),
	{NULL, "fctrl", "int", 4, SELECTOR, AT(fpu.fcw)},
	{NULL, "fstat", "int", 4, SELECTOR, AT(fpu.fsw)},
	{NULL, "ftag", "int", 4, TAGS, AT(fpu.ftwx)},
	{NULL, "fiseg", "int", 4, ZERO, 0},
	{NULL, "fioff", "int", 4, SHOWN, AT(fpu.last_ip)},
	{NULL, "foseg", "int", 4, ZERO, 0},
	{NULL, "fooff", "int", 4, SHOWN, AT(fpu.last_dp)},
	{NULL, "fop", "int", 4, SELECTOR, AT(fpu.last_opcode)},
	{"org.gnu.gdb.i386.sse", "xmm0", "vec128", 16, GENERAL, AT(fpu.xmm[0])},
	XMM(1),
	XMM(2),
	XMM(3),
	XMM(4),
	XMM(5),
	XMM(6),
	XMM(7),
	XMM(8),
	XMM(9),
	XMM(10),
	XMM(11),
	XMM(12),
	XMM(13),
	XMM(14),
	XMM(15),
	{NULL, "mxcsr", "i386_mxcsr", 4, GENERAL, AT(fpu.mxcsr)},
	{"org.gnu.gdb.i386.segments", "fs_base", "int64", 8, SHOWN, AT(sregs.fs.base)},
	{NULL, "gs_base", "int64", 8, SHOWN, AT(sregs.gs.base)},
	{"vmm.control", "cr0", "int64", 8, SHOWN, AT(sregs.cr0)},
	CONTROL(cr2),
	CONTROL(cr3),
	CONTROL(cr4),
	CONTROL(cr8),
	CONTROL(efer),
};

#define NR_REGISTERS (sizeof(table) / sizeof(table[0]))

unsigned gdb_nr_registers(void)
{
	return NR_REGISTERS;
}

/* Two bits for each of eight registers where FXSAVE has one: valid (0) or empty (3). */
static uint32_t full_tags(uint8_t abridged)
{
	uint32_t tags = 0;

	for (unsigned i = 0; i < 8; i++)
		if (!(abridged >> i & 1))
			tags |= 3u << 2 * i;
	return tags;
}

size_t gdb_register_get(const struct gdb_registers *from, unsigned n, uint8_t *bytes)
{
	const uint8_t *at;
	uint32_t tags;

	if (n >= NR_REGISTERS)
		return 0;
	at = (const uint8_t *)from + table[n].offset;
	memset(bytes, 0, table[n].size);
	switch (table[n].kind) {
	case GENERAL:
	case SHOWN:
		memcpy(bytes, at, table[n].size);
		break;
	case SELECTOR:
		memcpy(bytes, at, 2);
		break;
	case TAGS:
		tags = full_tags(*at);
		memcpy(bytes, &tags, sizeof(tags));
		break;
	case ZERO:
		break;
	}
	return table[n].size;
}

bool gdb_register_set(struct gdb_registers *to, unsigned n, const uint8_t *bytes)
{
	if (n >= NR_REGISTERS || table[n].kind != GENERAL)
		return false;
	memcpy((uint8_t *)to + table[n].offset, bytes, table[n].size);
	return true;
}

static const char vec128[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
	"<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
	"<field name=\"uint128\" type=\"uint128\"/></union>"
	"<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/>"
	"<field name=\"DE\" start=\"1\" end=\"1\"/><field name=\"ZE\" start=\"2\" end=\"2\"/>"
	"<field name=\"OE\" start=\"3\" end=\"3\"/><field name=\"UE\" start=\"4\" end=\"4\"/>"
	"<field name=\"PE\" start=\"5\" end=\"5\"/></flags>";

static const char eflags[] =
	"<flags id=\"i386_eflags\" size=\"4\"><field name=\"CF\" start=\"0\" end=\"0\"/>"
	"<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
	"<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
	"<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
	"<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
	"</flags>";

static void print_register(FILE *out, const struct reg *reg, bool first)
{
	if (reg->feature) {
		fprintf(out, "%s<feature name=\"%s\">", first ? "" : "</feature>", reg->feature);
		if (first)
			fputs(eflags, out);
		else if (!strcmp(reg->type, "vec128"))
			fputs(vec128, out);
	}
	fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", reg->name, 8u * reg->size,
		reg->type);
}

char *gdb_registers_xml(void)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\">"
	      "<target><architecture>i386:x86-64</architecture>",
	      out);
	for (size_t i = 0; i < NR_REGISTERS; i++)
		print_register(out, &table[i], i == 0);
	fputs("</feature></target>", out);
	return text_stream_close(out, &text);
}
