/* SPDX-License-Identifier: Apache-2.0 */
#include "sshterm/long_computation.h"

#include <errno.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "sshterm/computing_thread.h"
#include "sshterm/sessions.h"
#include "sshterm/vsock.h"
#include "sshterm/worker.h"

/* The job of a session: on its fiber's stack. */
struct waiting {
	struct computing_job job;
	struct session *session;
	bool done;
};

/* Nobody is there any more for whom it would be made; before login, a client that has said all that it will
 * say is nobody. */
static bool pointless(const struct session *session)
{
	return session->kill_reason[0] != '\0' || session->lost != NULL || session->gone ||
	       vsock_is_reset(session->sock[LEG_CLIENT]) || vsock_is_reset(session->sock[LEG_ORIGIN]) ||
	       worker_now_us() >= session->login_deadline_us ||
	       (session->login_deadline_us != UINT64_MAX && vsock_at_eof(session->sock[LEG_CLIENT]));
}

bool long_computation(struct session *session, void (*compute)(void *argument), void *argument)
{
	struct worker *worker = session->worker;
	struct waiting waiting = {.job = {.run = compute, .argument = argument}, .session = session};

	if (worker->helper == NULL) {
		compute(argument);
		return true;
	}
	worker->counters.long_computations++;
	waiting.job.owner = &waiting;
	computing_put(worker->helper, &waiting.job,
	    session->login_deadline_us == UINT64_MAX ? COMPUTING_LOGGED_IN : COMPUTING_STRANGERS,
	    session->stranger);
	while (!waiting.done) {
		if (pointless(session) && computing_withdraw(worker->helper, &waiting.job)) {
			session->withdrawn = true;
			break;
		}
		/* Nobody's deadline makes a job that has begun end earlier. */
		session_wait(session, waiting.job.begun ? UINT64_MAX : session->login_deadline_us);
	}
	/* What happened meanwhile to the session woke it for this loop: whoever waits next is to look at it.
	 */
	session_wake(session);
	return waiting.done;
}

/* Computations of libssh. Those that are made outside of all sessions (when it is started) hold nobody up. */
static int compute_for_libssh(ssh_computation compute, void *argument, void *userdata)
{
	struct worker *worker = userdata;
	struct session *session = worker->sessions.running;

	if (session == NULL) {
		compute(argument);
		return SSH_OK;
	}
	return long_computation(session, compute, argument) ? SSH_OK : SSH_ERROR;
}

int long_computations_start(struct worker *worker)
{
	worker->helper = computing_start();
	if (worker->helper == NULL)
		return -errno;
	ssh_set_computation_callback(compute_for_libssh, worker);
	return worker_watch(worker, computing_fd(worker->helper));
}

void long_computations_stop(struct worker *worker)
{
	ssh_set_computation_callback(NULL, NULL);
	computing_stop(worker->helper);
	worker->helper = NULL;
}

bool long_computations_poll(struct worker *worker)
{
	struct computing_job *job = worker->helper == NULL ? NULL : computing_poll(worker->helper);

	if (job == NULL)
		return false;
	struct waiting *waiting = job->owner;
	waiting->done = true;
	session_wake(waiting->session);
	return true;
}
