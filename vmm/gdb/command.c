/* SPDX-License-Identifier: MIT */
/* The debugger's packets (appendix E of GDB's manual), one function for each. Unknown ones get an
 * empty answer, as the protocol demands. */
#include "gdb/internal.h"

#include <stdio.h>
#include <string.h>
#include "kvm/vm.h"
#include "status.h"
#include "stop.h"

#define SIGNAL_INT  2
#define SIGNAL_TRAP 5
#define ERROR       "E01"

static unsigned nr_vcpus(const struct gdb *gdb)
{
	return gdb->target.vm->nr_vcpus;
}

static uint64_t all_vcpus(const struct gdb *gdb)
{
	return UINT64_MAX >> (64 - nr_vcpus(gdb));
}

static void reply_result(struct gdb *gdb, bool good)
{
	gdb_reply_text(&gdb->reply, "%s", good ? "OK" : ERROR);
}

/* Thread n is vCPU n - 1; -1 is all of them, 0 any. */
static bool parse_vcpus(const struct gdb *gdb, const char **text, uint64_t *vcpus)
{
	uint64_t n;

	if (!strncmp(*text, "-1", 2)) {
		*text += 2;
		*vcpus = all_vcpus(gdb);
		return true;
	}
	if (!gdb_parse_number(text, &n) || n > nr_vcpus(gdb))
		return false;
	*vcpus = n ? 1ull << (n - 1) : all_vcpus(gdb);
	return true;
}

static unsigned first_of(uint64_t vcpus)
{
	return (unsigned)__builtin_ctzll(vcpus);
}

/* --- stops ------------------------------------------------------------------------------------ */

static const struct gdb_hardware *watchpoint_of(const struct gdb *gdb, const struct gdb_hit *hit)
{
	for (unsigned i = 0; i < GDB_MAX_HARDWARE; i++)
		if (hit->arch.dr6 >> i & 1 && gdb->target.hardware_slot[i].used &&
		    gdb->target.hardware_slot[i].kind != GDB_HARDWARE)
			return &gdb->target.hardware_slot[i];
	return NULL;
}

void gdb_reply_stop(struct gdb *gdb, unsigned vcpu, const struct gdb_hit *hit)
{
	const struct gdb_hardware *watch = hit ? watchpoint_of(gdb, hit) : NULL;

	gdb->vcpu = gdb->reported = vcpu;
	gdb_reply_text(&gdb->reply, "T%02xthread:%x;", hit ? SIGNAL_TRAP : SIGNAL_INT, vcpu + 1);
	if (watch)
		gdb_reply_text(&gdb->reply, "%s:%llx;",
			       watch->kind == GDB_WATCH_WRITE ? "watch" : "awatch",
			       (unsigned long long)watch->va);
	else if (hit && hit->at_break)
		gdb_reply_text(&gdb->reply, "swbreak:;");
}

static bool do_why(struct gdb *gdb, const char *text)
{
	(void)text;
	gdb_reply_text(&gdb->reply, "T%02xthread:%x;", SIGNAL_TRAP, gdb->reported + 1);
	return true;
}

/* --- registers and memory --------------------------------------------------------------------- */

static bool do_get_registers(struct gdb *gdb, const char *text)
{
	struct gdb_registers registers;
	uint8_t bytes[GDB_REGISTER_MAX];

	(void)text;
	if (!gdb_get_registers(&gdb->target, gdb->vcpu, &registers)) {
		reply_result(gdb, false);
		return true;
	}
	for (unsigned i = 0; i < gdb_nr_registers(); i++)
		gdb_reply_hex(&gdb->reply, bytes, gdb_register_get(&registers, i, bytes));
	return true;
}

/* Read-only registers are skipped. */
static bool do_set_registers(struct gdb *gdb, const char *text)
{
	struct gdb_registers registers;
	uint8_t bytes[GDB_REGISTER_MAX];
	bool good = gdb_get_registers(&gdb->target, gdb->vcpu, &registers);

	for (unsigned i = 0; good && i < gdb_nr_registers(); i++) {
		size_t size = gdb_register_get(&registers, i, bytes);

		good = gdb_parse_bytes(text, bytes, size);
		text += 2 * size;
		gdb_register_set(&registers, i, bytes);
	}
	reply_result(gdb, good && gdb_set_registers(&gdb->target, gdb->vcpu, &registers));
	return true;
}

static bool do_get_register(struct gdb *gdb, const char *text)
{
	struct gdb_registers registers;
	uint8_t bytes[GDB_REGISTER_MAX];
	uint64_t n;

	if (gdb_parse_number(&text, &n) && n < gdb_nr_registers() &&
	    gdb_get_registers(&gdb->target, gdb->vcpu, &registers))
		gdb_reply_hex(&gdb->reply, bytes, gdb_register_get(&registers, (unsigned)n, bytes));
	else
		reply_result(gdb, false);
	return true;
}

static bool do_set_register(struct gdb *gdb, const char *text)
{
	struct gdb_registers registers;
	uint8_t bytes[GDB_REGISTER_MAX];
	uint64_t n;
	bool good =
		gdb_parse_number(&text, &n) && gdb_parse_char(&text, '=') &&
		n < gdb_nr_registers() && gdb_get_registers(&gdb->target, gdb->vcpu, &registers) &&
		gdb_parse_bytes(text, bytes, gdb_register_get(&registers, (unsigned)n, bytes)) &&
		gdb_register_set(&registers, (unsigned)n, bytes) &&
		gdb_set_registers(&gdb->target, gdb->vcpu, &registers);

	reply_result(gdb, good);
	return true;
}

/* "ADDRESS,LENGTH" */
static bool parse_range(const char **text, uint64_t *va, uint64_t *len)
{
	return gdb_parse_number(text, va) && gdb_parse_char(text, ',') &&
	       gdb_parse_number(text, len);
}

static bool do_read_memory(struct gdb *gdb, const char *text)
{
	uint8_t bytes[GDB_PACKET_MAX / 2];
	uint64_t va, len;
	size_t nr;

	if (!parse_range(&text, &va, &len)) {
		reply_result(gdb, false);
		return true;
	}
	nr = gdb_read_memory(&gdb->target, gdb->vcpu, va, bytes,
			     len < sizeof(bytes) ? len : sizeof(bytes));
	if (nr > 0 || len == 0)
		gdb_reply_hex(&gdb->reply, bytes, nr);
	else
		reply_result(gdb, false);
	return true;
}

static bool do_write_memory(struct gdb *gdb, const char *text)
{
	uint8_t bytes[GDB_PACKET_MAX / 2];
	uint64_t va, len;
	bool good = parse_range(&text, &va, &len) && gdb_parse_char(&text, ':') &&
		    len <= sizeof(bytes) && gdb_parse_bytes(text, bytes, len);

	reply_result(gdb,
		     good && gdb_write_memory(&gdb->target, gdb->vcpu, va, bytes, (size_t)len));
	return true;
}

static bool do_write_binary(struct gdb *gdb, const char *text)
{
	uint64_t va, len;
	bool good = parse_range(&text, &va, &len) && gdb_parse_char(&text, ':') &&
		    len == (uint64_t)(gdb->reader.data + gdb->reader.len - text);

	reply_result(gdb, good && gdb_write_memory(&gdb->target, gdb->vcpu, va, text, (size_t)len));
	return true;
}

/* --- breakpoints ------------------------------------------------------------------------------ */

static bool change_breakpoint(struct gdb *gdb, const char *text, bool insert)
{
	uint64_t kind, va, len;
	enum gdb_result result = GDB_FAILED;

	if (gdb_parse_number(&text, &kind) && gdb_parse_char(&text, ',') &&
	    parse_range(&text, &va, &len)) {
		if (kind > GDB_WATCH_ACCESS)
			return true;
		result = insert ? gdb_insert(&gdb->target, gdb->vcpu, (enum gdb_break)kind, va, len)
				: gdb_remove(&gdb->target, (enum gdb_break)kind, va, len);
	}
	if (result != GDB_UNSUPPORTED)
		reply_result(gdb, result == GDB_OK);
	return true;
}

static bool do_insert(struct gdb *gdb, const char *text)
{
	return change_breakpoint(gdb, text, true);
}

static bool do_remove(struct gdb *gdb, const char *text)
{
	return change_breakpoint(gdb, text, false);
}

/* --- going on --------------------------------------------------------------------------------- */

/* Both go on at RIP; going on at another address is not supported. */
static bool do_continue(struct gdb *gdb, const char *text)
{
	if (*text)
		return true;
	gdb_resume(gdb, all_vcpus(gdb), 0);
	return false;
}

static bool do_step(struct gdb *gdb, const char *text)
{
	if (*text)
		return true;
	gdb_resume(gdb, 1ull << gdb->vcpu, 1ull << gdb->vcpu);
	return false;
}

/* ";ACTION[:THREAD]", repeated; the first that names a vCPU applies to it. Signals to pass to the
 * guest have no meaning and are ignored. */
static bool parse_actions(const struct gdb *gdb, const char *text, uint64_t *run, uint64_t *step)
{
	uint64_t named = 0;

	*run = *step = 0;
	while (gdb_parse_char(&text, ';')) {
		uint64_t vcpus = all_vcpus(gdb), signal;
		char action = *text++;

		if ((action == 'C' || action == 'S') && !gdb_parse_number(&text, &signal))
			return false;
		if (!strchr("cCsS", action) || !action ||
		    (gdb_parse_char(&text, ':') && !parse_vcpus(gdb, &text, &vcpus)))
			return false;
		vcpus &= ~named;
		named |= vcpus;
		*run |= vcpus;
		if (action == 's' || action == 'S')
			*step |= vcpus;
	}
	return *text == '\0' && *run != 0;
}

static bool do_v(struct gdb *gdb, const char *text)
{
	uint64_t run, step;

	if (!strcmp(text, "Cont?")) {
		gdb_reply_text(&gdb->reply, "vCont;c;C;s;S");
		return true;
	}
	if (strncmp(text, "Cont", 4))
		return true;
	if (!parse_actions(gdb, text + 4, &run, &step)) {
		reply_result(gdb, false);
		return true;
	}
	gdb_resume(gdb, run, step);
	return false;
}

static bool do_detach(struct gdb *gdb, const char *text)
{
	(void)text;
	reply_result(gdb, true);
	gdb_detach(gdb);
	gdb->hang_up = true;
	return true;
}

/* Kill; there is no answer. */
static bool do_kill(struct gdb *gdb, const char *text)
{
	(void)text;
	stop_request(gdb->target.vm->stop, VMM_EX_QUIT);
	gdb_detach(gdb);
	gdb->hang_up = true;
	return false;
}

/* --- threads, and what this stub can ---------------------------------------------------------- */

static bool do_choose_thread(struct gdb *gdb, const char *text)
{
	uint64_t vcpus;
	bool good = (*text == 'g' || *text == 'c') && text++ && parse_vcpus(gdb, &text, &vcpus);

	if (good && vcpus != all_vcpus(gdb))
		gdb->vcpu = first_of(vcpus);
	reply_result(gdb, good);
	return true;
}

static bool do_thread_alive(struct gdb *gdb, const char *text)
{
	uint64_t n;

	reply_result(gdb, gdb_parse_number(&text, &n) && n >= 1 && n <= nr_vcpus(gdb));
	return true;
}

static bool list_threads(struct gdb *gdb)
{
	gdb_reply_text(&gdb->reply, "m");
	for (unsigned i = 0; i < nr_vcpus(gdb); i++)
		gdb_reply_text(&gdb->reply, "%s%x", i ? "," : "", i + 1);
	return true;
}

static bool describe_thread(struct gdb *gdb, const char *text)
{
	char name[16];
	uint64_t n;

	if (!gdb_parse_number(&text, &n) || n < 1 || n > nr_vcpus(gdb)) {
		reply_result(gdb, false);
		return true;
	}
	gdb_reply_hex(&gdb->reply, name,
		      (size_t)snprintf(name, sizeof(name), "vCPU %u", (unsigned)n - 1));
	return true;
}

/* "OFFSET,LENGTH" of target.xml. */
static bool send_xml(struct gdb *gdb, const char *text)
{
	uint64_t offset, len, size = strlen(gdb->xml);
	bool more;

	if (!parse_range(&text, &offset, &len) || offset > size) {
		reply_result(gdb, false);
		return true;
	}
	if (len > GDB_PACKET_MAX / 2 - 1)
		len = GDB_PACKET_MAX / 2 - 1;
	more = len < size - offset;
	gdb_reply_text(&gdb->reply, "%c", more ? 'm' : 'l');
	gdb_reply_binary(&gdb->reply, gdb->xml + offset, more ? len : size - offset);
	return true;
}

static bool do_query(struct gdb *gdb, const char *text)
{
	static const char xml[] = "Xfer:features:read:target.xml:", extra[] = "ThreadExtraInfo,";

	if (!strncmp(text, "Supported", 9))
		gdb_reply_text(&gdb->reply,
			       "PacketSize=%x;QStartNoAckMode+;vContSupported+;swbreak+;"
			       "qXfer:features:read+",
			       GDB_PACKET_MAX);
	else if (!strncmp(text, xml, strlen(xml)))
		return send_xml(gdb, text + strlen(xml));
	else if (!strcmp(text, "fThreadInfo"))
		return list_threads(gdb);
	else if (!strcmp(text, "sThreadInfo"))
		gdb_reply_text(&gdb->reply, "l");
	else if (!strncmp(text, extra, strlen(extra)))
		return describe_thread(gdb, text + strlen(extra));
	else if (!strcmp(text, "C"))
		gdb_reply_text(&gdb->reply, "QC%x", gdb->vcpu + 1);
	else if (!strcmp(text, "Attached"))
		gdb_reply_text(&gdb->reply, "1");
	return true;
}

static bool do_set(struct gdb *gdb, const char *text)
{
	if (!strcmp(text, "StartNoAckMode")) {
		gdb->no_ack = true;
		reply_result(gdb, true);
	}
	return true;
}

bool gdb_command(struct gdb *gdb)
{
	static const struct {
		char letter;
		bool (*perform)(struct gdb *gdb, const char *text);
	} commands[] = {
		{'?', do_why},
		{'g', do_get_registers},
		{'G', do_set_registers},
		{'p', do_get_register},
		{'P', do_set_register},
		{'m', do_read_memory},
		{'M', do_write_memory},
		{'X', do_write_binary},
		{'Z', do_insert},
		{'z', do_remove},
		{'c', do_continue},
		{'s', do_step},
		{'v', do_v},
		{'D', do_detach},
		{'k', do_kill},
		{'H', do_choose_thread},
		{'T', do_thread_alive},
		{'q', do_query},
		{'Q', do_set},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (gdb->reader.data[0] == commands[i].letter)
			return commands[i].perform(gdb, gdb->reader.data + 1);
	return true;
}
