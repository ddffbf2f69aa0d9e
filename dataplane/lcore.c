/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop of one lcore.
 *
 * A turn: frames of each port, frames from other lcores, letters, what the workers sent, timers; then
 * everything that became sendable goes out, in one burst a port. At its end the lcore holds no pointer into
 * the policy: that is the quiescent point.
 *
 * Idle. A lcore that has been dry for DRY_SPINS turns sleeps on its bell, which workers, other lcores and the
 * control thread ring where its flag is up, and on the kernel's sockets behind its queues, where the driver
 * has such (arrival.h): idle it costs nothing, and a frame wakes it at once. In the middle of a stream that
 * would be a wake-up, and a burst, for every few frames; there it first lets GATHER_US go by, once. Drivers
 * that show nothing to sleep on are napped for: NAP_MIN_US, later up to NAP_MAX_US, and a frame waits for at
 * most one.
 */
#include "dataplane/lcore.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control/rpc/rpc.h"

#define HANDOVER_RING 2048
#define SCRATCH_SIZE 65536
#define EXPIRE_EVERY_US 100000
#define DRY_SPINS 16 /* turns; a wake-up costs about as much */
#define NAP_SPINS 64 /* where a frame cannot wake us */
#define GATHER_US 50
#define GATHER_LOAD (4 * 16) /* from four frames a turn on it is a stream */
#define REST_MAX_US 1000000
#define NAP_MIN_US 10
#define NAP_MAX_US 100
#define NAP_GROWS 32 /* turns for each further microsecond of nap */

/* -- sending -------------------------------------------------------------------------------------- */

static void refused(struct lcore *lc, unsigned number, struct rte_mbuf *m)
{
	lc->counters.tx_dropped++;
	lc->counters.port[number].tx_dropped++;
	rte_pktmbuf_free(m);
}

/* How many frames in a row the driver can finish; the first that it cannot would stop all behind it. */
static unsigned prepared(struct lcore *lc, unsigned number)
{
	struct lcore_tx *tx = &lc->tx[number];
	uint16_t id = lc->dataplane->ports.port[number].id;
	unsigned ready = rte_eth_tx_prepare(id, (uint16_t)lc->index, tx->frames, (uint16_t)tx->count);

	if (ready < tx->count) {
		refused(lc, number, tx->frames[ready]);
		tx->count--;
		memmove(
		    tx->frames + ready, tx->frames + ready + 1, (tx->count - ready) * sizeof(tx->frames[0]));
	}
	return ready;
}

static void flush_port(struct lcore *lc, unsigned number)
{
	struct lcore_tx *tx = &lc->tx[number];
	const struct port *port = &lc->dataplane->ports.port[number];
	unsigned sent, ready;

	if (tx->count == 0)
		return;
	ready = lc->dataplane->ports.tx_checksum ? prepared(lc, number) : tx->count;
	sent = rte_eth_tx_burst(port->id, (uint16_t)lc->index, tx->frames, (uint16_t)ready);
	tx->count -= sent;
	/* What the port did not take keeps its place in the line. */
	if (sent > 0 && tx->count > 0)
		memmove(tx->frames, tx->frames + sent, tx->count * sizeof(tx->frames[0]));
}

void lcore_flush(struct lcore *lc)
{
	for (unsigned i = 0; i < lc->dataplane->ports.count; i++)
		flush_port(lc, i);
}

void lcore_send(struct lcore *lc, unsigned number, struct rte_mbuf *m)
{
	struct lcore_tx *tx = &lc->tx[number];
	uint16_t queues = lc->dataplane->ports.port[number].tx_queues;

	if (lc->index >= queues) {
		handover_put(lc, lc->index % queues, m, HANDOVER_SEND, (uint8_t)number);
		return;
	}
	if (tx->count == LCORE_TX_ROOM) {
		flush_port(lc, number);
		if (tx->count == LCORE_TX_ROOM) {
			refused(lc, number, m);
			return;
		}
	}
	lc->counters.port[number].tx_packets++;
	lc->counters.port[number].tx_bytes += m->pkt_len;
	tx->frames[tx->count++] = m;
}

void lcore_pass(struct lcore *lc, struct packet *p)
{
	if (p->whole != NULL) {
		for (unsigned i = 0; i < p->whole->handle_count; i++)
			lcore_send(lc, p->port ^ 1u, p->whole->handles[i]);
		lc->counters.passed += p->whole->handle_count;
		return;
	}
	lc->counters.passed++;
	lcore_send(lc, p->port ^ 1u, p->m);
}

void lcore_drop(struct packet *p)
{
	if (p->whole == NULL) {
		rte_pktmbuf_free(p->m);
		return;
	}
	for (unsigned i = 0; i < p->whole->handle_count; i++)
		rte_pktmbuf_free(p->whole->handles[i]);
}

/* -- what the TCP endpoint sends (tcp_hooks) ------------------------------------------------------ */

static uint8_t *frame_alloc(void *context, uint32_t len, void **handle)
{
	struct lcore *lc = context;
	const struct ports *ports = &lc->dataplane->ports;
	bool large =
	    ports->tso_mbufs != NULL && len + RTE_PKTMBUF_HEADROOM > rte_pktmbuf_data_room_size(ports->mbufs);
	struct rte_mbuf *m = rte_pktmbuf_alloc(large ? ports->tso_mbufs : ports->mbufs);
	char *at = m == NULL || len > UINT16_MAX ? NULL : rte_pktmbuf_append(m, (uint16_t)len);

	if (at == NULL) {
		rte_pktmbuf_free(m);
		lc->counters.no_mbuf += !large; /* without a large one it goes in several */
		return NULL;
	}
	*handle = m;
	return (uint8_t *)at;
}

static void frame_unfinished(void *context, void *handle, const struct tcp_unfinished *what)
{
	struct lcore *lc = context;
	struct rte_mbuf *m = handle;

	m->l2_len = what->l2_len;
	m->l3_len = what->l3_len;
	m->l4_len = what->l4_len;
	m->ol_flags |=
	    RTE_MBUF_F_TX_TCP_CKSUM | (what->family == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	if (what->segment_len == 0)
		return;
	m->tso_segsz = what->segment_len;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	if (what->family == 4 && lc->dataplane->ports.tx_ip_checksum)
		m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
}

static void frame_send(void *context, uint8_t link, enum tcp_port_side side, void *handle, uint32_t len)
{
	struct lcore *lc = context;
	struct rte_mbuf *m = handle;

	if (len < m->data_len)
		(void)rte_pktmbuf_trim(m, (uint16_t)(m->data_len - len));
	lcore_send(lc, link * 2u + (side == TCP_OUTSIDE ? 1u : 0u), m);
}

/* -- receiving ------------------------------------------------------------------------------------ */

static unsigned receive_port(struct lcore *lc, unsigned number)
{
	const struct port *port = &lc->dataplane->ports.port[number];
	struct rte_mbuf *frames[LCORE_BURST];
	unsigned count;

	if (lc->index >= port->rx_queues)
		return 0;
	count = rte_eth_rx_burst(port->id, (uint16_t)lc->index, frames, LCORE_BURST);
	if (count == 0)
		return 0;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < count; i++)
		bytes += frames[i]->pkt_len;
	lc->counters.port[number].rx_packets += count;
	lc->counters.port[number].rx_bytes += bytes;
	inspect_burst(lc, (uint8_t)number, frames, count);
	return count;
}

static unsigned receive_handed_over(struct lcore *lc)
{
	void *frames[LCORE_BURST];
	unsigned all = 0;

	for (unsigned from = 0; from < lc->dataplane->lcore_count; from++) {
		if (lc->from[from] == NULL)
			continue;
		unsigned count = rte_ring_sc_dequeue_burst(lc->from[from], frames, LCORE_BURST, NULL);
		for (unsigned i = 0; i < count; i++) {
			struct rte_mbuf *m = frames[i];
			enum handover why = (enum handover)(m->hash.usr & 0xff);
			if (why == HANDOVER_SEND)
				lcore_send(lc, m->hash.usr >> 8, m);
			else
				inspect_handed_over(lc, m, why);
		}
		all += count;
	}
	return all;
}

static void open_letter(struct lcore *lc, const struct lcore_letter *letter)
{
	int error;

	if (letter->kind == LETTER_DETACH) {
		handoff_detach(lc->handoff, lc->shard, letter->worker, lc->now_us);
		return;
	}
	error = handoff_attach(lc->handoff, lc->shard, letter->worker, letter->lane, letter->memfd,
	    letter->bell, letter->epoch, lc->now_us);
	if (error != 0)
		rpc_log(RPC_LOG_ERROR, "slab channel of worker %u with lcore %u refused: %s", letter->worker,
		    lc->index, strerror(-error));
}

static unsigned read_letters(struct lcore *lc)
{
	struct lcore_letter *letters;
	unsigned count = 0;

	if (!atomic_load_explicit(&lc->letters_waiting, memory_order_acquire))
		return 0;
	pthread_mutex_lock(&lc->letters_lock);
	letters = lc->letters;
	lc->letters = NULL;
	atomic_store_explicit(&lc->letters_waiting, false, memory_order_relaxed);
	pthread_mutex_unlock(&lc->letters_lock);
	while (letters != NULL) {
		struct lcore_letter *next = letters->next;
		open_letter(lc, letters);
		free(letters);
		letters = next;
		count++;
	}
	return count;
}

void lcore_tell(struct lcore *lc, struct lcore_letter *letter)
{
	letter->next = NULL;
	pthread_mutex_lock(&lc->letters_lock);
	struct lcore_letter **last = &lc->letters;
	while (*last != NULL)
		last = &(*last)->next;
	*last = letter;
	atomic_store_explicit(&lc->letters_waiting, true, memory_order_release);
	pthread_mutex_unlock(&lc->letters_lock);
	lcore_wake(lc);
}

/* -- sleeping ------------------------------------------------------------------------------------- */

void lcore_wake(struct lcore *lc)
{
	const uint64_t one = 1;

	/* Pairs with the fence in sleep_on(): either the sleeper sees what was put, or we see its flag. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&lc->asleep, memory_order_relaxed)) {
		ssize_t written = write(lc->bell, &one, sizeof(one)); /* fails only where it rings already */
		(void)written;
	}
}

static bool anything_waits(struct lcore *lc)
{
	if (atomic_load_explicit(&lc->letters_waiting, memory_order_relaxed) || handoff_ready(lc->handoff) ||
	    atomic_load_explicit(&lc->dataplane->stop, memory_order_relaxed))
		return true;
	for (unsigned i = 0; i < lc->dataplane->lcore_count; i++)
		if (lc->from[i] != NULL && !rte_ring_empty(lc->from[i]))
			return true;
	return false;
}

/* Until the next timer, at most. 0: it is due. */
static uint64_t until_tick(const struct lcore *lc, uint64_t us)
{
	if (lc->tick_at_us > lc->now_us + us)
		return us;
	return lc->tick_at_us > lc->now_us ? lc->tick_at_us - lc->now_us : 0;
}

/* A stream's next frames and slabs gather meanwhile; nobody needs to ring. */
static void gather(struct lcore *lc)
{
	const struct timespec wait = {.tv_nsec = (long)until_tick(lc, GATHER_US) * 1000};

	lc->counters.gathers++;
	(void)nanosleep(&wait, NULL);
}

/* Bells are silenced. An interface that went down shows as an error until it is read; a socket that is no
 * more is not slept on again. */
static void answer_waits(struct lcore *lc, unsigned count)
{
	uint64_t rings;
	int error;
	socklen_t len = sizeof(error);

	if (lc->wait[0].revents & POLLIN) {
		ssize_t got = read(lc->bell, &rings, sizeof(rings));
		(void)got;
	}
	for (unsigned i = 1; i < count; i++) {
		if (lc->wait[i].revents & POLLERR)
			(void)getsockopt(lc->wait[i].fd, SOL_SOCKET, SO_ERROR, &error, &len);
		if (lc->wait[i].revents & (POLLHUP | POLLNVAL))
			lc->waits = 0;
	}
}

/* Sleeps on the first `count` of lc->wait. */
static void sleep_on(struct lcore *lc, unsigned count, uint64_t us)
{
	const struct timespec wait = {
	    .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};

	if (us == 0)
		return;
	atomic_store_explicit(&lc->asleep, true, memory_order_relaxed);
	handoff_asleep(lc->handoff, true);
	atomic_thread_fence(memory_order_seq_cst);
	if (!anything_waits(lc)) {
		lc->counters.sleeps++;
		rte_rcu_qsbr_thread_offline(lc->dataplane->rcu, lc->index);
		if (ppoll(lc->wait, count, &wait, NULL) > 0) {
			answer_waits(lc, count);
			lc->dry = 0;
		}
		rte_rcu_qsbr_thread_online(lc->dataplane->rcu, lc->index);
	}
	handoff_asleep(lc->handoff, false);
	atomic_store_explicit(&lc->asleep, false, memory_order_relaxed);
}

static void rest(struct lcore *lc)
{
	uint64_t nap = NAP_MIN_US + lc->dry / NAP_GROWS;

	if (lc->waits > 0 && lc->load >= GATHER_LOAD && lc->dry == DRY_SPINS + 1) {
		gather(lc);
		return;
	}
	/* Without a policy the ports are not read, and what waits there would wake us for ever. */
	if (lc->waits > 0 && lc->policy != NULL)
		sleep_on(lc, lc->waits, until_tick(lc, REST_MAX_US));
	else
		sleep_on(lc, 1, until_tick(lc, nap < NAP_MAX_US ? nap : NAP_MAX_US));
}

static void find_waits(struct lcore *lc)
{
	const struct ports *ports = &lc->dataplane->ports;
	unsigned n = 0;

	lc->wait[n++] = (struct pollfd){.fd = lc->bell, .events = POLLIN};
	for (unsigned i = 0; i < ports->count; i++) {
		if (lc->index >= ports->port[i].rx_queues)
			continue;
		if (ports->port[i].arrival[lc->index] < 0)
			return;
		lc->wait[n++] = (struct pollfd){.fd = ports->port[i].arrival[lc->index], .events = POLLIN};
	}
	lc->waits = n;
}

/* -- the loop ------------------------------------------------------------------------------------- */

static void tell_time(struct lcore *lc)
{
	lc->now_us = (uint64_t)((double)rte_rdtsc() * lc->us_per_cycle);
	lc->now_s = (uint32_t)(lc->now_us / 1000000);
}

static unsigned receive(struct lcore *lc)
{
	unsigned work = 0;

	/* Until the first policy is here nothing may go by, nor be lost: frames wait in the ports' rings. */
	if (lc->policy == NULL)
		return 0;
	for (unsigned i = 0; i < lc->dataplane->ports.count; i++)
		work += receive_port(lc, i);
	if (lc->dataplane->lcore_count > 1)
		work += receive_handed_over(lc);
	return work;
}

static void keep_time(struct lcore *lc, unsigned work)
{
	if (work > 0 || lc->now_us >= lc->tick_at_us)
		tcp_tick(lc->shard, lc->now_us);
	if (lc->reassembler != NULL && lc->now_us >= lc->expire_at_us) {
		reassemble_expire(lc->reassembler, lc->now_us);
		lc->expire_at_us = lc->now_us + EXPIRE_EVERY_US;
	}
}

static unsigned turn(struct lcore *lc)
{
	unsigned work;

	tell_time(lc);
	lc->policy = atomic_load_explicit(&lc->dataplane->policy, memory_order_acquire);
	work = receive(lc);
	work += read_letters(lc);
	work += handoff_poll(lc->handoff, lc->shard, lc->now_us);
	keep_time(lc, work);
	lc->tick_at_us = tcp_flush(lc->shard, lc->now_us);
	handoff_flush(lc->handoff);
	lcore_flush(lc);
	handover_flush(lc);
	rte_rcu_qsbr_quiescent(lc->dataplane->rcu, lc->index);
	return work;
}

static bool tx_waits(const struct lcore *lc)
{
	for (unsigned i = 0; i < lc->dataplane->ports.count; i++)
		if (lc->tx[i].count > 0)
			return true;
	return false;
}

int lcore_run(void *lcore)
{
	struct lcore *lc = lcore;

	(void)prctl(PR_SET_TIMERSLACK, 1UL); /* rests are shorter than the default slack of 50 us */
	find_waits(lc);
	(void)rte_rcu_qsbr_thread_register(lc->dataplane->rcu, lc->index);
	rte_rcu_qsbr_thread_online(lc->dataplane->rcu, lc->index);
	while (!atomic_load_explicit(&lc->dataplane->stop, memory_order_relaxed)) {
		unsigned work = turn(lc);
		if (work > 0) {
			lc->dry = 0;
			lc->load += work - lc->load / 16;
			continue;
		}
		lc->dry++;
		if (!lc->dataplane->poll && lc->dry > (lc->waits > 0 ? DRY_SPINS : NAP_SPINS) &&
		    !tx_waits(lc))
			rest(lc);
	}
	rte_rcu_qsbr_thread_offline(lc->dataplane->rcu, lc->index);
	(void)rte_rcu_qsbr_thread_unregister(lc->dataplane->rcu, lc->index);
	return 0;
}

/* -- life ----------------------------------------------------------------------------------------- */

static bool open_rings(struct lcore *lc)
{
	char name[RTE_RING_NAMESIZE];

	for (unsigned i = 0; i < lc->dataplane->lcore_count; i++) {
		if (i == lc->index)
			continue;
		snprintf(name, sizeof(name), "handover%u-%u", i, lc->index);
		lc->from[i] =
		    rte_ring_create(name, HANDOVER_RING, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (lc->from[i] == NULL)
			return false;
	}
	return true;
}

static bool open_tcp(struct lcore *lc, const struct lcore_config *config)
{
	struct tcp_config tcp;
	struct tcp_hooks hooks = {.context = lc,
	    .frame_alloc = frame_alloc,
	    .frame_unfinished = frame_unfinished,
	    .frame_send = frame_send};

	tcp_config_defaults(&tcp);
	tcp.flows = config->flows;
	tcp.workers = config->workers;
	tcp.mtu = lc->dataplane->ports.port[0].mtu;
	for (unsigned i = 1; i < lc->dataplane->ports.count; i++)
		tcp.mtu = RTE_MIN(tcp.mtu, lc->dataplane->ports.port[i].mtu);
	tcp.offloads = (struct tcp_offloads){
	    .checksum = lc->dataplane->ports.tx_checksum,
	    .frame_max = lc->dataplane->ports.tso_frame,
	};
	tcp.receive_credit = config->windows.receive_credit;
	tcp.receive_window_max = tcp.reorder_bytes = config->windows.receive_window_max;
	tcp.receive_memory = tcp.reorder_total = config->windows.receive_memory;
	tcp.send_credit = config->windows.send_credit;
	tcp.send_slabs_max = config->windows.send_slabs_max;
	tcp.slab_bytes = config->windows.slab_bytes;
	tcp.congestion = config->congestion;
	tcp.idle_keepalive_ms = config->keepalive_ms;
	if (getrandom(tcp.seed, sizeof(tcp.seed), 0) != sizeof(tcp.seed))
		return false;
	lc->handoff = handoff_create(config->workers, config->flows);
	if (lc->handoff == NULL)
		return false;
	handoff_hooks(lc->handoff, &hooks);
	lc->shard = tcp_shard_create(&tcp, &hooks);
	return lc->shard != NULL;
}

static bool open_tables(struct lcore *lc, const struct lcore_config *config)
{
	uint64_t secret[2];

	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		return false;
	lc->burst = inspect_room();
	lc->scratch = malloc(SCRATCH_SIZE);
	return lc->burst != NULL && lc->scratch != NULL &&
	       decisions_open(&lc->decisions, config->decisions4, config->decisions6, secret) == 0;
}

struct lcore *lcore_create(struct dataplane *dataplane, unsigned index, const struct lcore_config *config)
{
	struct lcore *lc = aligned_alloc(64, (sizeof(*lc) + 63) / 64 * 64);

	if (lc == NULL)
		return NULL;
	memset(lc, 0, sizeof(*lc));
	lc->dataplane = dataplane;
	lc->index = index;
	lc->us_per_cycle = 1e6 / (double)rte_get_tsc_hz();
	lc->tick_at_us = 0;
	pthread_mutex_init(&lc->letters_lock, NULL);
	lc->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lc->bell < 0 || !open_tables(lc, config) || !open_rings(lc) || !open_tcp(lc, config)) {
		rpc_log(RPC_LOG_ERROR, "no memory for lcore %u with %u flows (fewer flows, or more memory)",
		    index, config->flows);
		lcore_destroy(lc);
		return NULL;
	}
	return lc;
}

void lcore_bell(struct lcore *lc, int bell)
{
	close(lc->bell);
	lc->bell = bell;
}

void lcore_destroy(struct lcore *lc)
{
	if (lc == NULL)
		return;
	while (lc->letters != NULL) {
		struct lcore_letter *next = lc->letters->next;
		free(lc->letters);
		lc->letters = next;
	}
	reassemble_destroy(lc->reassembler);
	if (lc->shard != NULL)
		tcp_shard_destroy(lc->shard);
	if (lc->handoff != NULL)
		handoff_destroy(lc->handoff);
	for (unsigned i = 0; i < LCORES_MAX; i++)
		rte_ring_free(lc->from[i]);
	decisions_close(&lc->decisions);
	free(lc->burst);
	free(lc->scratch);
	if (lc->bell >= 0)
		close(lc->bell);
	free(lc);
}
