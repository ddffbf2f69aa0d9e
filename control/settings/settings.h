/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings: reeved.yaml, read strictly into one struct with nothing left to guess.
 *
 * Defaults are filled in here and documented in config/examples/reeved.yaml; whoever gets a `struct settings`
 * needs no default of his own. Names of users are looked up and recipients' key files are read here too,
 * because only here is the line known on which a wrong one stands.
 */
#ifndef CONTROL_SETTINGS_SETTINGS_H
#define CONTROL_SETTINGS_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/settings/yaml.h"
#include "recorder/format/format.h"

#define SETTINGS_LCORES_MAX 16
#define SETTINGS_WORKERS_MAX 32
#define SETTINGS_LINKS_MAX 8
#define SETTINGS_EAL_MAX 32
#define SETTINGS_UIDS_MAX 64
#define SETTINGS_SOCKET_MAX 100 /* sun_path less what a lock file's name adds */
#define SETTINGS_PORT_MAX 256
#define SETTINGS_NAME_MAX 32
#define SETTINGS_PATH_MAX 1024
#define SETTINGS_ENVIRONMENT_MAX 16

struct settings_link {
	char name[SETTINGS_NAME_MAX + 1];
	char inside[SETTINGS_PORT_MAX]; /* PCI address or vdev string */
	char outside[SETTINGS_PORT_MAX];
};

/* What crosses between an lcore and a worker comes in slabs of so many bytes. */
#define SETTINGS_FLOW_SLAB 8192u
#define SETTINGS_FLOW_SLABS_MAX 65536u /* a channel */

struct settings {
	/* control */
	char socket[SETTINGS_SOCKET_MAX + 1];
	char state[SETTINGS_PATH_MAX];
	uid_t admins[SETTINGS_UIDS_MAX], auditors[SETTINGS_UIDS_MAX], reporters[SETTINGS_UIDS_MAX];
	unsigned admin_count, auditor_count, reporter_count;
	uint32_t stop_grace_ms; /* that sessions get to end when reeved stops */
	/* dataplane */
	char netns[SETTINGS_NAME_MAX + 1]; /* empty: the one reeved runs in */
	uint32_t lcores[SETTINGS_LCORES_MAX];
	unsigned lcore_count;
	bool dataplane_poll; /* idle: poll */
	char eal[SETTINGS_EAL_MAX][SETTINGS_PORT_MAX];
	unsigned eal_count;
	struct settings_link links[SETTINGS_LINKS_MAX];
	unsigned link_count;
	uint32_t mtu;            /* bytes of IP datagram; 0: as the kernel-visible ports say, else 1500 */
	uint32_t mbufs;          /* in the pool of all ports */
	uint32_t flows;          /* audited flows an lcore tracks at once */
	uint32_t rx_descriptors; /* a queue */
	uint32_t tx_descriptors;
	uint32_t receive_credit; /* bytes of window that a leg begins with and always has */
	uint32_t receive_window_max;
	uint32_t receive_memory; /* bytes that the legs of an lcore share beyond receive_credit each */
	uint32_t send_credit;    /* slabs a leg on their way from a worker, to begin with */
	uint32_t send_buffer_max;
	uint32_t send_memory;  /* bytes of the slabs from a worker to an lcore */
	uint8_t congestion;    /* of the TCP towards both sides: 0 cubic, 1 newreno */
	uint32_t keepalive_ms; /* of silence before a peer is asked whether it lives; 0: never */
	/* sshterm */
	uint32_t cores[SETTINGS_WORKERS_MAX];
	unsigned worker_count;
	bool sshterm_poll;
	uint32_t sessions; /* a worker takes at once */
	uint32_t login_grace_s;
	uint32_t recorder_patience_s; /* how long a strict session waits for the recorder */
	/* keeper: a PKCS#11 token; module empty: there is none */
	char pkcs11_module[SETTINGS_PATH_MAX], pkcs11_pin_file[SETTINGS_PATH_MAX];
	char pkcs11_environment[SETTINGS_ENVIRONMENT_MAX][SETTINGS_PATH_MAX];
	unsigned pkcs11_environment_count;
	/* recorder */
	char directory[SETTINGS_PATH_MAX];
	uint8_t recipients[FORMAT_RECIPIENTS_MAX][FORMAT_KEY_SIZE];
	unsigned recipient_count;
	/* policy in force at start */
	char policy[SETTINGS_PATH_MAX];
};

/* Reads `path`. False: error holds one line "PATH:LINE:COLUMN: where: what and what was expected". */
bool settings_read(struct settings *settings, const char *path, char *error, size_t error_size);
/* The same over text in memory, named `name` in messages. */
bool settings_parse(struct settings *settings, const char *name, const char *text, size_t len, char *error,
    size_t error_size);

/* Is `argument` one of the EAL arguments, as it stands? */
bool settings_eal_has(const struct settings *settings, const char *argument);
/* The interface's name in a vdev string ("net_af_xdp0,iface=boxc" -> "boxc"; of net_tap it is what `remote=`
 * names, as the driver itself makes the one of `iface=`). False where there is none. */
bool settings_port_iface(const char *port, char *iface, size_t size);

#endif
