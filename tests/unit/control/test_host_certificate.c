/* SPDX-License-Identifier: Apache-2.0 */
/* Which certificate of a host key sessions are shown: one with their own address, and where there is none to
 * be had, the plain key: a target with many names refuses nobody. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/control/control_steps.h"

TestSuite(shown_certificate, .init = open_lab, .fini = close_lab, .timeout = 300);

static void make_host_ca(void)
{
	json_t *response;

	mint_key(&lab.cas[RPC_CA_HOST]);
	lab_result(&lab, "ca.create", json_pack("{s:s}", "type", "host"), &response);
	json_decref(response);
}

/* Bytes of the certificate that the session is shown. */
static size_t certificate_shown(uint64_t flow)
{
	struct rpc_message message;
	struct rpc_ses_target_reply reply;

	begin(flow);
	LAB_SEND(WORKER, SES_TARGET, ses_target, 5, .flow = flow, .host_key = mint_blob(&origin));
	lab_await(&lab, WORKER, RPC_SES_TARGET_REPLY, &message);
	cr_assert(rpc_get_ses_target_reply(message.body, &reply));
	cr_expect(reply.verdict <= RPC_TARGET_FIRST_USE, "%.*s", (int)reply.message.len,
	    (const char *)reply.message.at);
	cr_expect(reply.host_public.len > 0);
	return reply.host_certificate.len;
}

Test(shown_certificate, that_is_too_long_gives_way_to_the_plain_key)
{
	make_host_ca();
	lab.host_certificate = 32768; /* the most that the keeper makes */
	cr_expect_eq(certificate_shown(1), 0);
}

Test(shown_certificate, that_the_keeper_refuses_gives_way_to_the_plain_key)
{
	make_host_ca();
	cr_expect_eq(certificate_shown(1), 0);
}

Test(shown_certificate, of_a_target_with_many_names)
{
	json_t *response;
	char *line = mint_line(&origin, ""), address[32], name[200];

	make_host_ca();
	lab.host_certificate = 10000;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(address, sizeof(address), "192.0.%u.%u", i / 200, i % 200);
		lab_result(&lab, "target.add", json_pack("{s:s, s:s}", "address", address, "host_key", line),
		    &response);
		json_decref(response);
	}
	for (unsigned i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "%0180u.example", i);
		lab_result(&lab, "target.name",
		    json_pack("{s:s, s:[s]}", "address", "198.51.100.2", "names", name), &response);
		json_decref(response);
	}
	free(line);
	cr_expect_eq(certificate_shown(1), 10000);
	struct wire in = wire_over(lab.host_principals, lab.host_principals_len);
	unsigned count = 0;
	cr_expect(wire_span_is(wire_string(&in), "198.51.100.2"), "its own address comes first");
	for (count = 1; wire_left(&in) > 0; count++)
		(void)wire_string(&in);
	cr_expect(wire_done(&in) && count > 64 && count <= 256, "got %u", count);
}
