/* SPDX-License-Identifier: Apache-2.0 */
/* policy.yaml: what is accepted, what each refusal says, and what the dataplane gets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/control.h"
#include "tests/unit/control/folder.h"

static struct policy_context context;

static void make_context(void)
{
	context = (struct policy_context){.recipient_count = 1};
	cr_assert(words_add(&context.links, "inside") && words_add(&context.links, "dmz"));
}

static void free_context(void)
{
	words_free(&context.links);
}

TestSuite(policy, .init = make_context, .fini = free_context);

static struct policy *parse(const char *text, struct policy_fault *fault)
{
	return policy_parse("p", text, strlen(text), &context, fault);
}

/* -- refusals -- */

#define RULE(text) "default: allow\nrules:\n  - {name: r, " text "}\n"
#define SSH(text)                                                                                            \
	RULE(                                                                                                \
	    "action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [alice]}, logins: [root], " text \
	    "}")

static const struct {
	const char *text, *error;
} refused[] = {
    {"rules: []\n", "p:1:1: missing key 'default'"},
    {"default: maybe\n", "p:1:10: default: expected one of allow, block; found 'maybe'"},
    {"default: audit_ssh\n", "p:1:10: default: expected one of allow, block"},
    {"default: allow\nrule: []\n", "p:2:1: unknown key 'rule'"},
    {"default: allow\nblock_with: reset\n", "p:2:13: block_with: means nothing here"},
    {"default: allow\nrules: {}\n", "p:2:8: rules: expected a list"},
    {RULE("action: alow"), "p:3:23: rules[0].action: expected one of allow, block, audit_ssh; found 'alow'"},
    {RULE("match: {dst_port: 1}"), "p:3:5: rules[0]: missing key 'action'"},
    {"default: allow\nrules:\n  - {action: allow}\n", "p:3:5: rules[0]: missing key 'name'"},
    {"default: allow\nrules:\n  - {name: a, action: allow}\n  - {name: b, action: allow}\n  - {name: a, "
     "action: block}\n",
        "p:5:12: rules[2].name: the name 'a' is taken by an earlier rule"},
    {"default: allow\nrules:\n  - {name: \"a\\tb\", action: allow}\n",
        "p:3:12: rules[0].name: expected a name without"},
    {SSH("trusted_cas: [{key: ssh-ed25519}]"),
        "p:3:124: rules[0].ssh.trusted_cas[0].key: the CA's public key has no valid base64"},
    {SSH("trusted_cas: []"), "p:3:117: rules[0].ssh.trusted_cas: expected at least 1 item"},
    {SSH("second_factor: sms"), "p:3:119: rules[0].ssh.second_factor: expected one of none, totp"},
    {SSH("limits: {}"), "p:3:112: rules[0].ssh.limits: expected sessions_per_user"},
    {SSH("limits: {sessions_per_user: 0}"), "p:3:132: rules[0].ssh.limits.sessions_per_user: expected"},
    {SSH("identities: [key], trusted_cas: [{key: x}]"),
        "p:3:136: rules[0].ssh.trusted_cas: means nothing here"},
    {SSH("identities: [certificate, password]"), "p:3:130: rules[0].ssh.identities[1]: expected one of "
                                                 "certificate, key, address, origin; found 'password'"},
    {SSH("identities: []"), "p:3:116: rules[0].ssh.identities: expected at least 1 item; found 0"},
    {SSH("identities: [key, key]"), "p:3:122: rules[0].ssh.identities[1]: 'key' stands in the list twice"},
    {RULE("action: allow, block_with: drop"),
        "p:3:42: rules[0].block_with: means nothing here: it is for rules with action: block"},
    {RULE("action: block, midstream: pass"),
        "p:3:41: rules[0].midstream: means nothing here: it is for rules with action: audit_ssh"},
    {RULE("action: block, on_unavailable: hold"), "p:3:46: rules[0].on_unavailable: means nothing here"},
    {RULE("action: block, on_policy_change: keep"), "p:3:48: rules[0].on_policy_change: means nothing here"},
    {RULE("action: block, on_unsupported: pass"), "p:3:46: rules[0].on_unsupported: means nothing here"},
    {RULE("action: block, ssh: {}"), "p:3:35: rules[0].ssh: means nothing here"},
    {RULE("action: block, block_with: tarpit"),
        "p:3:42: rules[0].block_with: expected one of drop, reset, icmp"},
    {RULE("action: allow, schedule: night"), "p:3:30: rules[0]: 'schedule' is not in this version"},
    /* match */
    {RULE("action: allow, match: {proto: tcp}"), "p:3:38: rules[0].match: unknown key 'proto'"},
    {RULE("action: allow, match: {detect: ssh}"), "p:3:38: rules[0].match: 'detect' is not in this version"},
    {RULE("action: allow, match: {protocol: tpc}"),
        "p:3:48: rules[0].match.protocol: expected tcp, udp, icmp"},
    {RULE("action: allow, match: {protocol: 0}"), "p:3:48: rules[0].match.protocol: expected tcp, udp, icmp"},
    {RULE("action: allow, match: {protocol: 256}"),
        "p:3:48: rules[0].match.protocol: expected tcp, udp, icmp"},
    {RULE("action: allow, match: {dst_port: 53}"),
        "p:3:37: rules[0].match: ports need a protocol that has them"},
    {RULE("action: allow, match: {protocol: icmp, dst_port: 53}"),
        "p:3:48: rules[0].match.protocol: ports need a protocol"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: 65536}"),
        "p:3:63: rules[0].match.dst_port: expected a port (0 to 65535)"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: http}"),
        "p:3:63: rules[0].match.dst_port: expected a port"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: -1}"),
        "p:3:63: rules[0].match.dst_port: expected a port"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: 022}"),
        "p:3:63: rules[0].match.dst_port: expected a port"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: 9-}"),
        "p:3:63: rules[0].match.dst_port: expected a port"},
    {RULE("action: allow, match: {protocol: tcp, src_port: 20-10}"),
        "p:3:63: rules[0].match.src_port: the range 20-10 is the wrong way round"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: []}"),
        "p:3:63: rules[0].match.dst_port: expected at least 1 item"},
    {RULE("action: allow, match: {protocol: tcp, dst_port: {a: 1}}"),
        "p:3:63: rules[0].match.dst_port: expected a port"},
    {RULE("action: allow, match: {vlan: 4096}"),
        "p:3:44: rules[0].match.vlan: expected a VLAN id (0 to 4095)"},
    {RULE("action: allow, match: {link: lan}"), "p:3:44: rules[0].match.link: there is no link 'lan'"},
    {RULE("action: allow, match: {src_ip: 10.0.0.1/8}"),
        "p:3:46: rules[0].match.src_ip: 10.0.0.1/8 has bits set after its prefix"},
    {RULE("action: allow, match: {src_ip: 10.0.0/8}"),
        "p:3:46: rules[0].match.src_ip: expected an address or network"},
    {RULE("action: allow, match: {src_ip: 10.0.0.0/33}"),
        "p:3:46: rules[0].match.src_ip: expected an address or network"},
    {RULE("action: allow, match: {src_ip: 10.0.0.0/}"),
        "p:3:46: rules[0].match.src_ip: expected an address or network"},
    {RULE("action: allow, match: {dst_ip: [10.0.0.0/8, host.example]}"),
        "p:3:59: rules[0].match.dst_ip[1]: expected an address or network"},
    {RULE("action: allow, match: {dst_ip: \"2001:db8::1/64\"}"),
        "p:3:46: rules[0].match.dst_ip: 2001:db8::1/64 has bits set"},
    {RULE("action: allow, match: {src_ip: 10.0.0.0/8, dst_ip: \"2001:db8::/64\"}"),
        "p:3:37: rules[0].match: can never match"},
    {RULE("action: block, block_with: reset, match: {protocol: udp}"),
        "p:3:67: rules[0].match.protocol: block_with: reset is for tcp"},
    /* audit_ssh */
    {RULE("action: audit_ssh, ssh: {users: {names: [a]}, logins: [b]}"),
        "p:3:5: rules[0]: missing key 'match'"},
    {RULE("action: audit_ssh, match: {dst_port: 22}"), "p:3:5: rules[0]: missing key 'ssh'"},
    {RULE("action: audit_ssh, match: {dst_ip: 10.0.0.0/8}"),
        "p:3:41: rules[0].match: audit_ssh needs a dst_port"},
    {RULE("action: audit_ssh, match: {dst_port: 22, protocol: udp}"),
        "p:3:66: rules[0].match.protocol: audit_ssh is for tcp alone"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {logins: [root]}"),
        "p:3:62: rules[0].ssh: missing key 'users'"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [a]}}"),
        "p:3:62: rules[0].ssh: missing key 'logins'"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {}, logins: [root]}"),
        "p:3:70: rules[0].ssh.users: nobody may use this rule"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {groups: []}, logins: [root]}"),
        "p:3:70: rules[0].ssh.users: nobody"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [\"a b\"]}, logins: [root]}"),
        "p:3:79: rules[0].ssh.users.names[0]: expected the name of a user"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [\"{user}\"]}, logins: [root]}"),
        "p:3:79: rules[0].ssh.users.names[0]: expected the name"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [a]}, logins: []}"),
        "p:3:92: rules[0].ssh.logins: expected at least one login"},
    {RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: [a]}, logins: [-root]}"),
        "p:3:93: rules[0].ssh.logins[0]: expected the name of a login"},
    {SSH("origin_auth: [agent, password]"),
        "p:3:125: rules[0].ssh.origin_auth[1]: expected 'agent' to stand last"},
    {SSH("origin_auth: [certificate, password, certificate]"),
        "p:3:141: rules[0].ssh.origin_auth[2]: 'certificate' stands here twice"},
    {SSH("identities: [origin]"), "p:3:116: rules[0].ssh.identities: 'origin' says that the origin's"},
    {SSH("notice: [a]"), "p:3:112: rules[0].ssh.notice: expected text"},
    {SSH("notice: \"\""), "p:3:112: rules[0].ssh.notice: expected text"},
    {SSH("notice: \"bell \\a\""), "p:3:112: rules[0].ssh.notice: expected text without control"},
    {SSH("notice: \"c1 \\x9b\""), "p:3:112: rules[0].ssh.notice: expected text without control"},
    {SSH("notice: \"tab\\t\""), "p:3:112: rules[0].ssh.notice: expected text without control"},
    {SSH("origin_auth: []"), "p:3:117: rules[0].ssh.origin_auth: expected at least 1 item"},
    {SSH("origin_auth: [kerberos]"), "p:3:118: rules[0].ssh.origin_auth[0]: expected one of certificate"},
    {SSH("commands: [ls]"), "p:3:104: rules[0].ssh: 'commands' is not in this version"},
    {SSH("file_transfer: up"), "p:3:104: rules[0].ssh: 'file_transfer' is not in this version"},
    {SSH("command_logging: yes"), "p:3:121: rules[0].ssh.command_logging: expected true or false"},
    {SSH("recording: sometimes"), "p:3:115: rules[0].ssh.recording: expected one of best_effort, strict"},
    {SSH("recording: strict, command_logging: false"),
        "p:3:115: rules[0].ssh.recording: says how to record, but"},
    {SSH("permit: [everything]"), "p:3:113: rules[0].ssh.permit[0]: expected one of pty, port-forwarding"},
    {SSH("permit: [sftp]"), "p:3:113: rules[0].ssh.permit[0]: 'sftp' is not in this version"},
    {SSH("legacy: {server: [ssh-rsa]}"), "p:3:113: rules[0].ssh.legacy: unknown key 'server'"},
    {SSH("legacy: {origin: [arcfour]}"), "p:3:122: rules[0].ssh.legacy.origin[0]: 'arcfour' is no legacy "
                                         "algorithm that this leg can have; expected one of diffie-hellman"},
    {SSH("legacy: {client: [rsa-1024]}"), "p:3:122: rules[0].ssh.legacy.client[0]: 'rsa-1024' is no"},
    {SSH("legacy: {}"), "p:3:112: rules[0].ssh.legacy: expected client, origin or both"},
    {SSH("legacy: {origin: []}"), "p:3:121: rules[0].ssh.legacy.origin: expected at least 1 item"},
    {SSH("legacy: {client: [hmac-sha1], origin: []}"),
        "p:3:142: rules[0].ssh.legacy.origin: expected at least 1 item"},
    {SSH("origin_auth: [vault], certificate_ttl: 1m"),
        "p:3:143: rules[0].ssh.certificate_ttl: means nothing here: origin_auth has no certificate"},
    {SSH("legacy: [ssh-rsa]"), "p:3:112: rules[0].ssh.legacy: expected"},
    {SSH("host_keys: any"),
        "p:3:115: rules[0].ssh.host_keys: expected one of first_use, known_hosts, ca, strict"},
    {SSH("certificate_ttl: 8h"), "p:3:121: rules[0].ssh.certificate_ttl: expected a time"},
    {SSH("certificate_ttl: 120"), "p:3:121: rules[0].ssh.certificate_ttl: expected a time with its unit"},
    {SSH("login_grace: 1s"), "p:3:117: rules[0].ssh.login_grace: expected a time"},
    {SSH("auth_attempts: 0"), "p:3:119: rules[0].ssh.auth_attempts: expected a whole number from 1 to 20"},
    {SSH("log_exec: 1"), "p:3:114: rules[0].ssh.log_exec: expected true or false"},
};

Test(policy, refusals_say_where_and_what)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct policy_fault fault;
		struct policy *policy = parse(refused[i].text, &fault);
		cr_expect_null(policy, "accepted: %s", refused[i].text);
		cr_expect(strncmp(fault.text, refused[i].error, strlen(refused[i].error)) == 0,
		    "%s\nexpected %s\ngot      %s", refused[i].text, refused[i].error, fault.text);
		cr_expect(fault.line > 0, "no line: %s", refused[i].text);
		policy_release(policy);
	}
}

/* All of them, to the last, behind the longest name that can be wrong. */
Test(policy, legacy_algorithms_are_all_told)
{
	static const char longest[] = "a234567890123456789012345678901234567890123456789012345678901234";
	static const struct {
		const char *name, *key;
		uint8_t leg;
	} legs[] = {
	    {"client", "legacy: {client: [", LEGACY_CLIENT}, {"origin", "legacy: {origin: [", LEGACY_ORIGIN}};

	for (size_t i = 0; i < 2; i++) {
		struct policy_fault fault;
		char text[1024];
		snprintf(text, sizeof(text),
		    "default: allow\nrules:\n  - {name: a, action: audit_ssh, match: {dst_port: 22}, ssh: "
		    "{users: "
		    "{names: [a]}, logins: [root], %s%s]}}}\n",
		    legs[i].key, longest);
		cr_expect_null(parse(text, &fault));
		cr_expect_not_null(strstr(fault.text, longest), "%s", fault.text);
		for (size_t k = 0; k < legacy_count; k++)
			cr_expect((strstr(fault.text, legacy_algorithms[k].name) != NULL) ==
			              ((legacy_algorithms[k].legs & legs[i].leg) != 0),
			    "%s: %s: %s", legs[i].name, legacy_algorithms[k].name, fault.text);
		size_t len = strlen(fault.text);
		cr_expect(len > 10 && strcmp(fault.text + len - 9, "hmac-sha1") == 0, "%s", fault.text);
	}
}

Test(policy, recording_needs_a_recipient)
{
	struct policy_fault fault;

	context.recipient_count = 0;
	cr_expect_null(parse(SSH("log_exec: true"), &fault));
	cr_expect(strstr(fault.text, "no auditor's key") != NULL, "got %s", fault.text);
	struct policy *policy = parse(SSH("command_logging: false"), &fault);
	cr_expect_not_null(policy, "%s", fault.text);
	policy_release(policy);
}

/* -- what comes out -- */

Test(policy, defaults_of_an_audited_rule)
{
	struct policy_fault fault;
	struct policy *policy = parse(
	    RULE("action: audit_ssh, match: {dst_port: 22}, ssh: {users: {names: alice}, logins: root}"),
	    &fault);

	cr_assert_not_null(policy, "%s", fault.text);
	const struct policy_rule *rule = &policy->rules[0];
	cr_expect_eq(rule->unavailable, RPC_UNAVAILABLE_HOLD);
	cr_expect_eq(rule->midstream, RPC_MIDSTREAM_RESET);
	cr_expect_eq(rule->policy_change, RPC_POLICY_CHANGE_KEEP);
	cr_expect_eq(rule->unsupported, RPC_UNSUPPORTED_RESET);
	cr_expect_eq(rule->ssh->recording, RPC_RECORDING_BEST_EFFORT);
	cr_expect_eq(rule->ssh->permits, RPC_PERMIT_PTY | RPC_PERMIT_PORT_FORWARDING |
	                                     RPC_PERMIT_AGENT_FORWARDING | RPC_PERMIT_X11_FORWARDING |
	                                     RPC_PERMIT_USER_RC);
	cr_expect_eq(rule->ssh->certificate_ttl_s, 120);
	cr_expect_eq(rule->ssh->login_grace_s, 0);
	cr_expect_eq(rule->ssh->auth_attempts, 6);
	cr_expect_eq(rule->ssh->host_keys, POLICY_HOST_KEYS_FIRST_USE);
	cr_expect_eq(rule->ssh->legacy_client | rule->ssh->legacy_origin, 0);
	cr_expect_eq(rule->ssh->origin_auth_count, 1);
	cr_expect_eq(rule->ssh->origin_auth[0], RPC_ORIGIN_CERTIFICATE);
	cr_expect_null(rule->ssh->notice);
	cr_expect_eq(policy->matches[0].protocol, 6, "audit_ssh is TCP without saying so");
	policy_release(policy);
}

Test(policy, everything_said)
{
	struct policy_fault fault;
	struct policy *policy =
	    parse("default: block\nblock_with: icmp\nrules:\n"
	          "  - {name: b, action: block, block_with: reset, match: {protocol: tcp}}\n"
	          "  - name: s\n    action: audit_ssh\n    match: {dst_port: [22, 2200-2299], vlan: [0, "
	          "10-20], link: dmz}\n"
	          "    on_unavailable: allow\n    midstream: drop\n    on_policy_change: reset\n    "
	          "on_unsupported: pass\n"
	          "    ssh: {users: {groups: [sre, dba]}, logins: [\"{user}\", root], origin_auth: "
	          "[keyboard-interactive, certificate, agent], recording: strict,\n"
	          "          notice: \"one\\ntwo\", permit: [], log_exec: true, host_keys: strict, "
	          "certificate_ttl: 5m, "
	          "login_grace: 30s, auth_attempts: 3,\n"
	          "          legacy: {client: hmac-sha1, origin: [ssh-rsa, 3des-cbc]}}\n",
	        &fault);

	cr_assert_not_null(policy, "%s", fault.text);
	cr_expect_eq(policy->default_action, RPC_ACTION_BLOCK);
	cr_expect_eq(policy->default_block, RPC_BLOCK_ICMP);
	cr_expect_eq(policy->rules[0].block, RPC_BLOCK_RESET);
	const struct policy_rule *rule = &policy->rules[1];
	cr_expect_eq(rule->match_count, 4);
	cr_expect_eq(policy->matches[rule->first_match].link, 1);
	cr_expect_eq(policy->matches[rule->first_match + 3].vlan_lo, 10);
	cr_expect_eq(policy->matches[rule->first_match + 3].dport_hi, 2299);
	cr_expect_eq(rule->unavailable, RPC_UNAVAILABLE_ALLOW);
	cr_expect_eq(rule->midstream, RPC_MIDSTREAM_DROP);
	cr_expect_eq(rule->policy_change, RPC_POLICY_CHANGE_RESET);
	cr_expect_eq(rule->unsupported, RPC_UNSUPPORTED_PASS);
	cr_expect_eq(rule->ssh->permits, RPC_PERMIT_LOG_EXEC);
	cr_expect_eq(rule->ssh->recording, RPC_RECORDING_STRICT);
	cr_expect_eq(rule->ssh->host_keys, POLICY_HOST_KEYS_STRICT);
	cr_expect_eq(rule->ssh->certificate_ttl_s, 300);
	cr_expect_eq(rule->ssh->login_grace_s, 30);
	cr_expect_eq(rule->ssh->auth_attempts, 3);
	char list[LEGACY_LIST_MAX];
	legacy_list(rule->ssh->legacy_client, list);
	cr_expect_str_eq(list, "hmac-sha1");
	legacy_list(rule->ssh->legacy_origin, list);
	cr_expect_str_eq(list, "ssh-rsa,3des-cbc");
	legacy_list(~0u >> (32 - legacy_count), list); /* all there are fit */
	cr_expect_not_null(strstr(list, "hmac-sha1"));
	cr_expect_eq(rule->ssh->origin_auth_count, 3);
	cr_expect_eq(rule->ssh->origin_auth[0], RPC_ORIGIN_KEYBOARD_INTERACTIVE);
	cr_expect_eq(rule->ssh->origin_auth[1], RPC_ORIGIN_CERTIFICATE);
	cr_expect_eq(rule->ssh->origin_auth[2], RPC_ORIGIN_AGENT);
	cr_expect_str_eq(rule->ssh->notice, "one\ntwo");
	struct words sre = {0}, web = {0};
	words_add(&sre, "sre");
	words_add(&web, "web");
	cr_expect(policy_ssh_user(rule->ssh, "alice", &sre));
	cr_expect_not(policy_ssh_user(rule->ssh, "alice", &web));
	cr_expect(policy_ssh_login(rule->ssh, "alice", "alice"));
	cr_expect(policy_ssh_login(rule->ssh, "alice", "root"));
	cr_expect_not(policy_ssh_login(rule->ssh, "alice", "bob"));
	cr_expect_not(policy_ssh_login(rule->ssh, "alice", "{user}"));
	words_free(&sre);
	words_free(&web);
	policy_release(policy);
}

/* Lists are multiplied out; families that do not go together are left out. */
static const struct {
	const char *match;
	uint32_t matches;
} products[] = {
    {"{}", 1},
    {"{protocol: [tcp, udp], dst_port: [1, 2, 3-9]}", 6},
    {"{src_ip: [10.0.0.0/8, \"2001:db8::/32\"]}", 2},
    {"{src_ip: [10.0.0.0/8, \"2001:db8::/32\"], dst_ip: [10.0.0.0/8, 11.0.0.0/8, \"2001:db9::/32\"]}", 3},
    {"{vlan: [1, 2], link: [inside, dmz], protocol: [tcp, 47]}", 8},
    {"{src_ip: 0.0.0.0/0}", 1},
};

Test(policy, lists_are_multiplied_out)
{
	for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
		struct policy_fault fault;
		char text[512];
		snprintf(text, sizeof(text), RULE("action: allow, match: %s"), products[i].match);
		struct policy *policy = parse(text, &fault);
		cr_assert_not_null(policy, "%s", fault.text);
		cr_expect_eq(policy->match_count, products[i].matches, "%s: expected %u, got %u",
		    products[i].match, products[i].matches, policy->match_count);
		policy_release(policy);
	}
}

Test(policy, the_product_is_bounded)
{
	char *text = malloc(1 << 20), *at = text;
	struct policy_fault fault;

	at += sprintf(
	    at, "default: allow\nrules:\n  - {name: r, action: allow, match: {protocol: tcp, dst_port: [");
	for (int i = 1; i <= 500; i++)
		at += sprintf(at, "%d,", i);
	at += sprintf(at, "501], src_port: [");
	for (int i = 1; i <= 500; i++)
		at += sprintf(at, "%d,", i);
	sprintf(at, "501]}}\n");
	cr_expect_null(parse(text, &fault));
	cr_expect(strstr(fault.text, "the policy is too large") != NULL, "got %s", fault.text);
	free(text);
}

Test(policy, compiled_matches_can_be_read_back)
{
	struct policy_fault fault;
	struct policy *policy =
	    parse(RULE("action: block, match: {protocol: tcp, src_ip: [10.0.0.0/8, \"2001:db8::/32\"],"
	               " dst_port: 1-7, vlan: 5, link: dmz}"),
	        &fault);
	size_t size;

	cr_assert_not_null(policy, "%s", fault.text);
	policy->generation = 42;
	int fd = policy_compile(policy, &size);
	cr_assert(fd >= 0);
	uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	cr_assert(bytes != MAP_FAILED);
	struct wire in = wire_over(bytes, size);
	cr_expect_eq(wire_u32(&in), RPC_POLICY_VERSION);
	cr_expect_eq(wire_u64(&in), 42);
	wire_skip(&in, 2);
	cr_expect_eq(wire_u32(&in), 1);
	cr_expect(wire_span_is(wire_string(&in), "r"));
	wire_skip(&in, 6);
	cr_expect_eq(wire_u32(&in), 2);
	for (int i = 0; i < 2; i++) {
		struct rpc_policy_match match;
		cr_expect(rpc_get_policy_match(&in, &match));
		cr_expect_eq(match.family, i == 0 ? 4 : 6);
		cr_expect_eq(match.src_plen, i == 0 ? 8 : 32);
		cr_expect_eq(match.dst_plen, 0);
		cr_expect(match.dport_lo == 1 && match.dport_hi == 7 && match.sport_lo == 0 &&
		          match.sport_hi == 65535);
		cr_expect(match.vlan_lo == 5 && match.vlan_hi == 5 && match.link == 1 && match.protocol == 6);
	}
	cr_expect(wire_done(&in));
	cr_expect_eq(write(fd, "x", 1), -1, "the memfd can still be written");
	munmap(bytes, size);
	close(fd);
	policy_release(policy);
}

Test(policy, the_example_is_good)
{
	static char text[65536];
	struct policy_fault fault;
	FILE *file = fopen(EXAMPLE_POLICY, "r");

	cr_assert_not_null(file);
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	struct policy *policy = policy_parse("policy.yaml", text, len, &context, &fault);
	cr_assert_not_null(policy, "%s", fault.text);
	cr_expect_eq(policy->rule_count, 4);
	policy_release(policy);
}

/* -- the store -- */

/* How many, from one generation to another. */
static int64_t stored(struct database *db, int64_t from, int64_t to)
{
	sqlite3_stmt *row = database_query(
	    db, "SELECT count(*) FROM policies WHERE generation BETWEEN ? AND ?", "ii", from, to);
	cr_assert(database_row(row));
	int64_t count = sqlite3_column_int64(row, 0);
	database_stop(row);
	return count;
}

static void start_for_nothing(struct control *control, unsigned times)
{
	struct policy_fault fault;

	for (unsigned i = 0; i < times; i++) {
		cr_assert(policies_open(control, &fault), "%s", fault.text);
		policies_close(control);
	}
}

/* A port that is not there: each start reads the file and no dataplane ever has its policy. */
Test(policy, starts_that_come_to_nothing_do_not_fill_the_database)
{
	static struct control control;
	char path[FOLDER_PATH_SIZE], file[FOLDER_PATH_SIZE + 16], error[256];

	control.context = context;
	folder_make(path, "store");
	snprintf(file, sizeof(file), "%s/control.db", path);
	cr_assert(database_open(&control.db, file, error, sizeof(error)), "%s", error);
	snprintf(control.config.policy, sizeof(control.config.policy), "%s/policy.yaml", path);
	FILE *text = fopen(control.config.policy, "w");
	cr_assert(text != NULL && fputs("default: allow\n", text) >= 0 && fclose(text) == 0);
	start_for_nothing(&control, POLICIES_KEPT + 10);
	cr_expect_eq(stored(&control.db, 0, 1000), POLICIES_KEPT);
	cr_expect_eq(stored(&control.db, 74, 74), 1, "the last is there");
	/* What was in force and cannot be read any more stays, for a configuration that it fits again. */
	cr_assert(database_run(&control.db,
	    "UPDATE policies SET applied_at = 1, text = 'default: no' WHERE generation = 74", ""));
	start_for_nothing(&control, POLICIES_KEPT + 10);
	cr_expect_eq(stored(&control.db, 0, 1000), POLICIES_KEPT + 1);
	cr_expect_eq(stored(&control.db, 74, 74), 1);
	database_close(&control.db);
	folder_remove(path);
}
