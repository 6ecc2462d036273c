/* SPDX-License-Identifier: MIT */
#include "kvm/thread.h"

#include <errno.h>
#include <limits.h>
#include <semaphore.h>

/* Owned by the starting thread, until the new one has reported. */
struct start {
	const struct thread_job *job;
	int err;
	sem_t done;
};

static void *run_confined(void *arg)
{
	struct start *start = arg;
	struct thread_job job = *start->job;
	int err = sandbox_enter(job.sandbox, job.kind);

	start->err = err;
	sem_post(&start->done);
	return err ? NULL : job.run(job.arg);
}

static int create_thread(pthread_t *thread, struct start *start)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	err = pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + start->job->stack);
	if (!err)
		err = pthread_create(thread, &attr, run_confined, start);
	pthread_attr_destroy(&attr);
	return -err;
}

int thread_start(pthread_t *thread, const struct thread_job *job)
{
	struct start start = {.job = job};
	int err;

	sem_init(&start.done, 0, 0);
	err = create_thread(thread, &start);
	if (!err) {
		while (sem_wait(&start.done) < 0 && errno == EINTR)
			;
		err = start.err;
		if (err)
			pthread_join(*thread, NULL);
	}
	sem_destroy(&start.done);
	return err;
}
