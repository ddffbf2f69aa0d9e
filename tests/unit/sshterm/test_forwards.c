/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which forwardings pass: from the text of a policy to the answer that a worker gives, hostile spellings
 * included; and what an origin may announce.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/policy/policy.h"
#include "sshterm/forwards.h"
#include "sshterm/listening.h"

#define RULE(forward)                                                                                        \
	"default: allow\nrules:\n  - {name: r, action: audit_ssh, match: {dst_port: 22}, ssh: {users: "      \
	"{names: "                                                                                           \
	"[alice]}, logins: [root], " forward "}}\n"

static struct policy *parse(const char *text, struct policy_fault *fault)
{
	static const struct policy_context context = {.recipient_count = 1};

	return policy_parse("p", text, strlen(text), &context, fault);
}

static struct policy *accept(const char *text)
{
	struct policy_fault fault;
	struct policy *policy = parse(text, &fault);

	cr_assert_not_null(policy, "%s: %s", text, fault.text);
	return policy;
}

static struct wire_span rules_of(const struct policy *policy)
{
	const struct policy_ssh *ssh = policy->rules[0].ssh;
	struct wire_span rules = {ssh->forwards, ssh->forwards_len};

	cr_assert(rpc_forwards_valid(rules), "control made what no worker takes");
	return rules;
}

#define LISTS                                                                                                \
	RULE("forward: {local: [\"*.Example.org:443\", \"db.example.org.:5432-5433\", \"10.1.0.0/16:*\", "   \
	     "\"192.0.2.7:22\", \"[2001:db8::]/32:80\", \"[::1]:*\"], "                                      \
	     "remote: [\"localhost:8000-8100\", \"127.0.0.1:0-65535\"], "                                    \
	     "unix_local: [/run/app/*.sock, /var/run/docker.sock], unix_remote: [\"/home/*/s*k\"], tun: "    \
	     "false}")

static const struct {
	enum rpc_forward_kind kind;
	const char *host;
	size_t len; /* 0: all of the text */
	uint32_t port;
	bool allowed;
} hosts[] = {
    /* as the lists say */
    {RPC_FORWARD_LOCAL, "www.example.org", 0, 443, true},
    {RPC_FORWARD_LOCAL, "a.b.example.org", 0, 443, true},
    {RPC_FORWARD_LOCAL, "www.example.org", 0, 80, false},
    {RPC_FORWARD_LOCAL, "example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "db.example.org", 0, 5432, true},
    {RPC_FORWARD_LOCAL, "db.example.org", 0, 5433, true},
    {RPC_FORWARD_LOCAL, "db.example.org", 0, 5434, false},
    {RPC_FORWARD_LOCAL, "10.1.2.3", 0, 1, true},
    {RPC_FORWARD_LOCAL, "10.2.0.1", 0, 1, false},
    {RPC_FORWARD_LOCAL, "192.0.2.7", 0, 22, true},
    {RPC_FORWARD_LOCAL, "192.0.2.8", 0, 22, false},
    {RPC_FORWARD_LOCAL, "2001:db8:1::5", 0, 80, true},
    {RPC_FORWARD_LOCAL, "2001:db9::5", 0, 80, false},
    {RPC_FORWARD_LOCAL, "::1", 0, 9, true},
    {RPC_FORWARD_REMOTE, "localhost", 0, 8000, true},
    {RPC_FORWARD_REMOTE, "localhost", 0, 8101, false},
    {RPC_FORWARD_REMOTE, "127.0.0.1", 0, 0, true},
    /* another kind's list */
    {RPC_FORWARD_REMOTE, "10.1.2.3", 0, 8000, false},
    {RPC_FORWARD_LOCAL, "localhost", 0, 8000, false},
    /* case, and the root's dot */
    {RPC_FORWARD_LOCAL, "WWW.EXAMPLE.ORG", 0, 443, true},
    {RPC_FORWARD_LOCAL, "db.example.org.", 0, 5432, true},
    {RPC_FORWARD_LOCAL, "db.example.org..", 0, 5432, false},
    {RPC_FORWARD_LOCAL, ".example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "a..example.org", 0, 443, false},
    /* IPv4 in IPv6 is IPv4 */
    {RPC_FORWARD_LOCAL, "::ffff:10.1.2.3", 0, 80, true},
    {RPC_FORWARD_LOCAL, "::ffff:a01:203", 0, 80, true},
    {RPC_FORWARD_LOCAL, "::ffff:10.2.2.3", 0, 80, false},
    {RPC_FORWARD_LOCAL, "0:0:0:0:0:FFFF:192.0.2.7", 0, 22, true},
    {RPC_FORWARD_LOCAL, "::10.1.2.3", 0, 80, false},
    /* spellings that somebody's resolver takes for an address */
    {RPC_FORWARD_LOCAL, "0xa.1.2.3", 0, 80, false},
    {RPC_FORWARD_LOCAL, "10.1.515", 0, 80, false},
    {RPC_FORWARD_LOCAL, "10.66051", 0, 80, false},
    {RPC_FORWARD_LOCAL, "167838211", 0, 80, false},
    {RPC_FORWARD_LOCAL, "0x0a010203", 0, 80, false},
    {RPC_FORWARD_LOCAL, "012.1.2.3", 0, 80, false},
    {RPC_FORWARD_LOCAL, "10.1.2.3.", 0, 80, false},
    {RPC_FORWARD_LOCAL, " 10.1.2.3", 0, 80, false},
    {RPC_FORWARD_LOCAL, "10.1.2.3 ", 0, 80, false},
    {RPC_FORWARD_LOCAL, "[::1]", 0, 80, false},
    {RPC_FORWARD_LOCAL, "::1%lo", 0, 80, false},
    {RPC_FORWARD_LOCAL, "2001:db8::1%eth0.example.org", 0, 443, false},
    {RPC_FORWARD_REMOTE, "0x7f.1", 0, 9000, false},
    {RPC_FORWARD_REMOTE, "127.1", 0, 9000, false},
    /* what is cut for some and not for others */
    {RPC_FORWARD_LOCAL, "evil.net\0.example.org", 21, 443, false},
    {RPC_FORWARD_LOCAL, "www.example.org\0", 16, 443, false},
    {RPC_FORWARD_LOCAL, "evil.net/.example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "evil.net:80#.example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "evil@www.example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "evil.net\n.example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "\xe2\x80\xae.example.org", 0, 443, false},
    {RPC_FORWARD_LOCAL, "1.0x7f.example.org", 0, 443, true}, /* a name: it ends in one */
    /* nothing at all, and all addresses */
    {RPC_FORWARD_LOCAL, "", 0, 443, false},
    {RPC_FORWARD_REMOTE, "", 0, 8000, false},
    {RPC_FORWARD_REMOTE, "*", 0, 8000, false},
    {RPC_FORWARD_REMOTE, "0.0.0.0", 0, 8000, false},
    {RPC_FORWARD_REMOTE, "::", 0, 8000, false},
    /* ports beyond 16 bits, which some would cut */
    {RPC_FORWARD_LOCAL, "www.example.org", 0, 65536 + 443, false},
    {RPC_FORWARD_LOCAL, "10.1.2.3", 0, 65536, false},
    {RPC_FORWARD_REMOTE, "127.0.0.1", 0, 65536 + 80, false},
};

Test(forwards, hosts_by_a_list)
{
	struct policy *policy = accept(LISTS);

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t len = hosts[i].len > 0 ? hosts[i].len : strlen(hosts[i].host);
		struct wire_span host = {(const uint8_t *)hosts[i].host, len};

		cr_expect_eq(forwards_allow_host(rules_of(policy), hosts[i].kind, host, hosts[i].port),
		    hosts[i].allowed, "kind %d, '%s' port %u", hosts[i].kind, hosts[i].host, hosts[i].port);
	}
	policy_release(policy);
}

static const struct {
	enum rpc_forward_kind kind;
	const char *path;
	size_t len;
	bool allowed;
} paths[] = {
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/one.sock", 0, true},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/.sock", 0, true},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/one.socks", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/sub/one.sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/var/run/docker.sock", 0, true},
    {RPC_FORWARD_UNIX_LOCAL, "/VAR/run/docker.sock", 0, false},
    {RPC_FORWARD_UNIX_REMOTE, "/home/alice/sock", 0, true},
    {RPC_FORWARD_UNIX_REMOTE, "/home/alice/sk", 0, true},
    {RPC_FORWARD_UNIX_REMOTE, "/home/alice/s/k", 0, false},
    {RPC_FORWARD_UNIX_REMOTE, "/home/alice/bob/sock", 0, false},
    {RPC_FORWARD_UNIX_REMOTE, "/home//sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/home/alice/sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/../app/one.sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/./one.sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app//one.sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "//run/app/one.sock", 0, false},
    {RPC_FORWARD_UNIX_REMOTE, "/home/../sock", 0, false},
    {RPC_FORWARD_UNIX_REMOTE, "/home/./sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "run/app/one.sock", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/etc/evil\0/run/app/one.sock", 27, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/evil\0.sock", 19, false},
    {RPC_FORWARD_UNIX_LOCAL, "/run/app/one.sock/", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "", 0, false},
    {RPC_FORWARD_UNIX_LOCAL, "/", 0, false},
};

Test(forwards, paths_by_a_list)
{
	struct policy *policy = accept(LISTS);

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t len = paths[i].len > 0 ? paths[i].len : strlen(paths[i].path);

		cr_expect_eq(forwards_allow_path(rules_of(policy), paths[i].kind,
		                 (struct wire_span){(const uint8_t *)paths[i].path, len}),
		    paths[i].allowed, "kind %d, '%s'", paths[i].kind, paths[i].path);
	}
	policy_release(policy);
}

Test(forwards, any_host_and_every_network)
{
	struct policy *policy =
	    accept(RULE("forward: {local: [\"*:443\", \"[::]/0:80\", \"0.0.0.0/0:81\"]}"));
	struct wire_span rules = rules_of(policy);

	cr_expect(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("0x7f.1"), 443), "any is any");
	cr_expect(forwards_allow_host(
	    rules, RPC_FORWARD_LOCAL, (struct wire_span){(const uint8_t *)"a\0b", 3}, 443));
	cr_expect(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("2001:db8::1"), 80));
	cr_expect_not(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("192.0.2.1"), 80),
	    "::/0 holds IPv4, too");
	cr_expect_not(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("::ffff:192.0.2.1"), 80));
	cr_expect(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("::ffff:192.0.2.1"), 81));
	cr_expect_not(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("::1"), 81));
	cr_expect_not(forwards_allow_host(rules, RPC_FORWARD_LOCAL, wire_span_of("localhost"), 81),
	    "a name is no address, whatever it leads to");
	policy_release(policy);
}

Test(forwards, kinds)
{
	struct policy *policy = accept(RULE("forward: {remote: false, unix_local: [], tun: false}"));
	struct wire_span rules = rules_of(policy), none = {0};

	cr_expect_eq(forwards_extent(rules, RPC_FORWARD_LOCAL), RPC_FORWARD_ALL, "not named: as permit says");
	cr_expect_eq(forwards_extent(rules, RPC_FORWARD_REMOTE), RPC_FORWARD_NONE);
	cr_expect_eq(forwards_extent(rules, RPC_FORWARD_UNIX_LOCAL), RPC_FORWARD_NONE);
	cr_expect_eq(forwards_extent(rules, RPC_FORWARD_UNIX_REMOTE), RPC_FORWARD_ALL);
	cr_expect_eq(forwards_extent(rules, RPC_FORWARD_TUN), RPC_FORWARD_NONE);
	cr_expect_not(forwards_allow_host(rules, RPC_FORWARD_REMOTE, wire_span_of("localhost"), 80));
	cr_expect_not(forwards_allow_path(rules, RPC_FORWARD_UNIX_LOCAL, wire_span_of("/run/x")));
	cr_expect(forwards_allow_host(none, RPC_FORWARD_REMOTE, wire_span_of(""), 80), "no rules: all");
	cr_expect(policy->rules[0].ssh->permits & RPC_PERMIT_PORT_FORWARDING);
	policy_release(policy);
	/* What the certificate says agrees. */
	policy = accept(RULE(
	    "forward: {local: false, remote: false, unix_local: false, unix_remote: false, tun: false}"));
	cr_expect_not(policy->rules[0].ssh->permits & RPC_PERMIT_PORT_FORWARDING);
	policy_release(policy);
	policy = accept(RULE("session_notice: \"This session is recorded.\""));
	cr_expect_str_eq(policy->rules[0].ssh->session_notice, "This session is recorded.");
	cr_expect_null(policy->rules[0].ssh->forwards);
	policy_release(policy);
}

static const struct {
	const char *forward, *error;
} refused[] = {
    {"forward: {lokal: true}", "unknown key 'lokal'"},
    {"forward: true", "expected"},
    {"forward: {local: maybe}", "local: expected true, false or a list"},
    {"forward: {tun: [\"*:*\"]}", "tun: expected true or false"},
    {"forward: {local: [www.example.org]}", "expected HOST:PORTS"},
    {"forward: {local: [\"www.example.org:\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\":80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a:65536\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a:90-80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a:80x\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a:0\"]}", "nothing listens on port 0"},
    {"forward: {local: [\"::1:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"[::1:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"[192.0.2.1]:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"10.1:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"10.*:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"0x7f000001:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"host.7:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a..b:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"a b:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"10.0.0.1/8:80\"]}", "bits set after its prefix"},
    {"forward: {local: [\"10.0.0.0/33:80\"]}", "expected HOST:PORTS"},
    {"forward: {local: [\"[::ffff:10.0.0.0]/104:80\"]}", "IPv4 network in IPv6 clothes"},
    {"forward: {unix_local: [run/x]}", "expected the path of a socket"},
    {"forward: {unix_local: [/run/../x]}", "expected the path of a socket"},
    {"forward: {unix_local: [/run/]}", "expected the path of a socket"},
    {"permit: [pty], forward: {local: true}", "permit does not have port-forwarding"},
    {"session_notice: \"two\\nlines\"", "expected one line"},
};

Test(forwards, what_a_policy_may_not_say)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		char text[1024];
		struct policy_fault fault;

		snprintf(text, sizeof(text), RULE("%s"), refused[i].forward);
		struct policy *policy = parse(text, &fault);
		cr_expect_null(policy, "accepted: %s", refused[i].forward);
		cr_expect(policy != NULL || strstr(fault.text, refused[i].error) != NULL,
		    "%s: expected '%s', got '%s'", refused[i].forward, refused[i].error, fault.text);
		policy_release(policy);
	}
}

Test(forwards, a_workers_reading_is_strict)
{
	struct policy *policy = accept(LISTS);
	struct wire_span whole = rules_of(policy);
	uint8_t *copy = malloc(whole.len + 1);

	for (size_t cut = 1; cut < whole.len; cut++)
		cr_expect_not(rpc_forwards_valid((struct wire_span){whole.at, cut}), "cut at %zu", cut);
	memcpy(copy, whole.at, whole.len);
	copy[whole.len] = 0;
	cr_expect_not(rpc_forwards_valid((struct wire_span){copy, whole.len + 1}), "bytes behind it");
	copy[RPC_FORWARD_TUN] = RPC_FORWARD_LISTED;
	cr_expect_not(rpc_forwards_valid((struct wire_span){copy, whole.len}));
	copy[RPC_FORWARD_TUN] = RPC_FORWARD_LISTED + 1;
	cr_expect_not(rpc_forwards_valid((struct wire_span){copy, whole.len}));
	free(copy);
	policy_release(policy);
}

/* -- what an origin may announce -- */

static bool asks(struct listening *listening, const char *place, uint32_t port, bool cancel, bool waits)
{
	return listening_ask(
	    listening, &(struct listening_request){
	                   .cancel = cancel, .waits = waits, .place = wire_span_of(place), .port = port});
}

Test(listening, a_port_from_the_request_to_its_cancellation)
{
	struct listening listening = {0};

	cr_expect_not(listening_has_port(&listening, 8000));
	cr_expect(asks(&listening, "localhost", 8000, false, true));
	cr_expect(listening_has_port(&listening, 8000), "it may be connected to before its answer is here");
	cr_expect_not(listening_has_port(&listening, 8001));
	listening_answer(&listening, true, 0);
	cr_expect(listening_has_port(&listening, 8000));
	cr_expect(asks(&listening, "localhost", 8000, true, true));
	cr_expect(listening_has_port(&listening, 8000), "until the origin says that it is cancelled");
	listening_answer(&listening, true, 0);
	cr_expect_not(listening_has_port(&listening, 8000));
	cr_expect_eq(listening.count, 0);
	/* Refused; without a reply; cancelled without one. */
	cr_expect(asks(&listening, "", 9, false, true));
	listening_answer(&listening, false, 0);
	cr_expect_not(listening_has_port(&listening, 9));
	cr_expect(asks(&listening, "", 9, false, false));
	cr_expect(listening_has_port(&listening, 9));
	cr_expect(asks(&listening, "", 9, true, false));
	cr_expect_not(listening_has_port(&listening, 9));
	cr_expect_eq(listening.count, 0);
	listening_answer(&listening, true, 0); /* one that nobody waits for */
	listening_free(&listening);
}

Test(listening, a_port_that_the_origin_chooses)
{
	struct listening listening = {0};

	cr_expect(asks(&listening, "localhost", 9, false, true));
	listening_answer(&listening, true, 0);
	cr_expect_not(listening_has_port(&listening, 0), "nobody left the choice to the origin");
	cr_expect(asks(&listening, "localhost", 0, false, true));
	cr_expect(asks(&listening, "localhost", 0, false, true));
	listening_answer(&listening, true, 40001);
	listening_answer(&listening, true, 40002);
	cr_expect(listening_has_port(&listening, 40001) && listening_has_port(&listening, 40002));
	cr_expect(listening_has_port(&listening, 0), "as it was asked for: so AsyncSSH's server names it");
	cr_expect_not(listening_has_port(&listening, 40003));
	cr_expect(asks(&listening, "localhost", 40001, true, true));
	listening_answer(&listening, true, 0);
	cr_expect_not(listening_has_port(&listening, 40001));
	cr_expect(listening_has_port(&listening, 40002));
	cr_expect(listening_has_port(&listening, 0), "the other one is left");
	cr_expect(asks(&listening, "localhost", 40002, true, true));
	listening_answer(&listening, true, 0);
	cr_expect_not(listening_has_port(&listening, 0), "cancelled by its number, gone by either");
	cr_expect(asks(&listening, "localhost", 0, false, true));
	listening_answer(&listening, false, 0);
	cr_expect_not(listening_has_port(&listening, 0), "refused");
	listening_free(&listening);
}

Test(listening, answers_come_in_order)
{
	struct listening listening = {0};

	cr_expect(asks(&listening, "a", 1, false, true));
	cr_expect(asks(&listening, "a", 2, false, true));
	cr_expect(asks(&listening, "a", 1, true, true));
	cr_expect(asks(&listening, "a", 3, false, true));
	listening_answer(&listening, true, 0);  /* 1 */
	listening_answer(&listening, false, 0); /* 2 */
	listening_answer(&listening, true, 0);  /* 1 cancelled */
	listening_answer(&listening, true, 0);  /* 3 */
	cr_expect_not(listening_has_port(&listening, 1));
	cr_expect_not(listening_has_port(&listening, 2));
	cr_expect(listening_has_port(&listening, 3));
	cr_expect_eq(listening.count, 1);
	listening_free(&listening);
}

Test(listening, sockets_and_the_bound)
{
	struct listening listening = {0};
	struct listening_request request = {.path = true, .waits = true, .place = wire_span_of("/tmp/s")};

	cr_expect(listening_ask(&listening, &request));
	cr_expect(listening_has_path(&listening, wire_span_of("/tmp/s")));
	cr_expect_not(listening_has_path(&listening, wire_span_of("/tmp/t")));
	cr_expect_not(listening_has_port(&listening, 0));
	for (unsigned i = 1; i < LISTENING_MAX; i++)
		cr_expect(asks(&listening, "x", i, false, true));
	cr_expect_not(asks(&listening, "x", 1, false, true), "one too many");
	listening_free(&listening);
	cr_expect_eq(listening.count, 0);
}
