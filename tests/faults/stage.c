/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECTOR 512u
#define WORDS  (SECTOR / sizeof(uint64_t))
/* After the key was pressed; and where vmm has complained, as it may never see the key then. */
#define PATIENCE_S            25
#define PATIENCE_COMPLAINED_S 5

void stage_init(struct stage *stage, const char *build, const char *const options[])
{
	static char vmm[256], guest[256];
	size_t n = 0;

	*stage = (struct stage){.build = build, .dir = "/tmp/faults-XXXXXX"};
	if (!mkdtemp(stage->dir))
		err(2, "%s", stage->dir);
	snprintf(stage->disk, sizeof(stage->disk), "%s/disk", stage->dir);
	snprintf(stage->socket, sizeof(stage->socket), "%s/socket", stage->dir);
	snprintf(stage->stats, sizeof(stage->stats), "%s/stats", stage->dir);
	snprintf(stage->err, sizeof(stage->err), "%s/err", stage->dir);
	snprintf(vmm, sizeof(vmm), "%s/vmm", build);
	snprintf(guest, sizeof(guest), "%s/guest.elf", build);
	const char *const fixed[] = {
		vmm,          "-c",        "2",         "-m",          "24M",
		"--disk",     stage->disk, "--control", stage->socket, "--stats",
		stage->stats, "--timeout", "3600",      guest,
	};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		stage->argv[n++] = fixed[i];
	while (*options && n < STAGE_MAX_ARGS - 5)
		stage->argv[n++] = *options++;
	stage->argv[n++] = "--";
	stage->argv[n++] = "workload=tour";
	stage->argv[n++] = "tables=4";
	stage->argv[n++] = stage->seed;
}

void stage_free(struct stage *stage)
{
	unlink(stage->disk);
	unlink(stage->stats);
	unlink(stage->err);
	unlink(stage->socket);
	if (rmdir(stage->dir))
		warn("%s", stage->dir);
}

/* --- before ----------------------------------------------------------------------------------- */

static void clear_disk(const struct stage *stage)
{
	static const char zeroes[STAGE_SECTORS * SECTOR];
	int fd = open(stage->disk, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, zeroes, sizeof(zeroes)) != sizeof(zeroes))
		err(2, "%s", stage->disk);
	close(fd);
}

void stage_set(struct stage *stage)
{
	int ends[2];

	snprintf(stage->seed, sizeof(stage->seed), "seed=%lu", ++stage->seed_number);
	clear_disk(stage);
	unlink(stage->stats);
	unlink(stage->socket);
	if (openpty(&stage->master, &stage->slave, NULL, NULL, NULL) ||
	    tcgetattr(stage->slave, &stage->before) || pipe2(ends, O_CLOEXEC))
		err(2, "terminal");
	fcntl(stage->master, F_SETFD, FD_CLOEXEC);
	stage->out = ends[0];
	stage->out_end = ends[1];
}

void stage_enter(void *ctx)
{
	const struct stage *stage = ctx;
	int log = open(stage->err, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);

	setsid();
	if (ioctl(stage->slave, TIOCSCTTY, 0) || dup2(stage->slave, 0) < 0 ||
	    dup2(stage->out_end, 1) < 0 || dup2(log, 2) < 0)
		err(2, "standard streams");
	close(stage->slave);
}

/* --- meanwhile -------------------------------------------------------------------------------- */

static void doze(unsigned ms)
{
	usleep(ms * 1000);
}

/* Until vmm listens; false if it doesn't, for as long as is to be waited. */
static bool await_socket(const struct stage *stage)
{
	struct stat st;

	for (unsigned ms = 0; ms < PATIENCE_S * 1000u; ms += 10) {
		if (!stat(stage->socket, &st))
			return true;
		doze(10);
	}
	return false;
}

static void ask(const struct stage *stage)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execl(stage->argv[0], "vmm", "ctl", stage->socket, "statistics", NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static bool has_complained(const struct stage *stage)
{
	struct stat st;

	return !stat(stage->err, &st) && st.st_size > 0;
}

/* This process is killed when vmm has ended. */
static void visit(const struct stage *stage, pid_t vmm)
{
	if (await_socket(stage))
		ask(stage);
	if (write(stage->master, "q", 1) != 1)
		warn("terminal");
	for (unsigned s = 0; s < (has_complained(stage) ? PATIENCE_COMPLAINED_S : PATIENCE_S); s++)
		doze(1000);
	kill(vmm, SIGTERM);
	doze(600000);
}

void stage_visit(struct stage *stage, pid_t vmm)
{
	stage->visitor = fork();
	if (stage->visitor < 0)
		err(2, "fork");
	if (stage->visitor > 0)
		return;
	setpgid(0, 0);
	close(stage->out_end);
	visit(stage, vmm);
	_exit(0);
}

/* --- after ------------------------------------------------------------------------------------ */

static void slurp(int fd, char *text, size_t size)
{
	size_t nr = 0;
	ssize_t n;

	while (nr < size - 1 && (n = read(fd, text + nr, size - 1 - nr)) > 0)
		nr += (size_t)n;
	text[nr] = '\0';
	close(fd);
}

/* As guest/workload/disk.c writes it. */
static bool is_written(const uint64_t *sector, uint64_t number, uint64_t seed)
{
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t first = number ^ seed;

		if (sector[i] != (i ? first * 0x9e3779b97f4a7c15u + i : first))
			return false;
	}
	return true;
}

static bool is_zero(const uint64_t *sector)
{
	for (unsigned i = 0; i < WORDS; i++)
		if (sector[i])
			return false;
	return true;
}

static void look_at_disk(const struct stage *stage, struct scene *scene)
{
	uint64_t sector[WORDS];
	FILE *file = fopen(stage->disk, "re");

	scene->disk_whole = scene->disk_written = file != NULL;
	for (unsigned i = 0; file && i < STAGE_SECTORS; i++) {
		bool there = fread(sector, SECTOR, 1, file) == 1;
		bool written = there && is_written(sector, i, stage->seed_number);

		scene->disk_written &= written;
		scene->disk_whole &= written || (there && is_zero(sector));
	}
	if (file)
		fclose(file);
}

static void add_figures(struct scene *scene, const json_t *of)
{
	char *text = of ? json_dumps(of, JSON_COMPACT) : NULL;
	size_t len = strlen(scene->figures);

	if (text)
		snprintf(scene->figures + len, sizeof(scene->figures) - len, " %s", text);
	free(text);
}

static void look_at_stats(const struct stage *stage, struct scene *scene)
{
	json_t *json = json_load_file(stage->stats, 0, NULL);

	scene->stats_there = access(stage->stats, F_OK) == 0;
	scene->stats_whole = json_is_object(json_object_get(json, "host"));
	scene->figures[0] = '\0';
	add_figures(scene, json_object_get(json, "exits"));
	add_figures(scene, json_object_get(json, "disks"));
	json_decref(json);
}

static void look_for_litter(const struct stage *stage, struct scene *scene)
{
	DIR *dir = opendir(stage->dir);
	const struct dirent *entry;

	scene->litter[0] = '\0';
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "disk") &&
		    strcmp(entry->d_name, "stats") && strcmp(entry->d_name, "err"))
			snprintf(scene->litter, sizeof(scene->litter), "%s", entry->d_name);
	if (dir)
		closedir(dir);
	if (scene->litter[0]) {
		char path[320];

		snprintf(path, sizeof(path), "%s/%s", stage->dir, scene->litter);
		unlink(path);
	}
}

void stage_look(struct stage *stage, pid_t vmm, struct scene *scene)
{
	struct termios now;

	(void)vmm;
	kill(-stage->visitor, SIGKILL);
	kill(stage->visitor, SIGKILL);
	waitpid(stage->visitor, NULL, 0);
	close(stage->out_end);
	slurp(stage->out, scene->out, sizeof(scene->out));
	slurp(open(stage->err, O_RDONLY | O_CLOEXEC), scene->err, sizeof(scene->err));
	/* Some bytes of these structures are nobody's. */
	scene->terminal_whole =
		!tcgetattr(stage->slave, &now) && now.c_iflag == stage->before.c_iflag &&
		now.c_oflag == stage->before.c_oflag && now.c_cflag == stage->before.c_cflag &&
		now.c_lflag == stage->before.c_lflag &&
		!memcmp(now.c_cc, stage->before.c_cc, sizeof(now.c_cc));
	close(stage->slave);
	close(stage->master);
	look_at_disk(stage, scene);
	look_at_stats(stage, scene);
	look_for_litter(stage, scene);
}
