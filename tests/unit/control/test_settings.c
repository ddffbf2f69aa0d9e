/* SPDX-License-Identifier: Apache-2.0 */
/* reeved.yaml: the example as shipped, defaults, and a refusal with its place for each thing that can be
 * wrong. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/settings/settings.h"

static char directory[64];

/* Two keys of `reeve keygen`, one with white space around it, and a file that is none. */
static void write_key(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "w");
	cr_assert(file != NULL);
	fputs(text, file);
	fclose(file);
}

static void setup(void)
{
	snprintf(directory, sizeof(directory), "/tmp/reeve-settings-XXXXXX");
	cr_assert(mkdtemp(directory) != NULL);
	write_key("a.pub", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
	write_key("b.pub", " AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
	write_key("pair", "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
	write_key("pair.pub", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
	write_key("bad.pub", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\n");
}

static void teardown(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(settings, .init = setup, .fini = teardown);

static const char whole[] = "control: {socket: /run/p/s, state: /var/lib/p}\n"
                            "dataplane:\n"
                            "  lcores: [0]\n"
                            "  links: [{name: lab, inside: \"net_null0\", outside: \"net_null1\"}]\n"
                            "sshterm: {cores: [0]}\n"
                            "recorder: {directory: /rec, recipients: [@/a.pub]}\n"
                            "policy: /etc/p.yaml\n";

/* `whole` with `from` replaced by `to`, and @ by the directory. */
static bool parse_changed(struct settings *s, const char *from, const char *to, char *error, size_t size)
{
	char changed[4096], text[8192];
	const char *at = strstr(whole, from);
	size_t len = 0;
	cr_assert(at != NULL, "'%s' is not in the text", from);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
	for (const char *c = changed; *c != '\0'; c++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, *c == '@' ? "%s" : "%.1s", *c == '@' ? directory : c);
	return settings_parse(s, "f", text, len, error, size);
}

Test(settings, defaults)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX];
	cr_assert(parse_changed(&s, "control", "control", error, sizeof(error)), "%s", error);
	cr_expect_str_eq(s.socket, "/run/p/s");
	cr_expect_str_eq(s.netns, "");
	cr_expect_eq(s.lcore_count, 1);
	cr_expect_eq(s.worker_count, 1);
	cr_expect_eq(s.stop_grace_ms, 10000);
	cr_expect_eq(s.login_grace_s, 120);
	cr_expect_eq(s.recorder_patience_s, 5);
	cr_expect_eq(s.sessions, 10000);
	cr_expect_eq(s.mtu, 0);
	cr_expect_eq(s.mbufs, 16384);
	cr_expect_eq(s.flows, 65536);
	cr_expect_eq(s.receive_credit, 65536);
	cr_expect_eq(s.receive_window_max, 6291456);
	cr_expect_eq(s.receive_memory, 268435456);
	cr_expect_eq(s.send_credit, 32);
	cr_expect_eq(s.send_buffer_max, 6291456);
	cr_expect_eq(s.send_memory, 67108864);
	cr_expect_eq(s.congestion, 0);
	cr_expect_eq(s.keepalive_ms, 7200000);
	cr_expect_not(s.dataplane_poll || s.sshterm_poll);
	cr_expect_eq(s.recipients[0][31], 31);
	cr_expect_eq(s.admin_count + s.auditor_count + s.eal_count, 0);
}

Test(settings, everything_said)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX];
	cr_assert(parse_changed(&s, "state: /var/lib/p}",
	              "state: /v, admins: [root], auditors: [nobody, root], identity_reporters: [nobody], "
	              "stop_grace: 500ms}",
	              error, sizeof(error)),
	    "%s", error);
	cr_expect(s.admin_count == 1 && s.admins[0] == 0 && s.auditor_count == 2 && s.auditors[0] == 65534);
	cr_expect(s.reporter_count == 1 && s.reporters[0] == 65534);
	cr_expect_eq(s.stop_grace_ms, 500);
	cr_assert(parse_changed(&s, "  lcores: [0]\n",
	              "  lcores: [0]\n  netns: box\n  idle: poll\n  eal: [\"--no-huge\", \"-m\", \"512\"]\n  "
	              "mtu: 9000\n"
	              "  mbufs: 4096\n  flows: 1000\n  rx_descriptors: 512\n  tx_descriptors: 256\n"
	              "  receive_credit: 32768\n  send_credit: 8\n  receive_window_max: 131072\n"
	              "  receive_memory: 2097152\n  send_buffer_max: 65536\n  send_memory: 1048576\n  "
	              "congestion: newreno\n  keepalive: 10s\n",
	              error, sizeof(error)),
	    "%s", error);
	cr_expect(strcmp(s.netns, "box") == 0 && s.dataplane_poll && s.eal_count == 3 && s.mtu == 9000 &&
	          s.mbufs == 4096 && s.flows == 1000 && s.rx_descriptors == 512 && s.tx_descriptors == 256 &&
	          s.receive_credit == 32768 && s.receive_window_max == 131072 &&
	          s.receive_memory == 2097152 && s.send_buffer_max == 65536 && s.send_memory == 1048576 &&
	          s.send_credit == 8 && s.congestion == 1 && s.keepalive_ms == 10000);
	cr_expect_str_eq(s.eal[2], "512");
	cr_assert(parse_changed(&s, "{cores: [0]}",
	              "{cores: [0, 0], sessions: 5, login_grace: 30s, recorder_patience: 1m, idle: poll}",
	              error, sizeof(error)),
	    "%s", error);
	cr_expect(s.worker_count == 2 && s.sessions == 5 && s.login_grace_s == 30 &&
	          s.recorder_patience_s == 60 && s.sshterm_poll);
	cr_assert(parse_changed(&s, "[@/a.pub]", "[@/a.pub, @/b.pub]", error, sizeof(error)), "%s", error);
	cr_expect(s.recipient_count == 2 && s.recipients[1][0] == 1);
	cr_assert(parse_changed(&s, "[{name: lab,",
	              "[{name: pci, inside: \"0000:03:00.0\", outside: \"03:00.1\"}, {name: lab,", error,
	              sizeof(error)),
	    "%s", error);
	cr_expect(s.link_count == 2 && strcmp(s.links[0].outside, "03:00.1") == 0);
}

static const struct {
	const char *from, *to, *error;
} refused[] = {
    {"policy: /etc/p.yaml\n", "", "f:1:1: missing key 'policy'"},
    {"policy", "polcy",
        "f:7:1: unknown key 'polcy'; expected one of control, dataplane, keeper, sshterm, recorder, policy"},
    {"/etc/p.yaml", "p.yaml", "f:7:9: policy: expected an absolute path; found 'p.yaml'"},
    {"/etc/p.yaml", "/etc/../p.yaml", "f:7:9: policy: expected an absolute path"},
    {"/etc/p.yaml", "[/etc/p.yaml]", "f:7:9: policy: expected text; found a list"},
    {"socket: /run/p/s, ", "", "f:1:10: control: missing key 'socket'"},
    {"/run/p/s",
        "/012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
        "9",
        "f:1:19: control.socket: text of 101 bytes is too long; at most 100"},
    {"state: /var/lib/p", "state: /v, admins: [no-such-user-here]",
        "f:1:49: control.admins[0]: expected the name of a user of this machine; there is no "
        "'no-such-user-here'"},
    {"state: /var/lib/p", "state: /v, stop_grace: 10",
        "f:1:52: control.stop_grace: expected a time with its unit"},
    {"lcores: [0]", "lcores: [0]\n  keepalive: 5s",
        "f:4:14: dataplane.keepalive: expected 10s to 7d, or 0s for never"},
    {"lcores: [0]", "lcores: []", "f:3:11: dataplane.lcores: expected at least 1 item; found 0"},
    {"lcores: [0]", "lcores: [0, 0]", "f:3:15: dataplane.lcores[1]: CPU 0 stands in the list twice"},
    {"lcores: [0]", "lcores: [99999]", "f:3:12: dataplane.lcores[0]: expected a whole number from 0 to "},
    {"lcores: [0]", "lcores: 0", "f:3:11: dataplane.lcores: expected a list; found '0'"},
    {"lcores: [0]", "lcores: [0]\n  idle: lazy",
        "f:4:9: dataplane.idle: expected one of adaptive, poll; found 'lazy'"},
    {"lcores: [0]", "lcores: [0]\n  netns: ../box", "f:4:10: dataplane.netns: expected a name of letters"},
    {"lcores: [0]", "lcores: [0]\n  eal: [\"-l\", \"3\"]",
        "f:4:9: dataplane.eal[0]: '-l' is set by reeved itself"},
    {"lcores: [0]", "lcores: [0]\n  eal: [\"--vdev=net_x\"]",
        "f:4:9: dataplane.eal[0]: '--vdev=net_x' is set by"},
    {"lcores: [0]", "lcores: [0]\n  eal: [\"--no-huge\", \"--in-memory\"]",
        "f:4:8: dataplane.eal: --in-memory cannot go with --no-huge"},
    {"lcores: [0]", "lcores: [0]\n  mtu: 575",
        "f:4:8: dataplane.mtu: expected a whole number from 576 to 9216"},
    {"lcores: [0]", "lcores: [0]\n  send_credit: 4096",
        "f:4:16: dataplane.send_credit: expected a whole number"},
    {"lcores: [0]", "lcores: [0]\n  receive_window_max: 32768",
        "f:4:23: dataplane.receive_window_max: receive_credit is 65536, with receive_window_max it can be at "
        "most 32768"},
    {"lcores: [0]", "lcores: [0]\n  receive_memory: 8388608",
        "f:4:19: dataplane.receive_memory: receive_window_max is 6291456, with receive_memory it can be at "
        "most "
        "4194304"},
    {"lcores: [0]", "lcores: [0]\n  send_credit: 1000",
        "f:4:16: dataplane.send_credit: send_credit is 1000, with send_buffer_max it can be at most 768"},
    {"lcores: [0]", "lcores: [0]\n  send_buffer_max: 33554433",
        "f:4:20: dataplane.send_buffer_max: send_buffer_max is 33554433, with send_memory it can be at most"},
    {"lcores: [0]", "lcores: [0]\n  send_memory: 536870913",
        "f:4:16: dataplane.send_memory: expected a whole number"},
    {"net_null1", "net_null0", "f:4:53: dataplane.links[0].outside: the same port as this link's inside"},
    {"net_null1", "eth1",
        "f:4:53: dataplane.links[0].outside: expected a PCI address (\"0000:03:00.0\") or a DPDK vdev"},
    {"net_null1", "net_", "f:4:53: dataplane.links[0].outside: expected a PCI address"},
    {"net_null1", "0000:03:00.0x", "f:4:53: dataplane.links[0].outside: expected a PCI address"},
    {"net_null1", "-3:00.0", "f:4:53: dataplane.links[0].outside: expected a PCI address"},
    {"\"net_null1\"}", "\"net_null1\"}, {name: lab, inside: net_null2, outside: net_null3}",
        "f:4:74: dataplane.links[1].name: there is a link 'lab' already"},
    {"\"net_null1\"}", "\"net_null1\"}, {name: b, inside: net_null1, outside: net_null3}",
        "f:4:85: dataplane.links[1].inside: link 'lab' has this port already"},
    {"\"net_null1\"}",
        "\"net_af_xdp1,iface=a\"}, {name: b, inside: \"net_af_packet0,iface=a\", outside: net_null3}",
        "f:4:95: dataplane.links[1].inside: link 'lab' has this port already"},
    {"links: [{name: lab, inside: \"net_null0\", outside: \"net_null1\"}]", "links: []",
        "f:4:10: dataplane.links: expected at least 1 item; found 0"},
    {"{cores: [0]}", "{cores: [0], login_grace: 1s}", "f:5:36: sshterm.login_grace: expected a time"},
    {"{cores: [0]}", "{cores: [0], recorder_patience: 0s}",
        "f:5:42: sshterm.recorder_patience: expected a time"},
    {"{cores: [0]}", "{}", "f:5:10: sshterm: missing key 'cores'"},
    {"[@/a.pub]", "[]", "f:6:41: recorder.recipients: expected at least 1 item; found 0"},
    {"[@/a.pub]", "[@/none.pub]", "f:6:42: recorder.recipients[0]: cannot read the auditor's public key"},
    {"[@/a.pub]", "[@/bad.pub]", "f:6:42: recorder.recipients[0]: "},
    {"[@/a.pub]", "[@/pair]", "f:6:42: recorder.recipients[0]: /tmp/reeve-settings-"},
    {"[@/a.pub]", "[@/a.pub, @/a.pub]", "f:6:"},
    {"control:", "control: &a", "f:1:10: anchors"},
    {"control:", "keeper: {}\ncontrol:", "f:1:9: keeper: missing key 'pkcs11'"},
    {"control:", "keeper: {pkcs11: {module: /bin/sh}}\ncontrol:",
        "f:1:18: keeper.pkcs11: missing key 'pin_file'"},
    {"control:", "keeper: {pkcs11: {module: /none, pin_file: /etc/passwd}}\ncontrol:",
        "f:1:27: keeper.pkcs11.module: cannot read the PKCS#11 module /none"},
    {"control:", "keeper: {pkcs11: {module: /bin/sh, pin_file: /none}}\ncontrol:",
        "f:1:46: keeper.pkcs11.pin_file: cannot read the PIN's file /none"},
    {"control:", "keeper: {pkcs11: {module: /bin/sh, pin_file: /etc/passwd, environment: [A]}}\ncontrol:",
        "f:1:73: keeper.pkcs11.environment[0]: expected NAME=VALUE"},
};

Test(settings, refusals_say_where_and_what)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX];
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		bool good = parse_changed(&s, refused[i].from, refused[i].to, error, sizeof(error));
		cr_expect_not(good, "case %zu (%s) was accepted", i, refused[i].to);
		cr_expect(strncmp(error, refused[i].error, strlen(refused[i].error)) == 0,
		    "case %zu (%s): expected \"%s…\", got \"%s\"", i, refused[i].to, refused[i].error, error);
	}
}

/* The auditor's private key has no business on the box. */
Test(settings, a_private_key_is_no_recipient)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX];

	cr_expect_not(parse_changed(&s, "[@/a.pub]", "[@/pair]", error, sizeof(error)));
	cr_expect(strstr(error, "is the private half: expected") != NULL, "got \"%s\"", error);
	cr_expect(parse_changed(&s, "[@/a.pub]", "[@/pair.pub]", error, sizeof(error)), "got \"%s\"", error);
}

Test(settings, a_directory_is_no_settings)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX];

	cr_expect_not(settings_read(&s, directory, error, sizeof(error)));
	cr_expect(strstr(error, "Is a directory") != NULL, "got \"%s\"", error);
}

Test(settings, interfaces_of_ports)
{
	static const struct {
		const char *port, *iface;
	} cases[] = {{"net_af_xdp0,iface=boxc", "boxc"}, {"net_af_xdp0,iface=boxc,start_queue=0", "boxc"},
	    {"net_af_packet0,blocksz=65536,iface=eth1", "eth1"}, {"net_tap0,iface=dtap0,remote=eth1", "eth1"},
	    {"net_tap0,iface=dtap0", NULL}, {"0000:03:00.0", NULL}, {"net_null0", NULL},
	    {"net_af_xdp0,iface=", NULL}, {"net_af_xdp0,iface=0123456789abcdef", NULL}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char iface[16] = "";
		bool found = settings_port_iface(cases[i].port, iface, sizeof(iface));
		cr_expect_eq(found, cases[i].iface != NULL, "%s", cases[i].port);
		if (found && cases[i].iface != NULL)
			cr_expect_str_eq(iface, cases[i].iface);
	}
}

/* What we ship as an example is accepted but for the key file that only an installed box has, and no key of
 * `struct settings` is missing from it. */
Test(settings, the_example_is_right)
{
	static struct settings s;
	char error[YAML_MESSAGE_MAX], text[16384], changed[16384];
	FILE *file = fopen(EXAMPLE, "r");
	cr_assert(file != NULL);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	/* Un-comment the defaults: "# key: value" becomes "key: value"; prose and the alternative link stay
	 * comments. */
	size_t len = 0;
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *mark = strstr(line, "  # ");
		size_t word = mark == NULL ? 0 : strspn(mark + 4, "abcdefghijklmnopqrstuvwxyz_");
		if (word > 0 && mark[4 + word] == ':' && strspn(line, " ") == (size_t)(mark - line) + 2)
			memmove(mark + 2, mark + 4, strlen(mark + 4) + 1);
		char *key = strstr(line, "/etc/portreeve/sshkey.pub");
		char *cpu = strstr(line, "cores: [1]");
		if (cpu != NULL)
			cpu[8] = '0';
		if (key != NULL)
			len += (size_t)snprintf(
			    changed + len, sizeof(changed) - len, "  recipients: [%s/a.pub]\n", directory);
		else
			len += (size_t)snprintf(changed + len, sizeof(changed) - len, "%s\n", line);
	}
	cr_assert(
	    settings_parse(&s, "reeved.yaml", changed, len, error, sizeof(error)), "%s\n%s", error, changed);
	cr_expect(s.mtu == 1500 && s.stop_grace_ms == 10000 && s.sessions == 10000 && s.flows == 65536 &&
	          s.send_credit == 32 && s.receive_credit == 65536 && s.receive_window_max == 6 << 20 &&
	          s.send_memory == 64 << 20 && s.login_grace_s == 120 && s.recorder_patience_s == 5 &&
	          s.mbufs == 16384);
	static const char *const keys[] = {"admins:", "auditors:", "identity_reporters:", "stop_grace:",
	    "netns:", "idle:", "mtu:", "mbufs:", "flows:", "rx_descriptors:", "tx_descriptors:",
	    "receive_credit:", "send_credit:", "receive_window_max:", "receive_memory:", "send_buffer_max:",
	    "send_memory:", "congestion:", "keepalive:", "sessions:", "login_grace:", "recorder_patience:"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		cr_expect(strstr(changed, keys[i]) != NULL, "the example does not explain %s", keys[i]);
}
