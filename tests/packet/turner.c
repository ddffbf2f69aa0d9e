/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turner LCORES: a worker for dataplane.py, which plays all other processes itself. Makes the slab channels
 * with each lcore, hands them over on the socket that is its descriptor 3 (a message a lcore: memfd towards
 * the worker, memfd back, the worker's bell, the lcore's bell), and relays the bytes of adopted connections
 * from leg to leg until the socket closes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lab/null_worker/turn.h"

enum {
	LINK = 3,
	SLABS = 256,
	SLAB_BYTES = 8192,
	EPOCH = 1,
	SLEEP_MS = 1000,
	DESCRIPTORS = 4,
	LCORES_MAX = 8
};

static int hand_over(const int fds[DESCRIPTORS])
{
	char space[CMSG_SPACE(DESCRIPTORS * sizeof(int))] = {0}, byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(DESCRIPTORS * sizeof(int));
	memcpy(CMSG_DATA(header), fds, DESCRIPTORS * sizeof(int));
	return sendmsg(LINK, &message, 0) == 1 ? 0 : -errno;
}

static int attach(struct turn_lane *lane, int bell)
{
	int fds[DESCRIPTORS] = {slab_create(SLABS, SLAB_BYTES, EPOCH), slab_create(SLABS, SLAB_BYTES, EPOCH),
	    bell, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

	*lane = (struct turn_lane){.mode = TURN_RELAY, .epoch = EPOCH};
	for (unsigned i = 0; i < DESCRIPTORS; i++)
		if (fds[i] < 0)
			return -EMFILE;
	int error = hand_over(fds);
	if (error == 0)
		error = slab_consumer_open(&lane->in, fds[0], dup(fds[3]));
	if (error == 0)
		error = slab_producer_open(&lane->out, fds[1], fds[3]);
	return error;
}

/* False: the test has ended. */
static bool sleep_until_rung(struct turn_lane *lanes, unsigned count, int bell)
{
	struct pollfd on[] = {{.fd = bell, .events = POLLIN}, {.fd = LINK, .events = POLLIN}};
	uint64_t rings;
	bool ready = false;

	for (unsigned i = 0; i < count; i++) {
		turn_asleep(&lanes[i], true);
		ready |= turn_ready(&lanes[i]);
	}
	if (!ready)
		(void)poll(on, 2, SLEEP_MS);
	for (unsigned i = 0; i < count; i++)
		turn_asleep(&lanes[i], false);
	if (on[0].revents != 0 && read(bell, &rings, sizeof(rings)) < 0)
		return errno == EAGAIN;
	return on[1].revents == 0;
}

int main(int argc, char **argv)
{
	static struct turn_lane lanes[LCORES_MAX];
	unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	int error = 0, bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bool corrupt = false;

	if (count == 0 || count > LCORES_MAX)
		return 2;
	for (unsigned i = 0; i < count && error == 0; i++)
		error = attach(&lanes[i], bell);
	if (error != 0) {
		fprintf(stderr, "turner: %s\n", strerror(-error));
		return 1;
	}
	do {
		for (unsigned i = 0; i < count; i++) {
			while (turn_poll(&lanes[i]) && !turn_corrupt(&lanes[i]))
				turn_settle(&lanes[i]);
			turn_settle(&lanes[i]);
			corrupt |= turn_corrupt(&lanes[i]);
		}
	} while (!corrupt && sleep_until_rung(lanes, count, bell));
	return corrupt;
}
