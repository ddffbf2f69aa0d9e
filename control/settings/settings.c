/* SPDX-License-Identifier: Apache-2.0 */
#include "control/settings/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	KEEPALIVE_LEAST_MS = 10000,
	KEEPALIVE_USUAL_MS = 7200000 /* RFC 9293 3.8.4 */,
	KEEPALIVE_MOST_MS = 604800000
};

static const char *const idle_names[] = {"adaptive", "poll", NULL};
static const char *const congestion_names[] = {"cubic", "newreno", NULL};

/* An absolute path without "..": children run elsewhere, and what stands in a log must be what was meant. */
static bool read_path(struct yaml_doc *doc, const struct yaml_node *node, char *path, size_t size)
{
	const char *text;

	if (!yaml_text(doc, node, size - 1, &text))
		return false;
	if (text[0] != '/' || strstr(text, "/../") != NULL)
		return yaml_fail(doc, node, "expected an absolute path; found '%.64s'", text);
	snprintf(path, size, "%s", text);
	return true;
}

static bool name_valid(const char *name)
{
	if (!isalnum((unsigned char)name[0]))
		return false;
	for (; *name != '\0'; name++)
		if (!isalnum((unsigned char)*name) && strchr("._-", *name) == NULL)
			return false;
	return true;
}

static bool read_name(struct yaml_doc *doc, const struct yaml_node *node, char *name, size_t size)
{
	const char *text;

	if (!yaml_text(doc, node, size - 1, &text))
		return false;
	if (!name_valid(text))
		return yaml_fail(
		    doc, node, "expected a name of letters, digits, '.', '_', '-'; found '%.64s'", text);
	snprintf(name, size, "%s", text);
	return true;
}

static bool read_uids(
    struct yaml_doc *doc, const struct yaml_node *list, uid_t uids[SETTINGS_UIDS_MAX], unsigned *count)
{
	const char *name;

	if (!yaml_list(doc, list, 0, SETTINGS_UIDS_MAX))
		return false;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		if (!yaml_text(doc, at, 64, &name))
			return false;
		const struct passwd *user = getpwnam(name);
		if (user == NULL)
			return yaml_fail(doc, at,
			    "expected the name of a user of this machine; there is no '%.64s'", name);
		uids[(*count)++] = user->pw_uid;
	}
	return true;
}

static void read_control(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	static const char *const keys[] = {
	    "socket", "state", "admins", "auditors", "identity_reporters", "stop_grace", NULL};
	uint64_t grace_ms = 10000;

	yaml_map(doc, map, keys, NULL);
	read_path(doc, yaml_need(doc, map, "socket"), s->socket, sizeof(s->socket));
	read_path(doc, yaml_need(doc, map, "state"), s->state, sizeof(s->state));
	read_uids(doc, yaml_get(map, "admins"), s->admins, &s->admin_count);
	read_uids(doc, yaml_get(map, "auditors"), s->auditors, &s->auditor_count);
	read_uids(doc, yaml_get(map, "identity_reporters"), s->reporters, &s->reporter_count);
	yaml_duration(doc, yaml_get(map, "stop_grace"), 0, 600000, &grace_ms);
	s->stop_grace_ms = (uint32_t)grace_ms;
}

/* Numbers of CPUs of this machine. */
static bool read_cpus(struct yaml_doc *doc, const struct yaml_node *list, uint32_t *cpus, unsigned max,
    bool distinct, unsigned *count)
{
	long last = sysconf(_SC_NPROCESSORS_CONF) - 1;

	if (!yaml_list(doc, list, 1, max))
		return false;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		uint32_t cpu;
		if (!yaml_u32(doc, at, 0, (uint32_t)last, &cpu))
			return false;
		for (unsigned i = 0; distinct && i < *count; i++)
			if (cpus[i] == cpu)
				return yaml_fail(doc, at, "CPU %u stands in the list twice", cpu);
		cpus[(*count)++] = cpu;
	}
	return true;
}

/* What follows 1 to `most` hexadecimal digits and `end`; NULL: something else stands there. */
static const char *after_hex(const char *text, size_t most, char end)
{
	size_t digits = text == NULL ? 0 : strspn(text, "0123456789abcdefABCDEF");

	return digits >= 1 && digits <= most && text[digits] == end ? text + digits + 1 : NULL;
}

/* "03:00.0" */
static bool is_bus_address(const char *text)
{
	return after_hex(after_hex(after_hex(text, 2, ':'), 2, '.'), 1, '\0') != NULL;
}

/* "0000:03:00.0", or without the domain. */
static bool is_pci(const char *text)
{
	return is_bus_address(text) || is_bus_address(after_hex(text, 4, ':'));
}

static bool is_vdev(const char *text)
{
	return strncmp(text, "net_", 4) == 0 && isalnum((unsigned char)text[4]) &&
	       strpbrk(text, " \t\"'\\") == NULL;
}

bool settings_port_iface(const char *port, char *iface, size_t size)
{
	const char *key = strncmp(port, "net_tap", 7) == 0 ? ",remote=" : ",iface=";
	const char *at = strstr(port, key);

	if (at == NULL)
		return false;
	at += strlen(key);
	size_t len = strcspn(at, ",");
	if (len == 0 || len >= size)
		return false;
	memcpy(iface, at, len);
	iface[len] = '\0';
	return true;
}

/* Two ports are the same where their device or their interface is. */
static bool same_port(const char *a, const char *b)
{
	char iface_a[SETTINGS_PORT_MAX], iface_b[SETTINGS_PORT_MAX];
	size_t name = strcspn(a, ",");

	if (name == strcspn(b, ",") && strncmp(a, b, name) == 0)
		return true;
	return settings_port_iface(a, iface_a, sizeof(iface_a)) &&
	       settings_port_iface(b, iface_b, sizeof(iface_b)) && strcmp(iface_a, iface_b) == 0;
}

static bool read_port(struct yaml_doc *doc, const struct yaml_node *node, const struct settings *s,
    const char *sibling, char *port)
{
	const char *text;

	if (!yaml_text(doc, node, SETTINGS_PORT_MAX - 1, &text))
		return false;
	if (!is_pci(text) && !is_vdev(text))
		return yaml_fail(doc, node,
		    "expected a PCI address (\"0000:03:00.0\") or a DPDK vdev (\"net_af_xdp0,iface=eth1\"); "
		    "found '%.64s'",
		    text);
	if (sibling != NULL && same_port(text, sibling))
		return yaml_fail(doc, node, "the same port as this link's inside: a link needs two");
	for (unsigned i = 0; i < s->link_count; i++)
		if (same_port(text, s->links[i].inside) || same_port(text, s->links[i].outside))
			return yaml_fail(doc, node, "link '%s' has this port already", s->links[i].name);
	snprintf(port, SETTINGS_PORT_MAX, "%s", text);
	return true;
}

static bool read_links(struct yaml_doc *doc, const struct yaml_node *list, struct settings *s)
{
	static const char *const keys[] = {"name", "inside", "outside", NULL};

	if (!yaml_list(doc, list, 1, SETTINGS_LINKS_MAX))
		return false;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		struct settings_link *link = &s->links[s->link_count];
		const struct yaml_node *name;
		if (!yaml_map(doc, at, keys, NULL) || (name = yaml_need(doc, at, "name")) == NULL ||
		    !read_name(doc, name, link->name, sizeof(link->name)) ||
		    !read_port(doc, yaml_need(doc, at, "inside"), s, NULL, link->inside) ||
		    !read_port(doc, yaml_need(doc, at, "outside"), s, link->inside, link->outside))
			return false;
		for (unsigned i = 0; i < s->link_count; i++)
			if (strcmp(s->links[i].name, link->name) == 0)
				return yaml_fail(doc, name, "there is a link '%s' already", link->name);
		s->link_count++;
	}
	return true;
}

/* Arguments that reeved or the dataplane gives itself: a second word on them would be silently half-obeyed.
 */
static bool eal_ours(const char *argument)
{
	static const char *const ours[] = {"-l", "-c", "-a", "-b", "-w", "--lcores", "--main-lcore",
	    "--coremask", "--corelist", "--file-prefix", "--proc-type", "--vdev", "--allow", "--block",
	    "--no-pci", "--huge-unlink", NULL};

	for (unsigned i = 0; ours[i] != NULL; i++) {
		size_t len = strlen(ours[i]);
		if (strncmp(argument, ours[i], len) == 0 && (argument[len] == '\0' || argument[len] == '='))
			return true;
	}
	return false;
}

bool settings_eal_has(const struct settings *s, const char *argument)
{
	for (unsigned i = 0; i < s->eal_count; i++)
		if (strcmp(s->eal[i], argument) == 0)
			return true;
	return false;
}

static bool read_eal(struct yaml_doc *doc, const struct yaml_node *list, struct settings *s)
{
	const char *text;

	if (!yaml_list(doc, list, 0, SETTINGS_EAL_MAX))
		return false;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		if (!yaml_text(doc, at, SETTINGS_PORT_MAX - 1, &text))
			return false;
		if (eal_ours(text))
			return yaml_fail(
			    doc, at, "'%.64s' is set by reeved itself (lcores and links say it)", text);
		snprintf(s->eal[s->eal_count++], SETTINGS_PORT_MAX, "%s", text);
	}
	/* EAL starts with both and then loses its memory: a fact of DPDK 22.11. */
	if (settings_eal_has(s, "--in-memory") && settings_eal_has(s, "--no-huge"))
		return yaml_fail(doc, list,
		    "--in-memory cannot go with --no-huge; use --no-huge --no-shconf -m MEGABYTES");
	return true;
}

/* Where `a` and `b` cannot both be, says so at whichever of them the file has. */
static bool fits(struct yaml_doc *doc, const struct yaml_node *map, const char *a, const char *b,
    uint64_t has, uint64_t most, const char *why)
{
	const struct yaml_node *at = yaml_get(map, a) != NULL ? yaml_get(map, a) : yaml_get(map, b);

	if (has <= most)
		return true;
	return yaml_fail(doc, at != NULL ? at : map, "%s is %llu, with %s it can be at most %llu: %s", a,
	    (unsigned long long)has, b, (unsigned long long)most, why);
}

static void read_windows(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	yaml_u32(doc, yaml_get(map, "receive_credit"), 16384, 1u << 24, &s->receive_credit);
	yaml_u32(doc, yaml_get(map, "receive_window_max"), 16384, 1u << 26, &s->receive_window_max);
	yaml_u32(doc, yaml_get(map, "receive_memory"), 1u << 20, 0xf0000000u, &s->receive_memory);
	yaml_u32(doc, yaml_get(map, "send_credit"), 4, 2048, &s->send_credit);
	yaml_u32(
	    doc, yaml_get(map, "send_buffer_max"), 4 * SETTINGS_FLOW_SLAB, 1u << 26, &s->send_buffer_max);
	yaml_u32(doc, yaml_get(map, "send_memory"), 1u << 20, SETTINGS_FLOW_SLABS_MAX * SETTINGS_FLOW_SLAB,
	    &s->send_memory);
	if (!yaml_ok(doc))
		return;
	if (fits(doc, map, "receive_credit", "receive_window_max", s->receive_credit, s->receive_window_max,
	        "a window begins with receive_credit and grows") &&
	    fits(doc, map, "receive_window_max", "receive_memory", s->receive_window_max,
	        s->receive_memory / 2, "one leg gets half of the memory at most") &&
	    fits(doc, map, "send_credit", "send_buffer_max", s->send_credit,
	        s->send_buffer_max / SETTINGS_FLOW_SLAB,
	        "a buffer begins with send_credit slabs of 8 KiB and grows"))
		fits(doc, map, "send_buffer_max", "send_memory", s->send_buffer_max, s->send_memory / 2,
		    "one leg gets half of the memory at most");
}

static void read_dataplane(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	static const char *const keys[] = {"netns", "lcores", "idle", "eal", "links", "mtu", "mbufs", "flows",
	    "rx_descriptors", "tx_descriptors", "receive_credit", "receive_window_max", "receive_memory",
	    "send_credit", "send_buffer_max", "send_memory", "congestion", "keepalive", NULL};
	uint64_t keepalive_ms = KEEPALIVE_USUAL_MS;
	unsigned idle = 0, congestion = 0;

	yaml_map(doc, map, keys, NULL);
	read_name(doc, yaml_get(map, "netns"), s->netns, sizeof(s->netns));
	read_cpus(doc, yaml_need(doc, map, "lcores"), s->lcores, SETTINGS_LCORES_MAX, true, &s->lcore_count);
	yaml_choice(doc, yaml_get(map, "idle"), idle_names, NULL, &idle);
	s->dataplane_poll = idle == 1;
	read_eal(doc, yaml_get(map, "eal"), s);
	read_links(doc, yaml_need(doc, map, "links"), s);
	yaml_u32(doc, yaml_get(map, "mtu"), 576, 9216, &s->mtu);
	yaml_u32(doc, yaml_get(map, "mbufs"), 1024, 1u << 24, &s->mbufs);
	yaml_u32(doc, yaml_get(map, "flows"), 64, 1u << 24, &s->flows);
	yaml_u32(doc, yaml_get(map, "rx_descriptors"), 64, 32768, &s->rx_descriptors);
	yaml_u32(doc, yaml_get(map, "tx_descriptors"), 64, 32768, &s->tx_descriptors);
	read_windows(doc, map, s);
	yaml_choice(doc, yaml_get(map, "congestion"), congestion_names, NULL, &congestion);
	s->congestion = (uint8_t)congestion;
	const struct yaml_node *keepalive = yaml_get(map, "keepalive");
	yaml_duration(doc, keepalive, 0, KEEPALIVE_MOST_MS, &keepalive_ms);
	if (keepalive_ms > 0 && keepalive_ms < KEEPALIVE_LEAST_MS)
		yaml_fail(doc, keepalive, "expected 10s to 7d, or 0s for never");
	s->keepalive_ms = (uint32_t)keepalive_ms;
}

static void read_sshterm(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	static const char *const keys[] = {
	    "cores", "sessions", "login_grace", "recorder_patience", "idle", NULL};
	uint64_t grace_ms = 120000, patience_ms = 5000;
	unsigned idle = 0;

	yaml_map(doc, map, keys, NULL);
	read_cpus(doc, yaml_need(doc, map, "cores"), s->cores, SETTINGS_WORKERS_MAX, false, &s->worker_count);
	yaml_u32(doc, yaml_get(map, "sessions"), 1, 60000, &s->sessions);
	yaml_duration(doc, yaml_get(map, "login_grace"), 5000, 3600000, &grace_ms);
	s->login_grace_s = (uint32_t)(grace_ms / 1000);
	yaml_duration(doc, yaml_get(map, "recorder_patience"), 1000, 600000, &patience_ms);
	s->recorder_patience_s = (uint32_t)(patience_ms / 1000);
	yaml_choice(doc, yaml_get(map, "idle"), idle_names, NULL, &idle);
	s->sshterm_poll = idle == 1;
}

/* A key file of `reeve keygen`. */
static bool read_recipient(
    struct yaml_doc *doc, const struct yaml_node *node, const char *path, uint8_t key[FORMAT_KEY_SIZE])
{
	char text[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return yaml_fail(doc, node,
		    "cannot read the auditor's public key %s: %s (reeve keygen makes one)", path,
		    strerror(error));
	char pair[SETTINGS_PATH_MAX + 8];
	snprintf(pair, sizeof(pair), "%s.pub", path);
	if (access(pair, F_OK) == 0) {
		explicit_bzero(text, sizeof(text));
		return yaml_fail(doc, node,
		    "%s is the private half: expected %s (and the private one is better kept off the box)",
		    path, pair);
	}
	if (format_key_decode(text, (size_t)len, key) != 0)
		return yaml_fail(
		    doc, node, "%s is not a public key of `reeve keygen` (44 characters of base64)", path);
	return true;
}

static bool read_recipients(struct yaml_doc *doc, const struct yaml_node *list, struct settings *s)
{
	char path[SETTINGS_PATH_MAX];

	if (!yaml_list(doc, list, 1, FORMAT_RECIPIENTS_MAX))
		return false;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		uint8_t *key = s->recipients[s->recipient_count];
		if (!read_path(doc, at, path, sizeof(path)) || !read_recipient(doc, at, path, key))
			return false;
		for (unsigned i = 0; i < s->recipient_count; i++)
			if (memcmp(s->recipients[i], key, FORMAT_KEY_SIZE) == 0)
				return yaml_fail(doc, at, "the same key as recipients[%u]", i);
		s->recipient_count++;
	}
	return true;
}

static void read_recorder(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	static const char *const keys[] = {"directory", "recipients", NULL};

	yaml_map(doc, map, keys, NULL);
	read_path(doc, yaml_need(doc, map, "directory"), s->directory, sizeof(s->directory));
	read_recipients(doc, yaml_need(doc, map, "recipients"), s);
}

/* What a vendor's module wants to have in its environment. */
static void read_environment(struct yaml_doc *doc, const struct yaml_node *list, struct settings *s)
{
	const char *text;

	if (list == NULL || !yaml_list(doc, list, 0, SETTINGS_ENVIRONMENT_MAX))
		return;
	for (const struct yaml_node *at = list->first; at != NULL; at = at->next) {
		if (!yaml_text(doc, at, SETTINGS_PATH_MAX - 1, &text))
			return;
		const char *equals = strchr(text, '=');
		if (equals == NULL || equals == text) {
			yaml_fail(doc, at, "expected NAME=VALUE");
			return;
		}
		snprintf(s->pkcs11_environment[s->pkcs11_environment_count++], SETTINGS_PATH_MAX, "%s", text);
	}
}

static void read_keeper(struct yaml_doc *doc, const struct yaml_node *map, struct settings *s)
{
	static const char *const keys[] = {"pkcs11", NULL};
	static const char *const pkcs11_keys[] = {"module", "pin_file", "environment", NULL};

	if (map == NULL || !yaml_map(doc, map, keys, NULL))
		return;
	const struct yaml_node *pkcs11 = yaml_need(doc, map, "pkcs11");
	if (!yaml_map(doc, pkcs11, pkcs11_keys, NULL))
		return;
	const struct yaml_node *module = yaml_need(doc, pkcs11, "module");
	const struct yaml_node *pin_file = yaml_need(doc, pkcs11, "pin_file");
	if (read_path(doc, module, s->pkcs11_module, sizeof(s->pkcs11_module)) &&
	    access(s->pkcs11_module, R_OK) != 0)
		yaml_fail(
		    doc, module, "cannot read the PKCS#11 module %s: %s", s->pkcs11_module, strerror(errno));
	if (read_path(doc, pin_file, s->pkcs11_pin_file, sizeof(s->pkcs11_pin_file)) &&
	    access(s->pkcs11_pin_file, R_OK) != 0)
		yaml_fail(
		    doc, pin_file, "cannot read the PIN's file %s: %s", s->pkcs11_pin_file, strerror(errno));
	read_environment(doc, yaml_get(pkcs11, "environment"), s);
}

static void read_all(struct yaml_doc *doc, struct settings *s)
{
	static const char *const keys[] = {
	    "control", "dataplane", "keeper", "sshterm", "recorder", "policy", NULL};

	yaml_map(doc, doc->root, keys, NULL);
	read_control(doc, yaml_need(doc, doc->root, "control"), s);
	read_dataplane(doc, yaml_need(doc, doc->root, "dataplane"), s);
	read_keeper(doc, yaml_get(doc->root, "keeper"), s);
	read_sshterm(doc, yaml_need(doc, doc->root, "sshterm"), s);
	read_recorder(doc, yaml_need(doc, doc->root, "recorder"), s);
	read_path(doc, yaml_need(doc, doc->root, "policy"), s->policy, sizeof(s->policy));
}

static bool finish(struct settings *s, struct yaml_doc *doc, char *error, size_t error_size)
{
	*s = (struct settings){
	    .mbufs = 16384,
	    .flows = 65536,
	    .rx_descriptors = 1024,
	    .tx_descriptors = 1024,
	    .receive_credit = 64 * 1024,
	    .receive_window_max = 6 << 20,
	    .receive_memory = 256u << 20,
	    .send_credit = 32,
	    .send_buffer_max = 6 << 20,
	    .send_memory = 64u << 20,
	    .sessions = 10000,
	};
	if (doc->root != NULL)
		read_all(doc, s);
	bool good = yaml_ok(doc);
	snprintf(error, error_size, "%s", good ? "" : doc->error);
	yaml_doc_free(doc);
	return good;
}

bool settings_read(struct settings *s, const char *path, char *error, size_t error_size)
{
	struct yaml_doc doc;

	yaml_parse_file(&doc, path);
	return finish(s, &doc, error, error_size);
}

bool settings_parse(
    struct settings *s, const char *name, const char *text, size_t len, char *error, size_t error_size)
{
	struct yaml_doc doc;

	yaml_parse(&doc, name, text, len);
	return finish(s, &doc, error, error_size);
}
