/* SPDX-License-Identifier: Apache-2.0 */
/* While one session's key exchange is computed, the others of the worker are served; and whatever befalls a
 * session meanwhile, what is computed stays where it is until it is done. No test here measures time: a
 * computation goes on until the test lets it end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <libssh/priv.h>

#include <libssh/crypto.h>
#include <libssh/dh.h>
#include <libssh/pki.h>
#include <libssh/pki_priv.h>
#include <libssh/session.h>

#include "box.h"
#include "sshterm/legs.h"
#include "sshterm/long_computation.h"
#include "sshterm/userauth.h"

#define FLOW_COMPUTING 1
#define FLOW_ECHO 2
#define FLOW_SECOND 3

static struct box box;
static sem_t begun, let;
static atomic_uint computed; /* computations that came to their end */
static unsigned ended;       /* those that their session saw the end of */
static unsigned refused;     /* those that were not begun */

static void hold(void *argument)
{
	sem_post(&begun);
	while (sem_wait(&let) != 0)
		;
	/* On the stack of the session's fiber. */
	memset(argument, 0x5a, 64);
	computed++;
}

static void compute(struct session *session)
{
	unsigned char result[64] = {0};

	if (!long_computation(session, hold, result)) {
		refused++;
		cr_expect_eq(result[63], 0);
		return;
	}
	ended++;
	cr_expect_eq(result[0], 0x5a);
	cr_expect_eq(result[63], 0x5a);
}

static bool is_over(const struct session *session)
{
	return session->kill_reason[0] != '\0' || session->lost != NULL || session->gone;
}

static void wait_for_the_end(struct session *session)
{
	while (!is_over(session))
		session_wait(session, UINT64_MAX);
}

static void echo(struct session *session)
{
	struct vsock *sock = session->sock[LEG_CLIENT];
	const uint8_t *at;
	uint32_t len;

	while (!is_over(session)) {
		while ((len = vsock_peek(sock, &at)) > 0)
			vsock_consume(sock, vsock_write(sock, at, len));
		session_wait(session, UINT64_MAX);
	}
}

static void by_flow(struct session *session)
{
	if (session->channel_flow == FLOW_ECHO) {
		echo(session);
		return;
	}
	compute(session);
	wait_for_the_end(session);
}

static void start(void)
{
	sem_init(&begun, 0, 0);
	sem_init(&let, 0, 0);
	box_session = by_flow;
	box_start(&box, 64, 4096);
	cr_assert_eq(long_computations_start(&box.worker), 0);
}

static void stop(void)
{
	box_stop(&box);
}

TestSuite(long_computation, .init = start, .fini = stop, .timeout = 300);

static void wait_begun(void)
{
	while (sem_wait(&begun) != 0)
		;
}

static void turn_until_ended(unsigned count)
{
	while (ended + refused < count) {
		box_turn(&box);
		usleep(1000);
	}
}

/* Sends a byte and turns: does it come back? */
static bool echoes(char byte)
{
	struct slab_desc desc;
	char got[4096];

	box_data(&box, FLOW_ECHO, LEG_CLIENT, &byte, 1);
	box_turn(&box);
	while (box_next(&box, &desc, got, true))
		if (desc.type == SLAB_LEG_DATA && desc.flow == FLOW_ECHO && got[0] == byte)
			return true;
	return false;
}

Test(long_computation, others_are_served_meanwhile)
{
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	box_open(&box, FLOW_ECHO, 65536, 4);
	wait_begun();
	for (char c = 'a'; c <= 'z'; c++)
		cr_assert(echoes(c), "'%c' is not answered while another session computes", c);
	cr_assert_eq(ended, 0, "it was not let end");
	sem_post(&let);
	turn_until_ended(1);
	cr_expect_eq(computed, 1);
	cr_expect(echoes('!'));
}

/* Whatever woke the session during the computation it has to look at afterwards. */
static void compute_then_read(struct session *session)
{
	const uint8_t *at;

	compute(session);
	session_wait(session, UINT64_MAX);
	cr_expect_eq(vsock_peek(session->sock[LEG_CLIENT], &at), 5);
	refused++; /* counts as the second thing that came to its end */
	wait_for_the_end(session);
}

Test(long_computation, what_arrived_meanwhile_is_seen)
{
	box_session = compute_then_read;
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	wait_begun();
	box_data(&box, FLOW_COMPUTING, LEG_CLIENT, "hello", 5);
	box_turn(&box);
	cr_assert_eq(ended, 0);
	sem_post(&let);
	turn_until_ended(2);
}

Test(long_computation, a_killed_session_in_the_queue_is_not_computed_for)
{
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	struct session *second = box_open(&box, FLOW_SECOND, 65536, 4);
	wait_begun();
	session_kill(second, "", "killed");
	box_turn(&box);
	cr_expect_eq(refused, 1, "at once");
	cr_expect_eq(box.worker.sessions.live, 1);
	sem_post(&let);
	turn_until_ended(2);
	cr_expect_eq(computed, 1);
}

Test(long_computation, nor_is_one_whose_client_is_gone)
{
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	box_open(&box, FLOW_SECOND, 65536, 4);
	wait_begun();
	box_say(&box, FLOW_SECOND, SLAB_FLOW_FIN, LEG_CLIENT);
	box_turn(&box);
	cr_expect_eq(refused, 1);
	sem_post(&let);
	turn_until_ended(2);
}

Test(long_computation, nor_one_that_takes_too_long)
{
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	struct session *second = box_open(&box, FLOW_SECOND, 65536, 4);
	wait_begun();
	second->login_deadline_us = worker_clock();
	session_wake(second);
	box_turn(&box);
	cr_expect_eq(refused, 1);
	sem_post(&let);
	turn_until_ended(2);
}

/* Killed, reset and forgotten by the dataplane: its stack and all that hangs on it are still there. */
Test(long_computation, in_flight_a_session_outlives_its_end)
{
	struct session *session = box_open(&box, FLOW_COMPUTING, 65536, 4);

	wait_begun();
	session_kill(session, "", "killed");
	box_turn(&box);
	box_say(&box, FLOW_COMPUTING, SLAB_FLOW_RESET, LEG_CLIENT);
	box_turn(&box);
	box_say(&box, FLOW_COMPUTING, SLAB_FLOW_GONE, 0);
	box_turn(&box);
	session->login_deadline_us = worker_clock();
	session_wake(session);
	box_turn(&box);
	cr_assert_eq(box.worker.sessions.live, 1, "its memory is in use");
	cr_assert_eq(ended + refused, 0);
	sem_post(&let);
	turn_until_ended(1);
	cr_expect_eq(computed, 1);
	cr_expect_eq(box.worker.sessions.live, 0);
}

#define LIVE 20 /* flows from here on are logged in */
static char order[8];

static void note(void *argument)
{
	struct session *session = argument;

	order[strlen(order)] = (char)('a' + session->channel_flow);
}

static void compute_and_note(struct session *session)
{
	if (session->channel_flow >= LIVE)
		session->login_deadline_us = UINT64_MAX;
	if (session->channel_flow == FLOW_COMPUTING)
		compute(session);
	else if (long_computation(session, note, session))
		ended++;
	wait_for_the_end(session);
}

Test(long_computation, who_is_logged_in_does_not_queue_behind_strangers)
{
	static const uint64_t flows[] = {FLOW_COMPUTING, 2, 3, 4, LIVE, LIVE + 1};

	box_session = compute_and_note;
	for (unsigned i = 0; i < 6; i++)
		box_open(&box, flows[i], 65536, 4);
	wait_begun();
	sem_post(&let);
	turn_until_ended(6);
	cr_expect_str_eq(order, "uvcde", "got %s", order);
}

static void open_from(uint8_t last, uint64_t flow)
{
	struct slab_flow about = {.family = 4,
	    .client_addr = {198, 51, 100, last},
	    .receive_credit = 65536,
	    .receive_max = 65536,
	    .send_credit = 4};

	cr_assert_not_null(session_open(&box.worker.channels[0], flow, &about));
	box_turn(&box);
}

Test(long_computation, nor_does_a_stranger_behind_all_of_another_address)
{
	box_session = compute_and_note;
	/* With a key that is chosen anew, one time in 4096 the two addresses would count as one. */
	memset(box.worker.sessions.source_key, 1, sizeof(box.worker.sessions.source_key));
	open_from(1, FLOW_COMPUTING);
	for (uint64_t flow = 2; flow < 5; flow++)
		open_from(1, flow);
	open_from(2, 5);
	wait_begun();
	sem_post(&let);
	turn_until_ended(5);
	cr_expect_str_eq(order, "cfde", "got %s", order);
}

/* -- what libssh hands over -- */

static void exchange_keys(struct session *session, enum ssh_key_exchange_e kex)
{
	uint64_t before = session->worker->counters.long_computations;
	ssh_session ssh = ssh_new();
	struct ssh_crypto_struct *crypto = ssh->next_crypto;
	bignum mine = NULL, theirs = NULL;

	crypto->kex_type = kex;
	cr_assert_eq(ssh_dh_init_common(crypto), SSH_OK);
	cr_assert_eq(ssh_dh_keypair_gen_keys(crypto->dh_ctx, DH_CLIENT_KEYPAIR), SSH_OK);
	cr_assert_eq(ssh_dh_keypair_gen_keys(crypto->dh_ctx, DH_SERVER_KEYPAIR), SSH_OK);
	cr_assert_eq(
	    ssh_dh_compute_shared_secret(crypto->dh_ctx, DH_CLIENT_KEYPAIR, DH_SERVER_KEYPAIR, &mine),
	    SSH_OK);
	cr_assert_eq(
	    ssh_dh_compute_shared_secret(crypto->dh_ctx, DH_SERVER_KEYPAIR, DH_CLIENT_KEYPAIR, &theirs),
	    SSH_OK);
	cr_expect_eq(bignum_cmp(mine, theirs), 0);
	cr_expect_eq(session->worker->counters.long_computations - before, 4);
	bignum_safe_free(mine);
	bignum_safe_free(theirs);
	ssh_free(ssh);
}

static const unsigned char text[] = "to be signed";

static void sign(struct session *session)
{
	uint64_t before = session->worker->counters.long_computations;
	ssh_session ssh = ssh_new();
	ssh_key key = NULL, public = NULL;

	cr_assert_eq(ssh_pki_generate_key(SSH_KEYTYPE_RSA, NULL, &key), SSH_OK);
	cr_assert_eq(ssh_pki_export_privkey_to_pubkey(key, &public), SSH_OK);
	ssh_signature signature = pki_do_sign(key, text, sizeof(text), SSH_DIGEST_SHA512);
	cr_assert_not_null(signature);
	cr_expect_eq(ssh_pki_signature_verify(ssh, signature, public, text, sizeof(text)), SSH_OK);
	cr_expect_neq(ssh_pki_signature_verify(ssh, signature, public, text, sizeof(text) - 1), SSH_OK,
	    "of another text it is none");
	cr_expect_eq(session->worker->counters.long_computations - before, 3);
	ssh_signature_free(signature);
	ssh_key_free(key);
	ssh_key_free(public);
	ssh_free(ssh);
}

static void all_of_libssh(struct session *session)
{
	if (session->channel_flow == FLOW_ECHO) {
		echo(session);
		return;
	}
	exchange_keys(session, SSH_KEX_DH_GROUP14_SHA256);
	exchange_keys(session, SSH_KEX_DH_GROUP16_SHA512);
	exchange_keys(session, SSH_KEX_DH_GROUP18_SHA512);
	sign(session);
	ended++;
	wait_for_the_end(session);
}

Test(long_computation, libssh_has_them_computed_by_the_helper)
{
	box_session = all_of_libssh;
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	box_open(&box, FLOW_ECHO, 65536, 4);
	cr_assert_eq(ended, 0, "it waits");
	cr_assert(echoes('x'));
	turn_until_ended(1);
}

/* It fails as a key exchange does, and is not computed. */
static void too_late(struct session *session)
{
	ssh_session ssh = ssh_new();
	struct ssh_crypto_struct *crypto = ssh->next_crypto;

	session->login_deadline_us = worker_now_us();
	crypto->kex_type = SSH_KEX_DH_GROUP16_SHA512;
	cr_assert_eq(ssh_dh_init_common(crypto), SSH_OK);
	cr_expect_eq(ssh_dh_keypair_gen_keys(crypto->dh_ctx, DH_CLIENT_KEYPAIR), SSH_ERROR);
	ssh_free(ssh);
	refused++;
}

static void first_holds_then_too_late(struct session *session)
{
	if (session->channel_flow == FLOW_COMPUTING)
		by_flow(session);
	else
		too_late(session);
}

Test(long_computation, where_it_is_pointless_libssh_fails)
{
	box_session = first_holds_then_too_late;
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	wait_begun();
	box_open(&box, FLOW_SECOND, 65536, 4);
	cr_expect_eq(refused, 1);
	sem_post(&let);
	turn_until_ended(2);
}

/* -- a signature that is not verified -- */

static ssh_key signer;
static ssh_signature signature;

/* libssh's word on it is the same as on a wrong one. */
static void verify(struct session *session)
{
	struct userauth auth = {.session = session, .limit = 1};
	struct userauth_request request;
	struct leg_failure failure = {0};

	session->ssh[LEG_CLIENT] = ssh_new();
	cr_expect_eq(
	    ssh_pki_signature_verify(session->ssh[LEG_CLIENT], signature, signer, text, sizeof(text)),
	    SSH_ERROR);
	auth.requests.next.type = USERAUTH_REQUEST;
	cr_expect_eq(userauth_next(&auth, &request, &failure), -1, "there is nobody to refuse");
	cr_expect_str_eq(failure.close_reason, "client_closed", "it is over as %s", failure.close_reason);
	ssh_free(session->ssh[LEG_CLIENT]);
	session->ssh[LEG_CLIENT] = NULL;
	refused++;
}

static void first_holds_then_verify(struct session *session)
{
	if (session->channel_flow == FLOW_COMPUTING)
		by_flow(session);
	else
		verify(session);
}

Test(long_computation, a_client_that_goes_before_its_signature_is_verified_was_not_refused)
{
	/* Outside of all sessions: at once. */
	cr_assert_eq(ssh_pki_generate_key(SSH_KEYTYPE_RSA, NULL, &signer), SSH_OK);
	signature = pki_do_sign(signer, text, sizeof(text), SSH_DIGEST_SHA512);
	cr_assert_not_null(signature);
	box_session = first_holds_then_verify;
	box_open(&box, FLOW_COMPUTING, 65536, 4);
	wait_begun();
	box_open(&box, FLOW_SECOND, 65536, 4);
	cr_assert_eq(refused, 0, "it waits");
	box_say(&box, FLOW_SECOND, SLAB_FLOW_FIN, LEG_CLIENT);
	box_turn(&box);
	cr_expect_eq(refused, 1);
	sem_post(&let);
	turn_until_ended(2);
	ssh_signature_free(signature);
	ssh_key_free(signer);
}
