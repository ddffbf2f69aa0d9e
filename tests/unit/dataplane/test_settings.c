/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/settings.h"
#include "dataplane/xdp.h"

struct said {
	uint8_t lcores[256], eal[16384], links[16384];
	struct wire_out lcores_out, eal_out, links_out;
	struct rpc_sup_config_dataplane config;
};

static struct said *begin(void)
{
	struct said *s = calloc(1, sizeof(*s));

	s->lcores_out = wire_into(s->lcores, sizeof(s->lcores));
	s->eal_out = wire_into(s->eal, sizeof(s->eal));
	s->links_out = wire_into(s->links, sizeof(s->links));
	s->config.netns = wire_span_of("box");
	s->config.generation = 3;
	return s;
}

static void link_of(struct said *s, const char *name, const char *inside, const char *outside)
{
	wire_put_cstring(&s->links_out, name);
	wire_put_cstring(&s->links_out, inside);
	wire_put_cstring(&s->links_out, outside);
}

static bool read_them(struct said *s, struct settings *settings, char *error, size_t size)
{
	s->config.lcores = (struct wire_span){s->lcores, wire_written(&s->lcores_out)};
	s->config.eal = (struct wire_span){s->eal, wire_written(&s->eal_out)};
	s->config.links = (struct wire_span){s->links, wire_written(&s->links_out)};
	return settings_read(settings, &s->config, error, size);
}

Test(settings, eal_arguments)
{
	static const char *const expected[] = {"reeve-dataplane", "--file-prefix=reeve-77-3",
	    "--no-telemetry", "--log-level=lib.eal:notice", "-l", "2,0", "--main-lcore=2", "--no-huge", "-m",
	    "--vdev", "net_af_xdp0,iface=a", "--vdev", "net_af_xdp1,iface=b", "-a", "0000:01:00.0", "-a",
	    "0000:01:00.1"};
	struct said *s = begin();
	static struct settings settings;
	static struct eal_arguments arguments;
	char error[256] = "";

	wire_put_u32(&s->lcores_out, 2);
	wire_put_u32(&s->lcores_out, 0);
	wire_put_cstring(&s->eal_out, "--no-huge");
	wire_put_cstring(&s->eal_out, "-m");
	link_of(s, "lab", "net_af_xdp0,iface=a", "net_af_xdp1,iface=b");
	link_of(s, "metal", "0000:01:00.0", "0000:01:00.1");
	cr_assert(read_them(s, &settings, error, sizeof(error)), "%s", error);
	cr_assert_str_eq(settings.netns, "box");
	cr_assert_eq(settings.mtu, 1500);
	cr_assert_eq(settings.ports.count, 4);
	settings_eal_arguments(&settings, 77, &arguments);
	cr_assert_eq(arguments.argc, sizeof(expected) / sizeof(expected[0]), "%d arguments", arguments.argc);
	for (int i = 0; i < arguments.argc; i++)
		cr_assert_str_eq(arguments.argv[i], expected[i]);
	cr_assert_null(arguments.argv[arguments.argc]);
	free(s);
}

Test(settings, as_many_as_can_be)
{
	struct said *s = begin();
	static struct settings settings;
	static struct eal_arguments arguments;
	char error[256] = "", device[PORTS_DEVICE_MAX];

	memset(device, 'x', sizeof(device) - 1);
	memcpy(device, "net_", 4);
	device[sizeof(device) - 1] = '\0';
	for (uint32_t i = 0; i < LCORES_MAX; i++)
		wire_put_u32(&s->lcores_out, 1023 - i);
	for (unsigned i = 0; i < SETTINGS_EAL_MAX; i++)
		wire_put_cstring(&s->eal_out, device);
	for (unsigned i = 0; i < PORTS_LINKS_MAX; i++)
		link_of(s, "l", device, device);
	cr_assert(read_them(s, &settings, error, sizeof(error)), "%s", error);
	settings_eal_arguments(&settings, 4194304, &arguments);
	cr_assert_str_eq(arguments.argv[arguments.argc - 1], "--no-pci");
	cr_assert_leq(arguments.argc, SETTINGS_ARGV_MAX);
	wire_put_u32(&s->lcores_out, 1);
	cr_assert_not(read_them(s, &settings, error, sizeof(error)), "an lcore too many");
	free(s);
}

Test(settings, refused)
{
	static const char *const what[] = {"no lcores", "no links", "netns with a slash", "mtu",
	    "lcore twice", "link cut short", "empty device"};

	for (int i = 0; i < 7; i++) {
		struct said *s = begin();
		static struct settings settings;
		char error[256] = "";
		if (i != 0)
			wire_put_u32(&s->lcores_out, 0);
		if (i == 4)
			wire_put_u32(&s->lcores_out, 0);
		if (i == 6)
			link_of(s, "l", "", "net_b");
		else if (i != 1)
			link_of(s, "l", "net_a", "net_b");
		if (i == 2)
			s->config.netns = wire_span_of("../x");
		if (i == 3)
			s->config.mtu = 100;
		if (i == 5)
			wire_put_u32(&s->links_out, 9);
		cr_assert_not(read_them(s, &settings, error, sizeof(error)), "%s is taken", what[i]);
		cr_assert_neq(error[0], '\0');
		free(s);
	}
}

Test(ports, names)
{
	char name[PORTS_DEVICE_MAX];

	cr_assert(ports_is_vdev("net_af_packet0,iface=x"));
	cr_assert_not(ports_is_vdev("0000:00:04.0"));
	ports_device_name("net_af_packet0,iface=x", name, sizeof(name));
	cr_assert_str_eq(name, "net_af_packet0");
	ports_device_name("0000:00:04.0", name, sizeof(name));
	cr_assert_str_eq(name, "0000:00:04.0");
}

Test(ports, mbufs_hold_a_frame_of_the_mtu)
{
	static const uint32_t mtus[] = {1280, 1500, 2048, 3542, 9000, 16000};

	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		uint32_t room = ports_mbuf_room(mtus[i]);
		cr_assert_geq(room, mtus[i] + 14 + 12 + 128, "MTU %u: room %u", mtus[i], room);
		cr_assert_geq(room, 2048 + 128);
	}
	cr_assert_leq(ports_mbuf_room(3542) + 256, 4096, "af_xdp's chunk is a page");
}

/* The kernel takes no chunk larger than a page, and what an object leaves of its page is not registered. */
Test(ports, an_mbuf_of_af_xdp_fills_its_page)
{
	struct ports ports = {0};

	cr_assert_eq(ports_add_link(&ports, "l", "net_af_xdp0,iface=a", "net_af_xdp1,iface=b"), 0);
	uint32_t object = rte_mempool_calc_obj_size(
	    (uint32_t)sizeof(struct rte_mbuf) + ports_pool_room(&ports, 1500), 0, NULL);
	cr_assert_leq(object, 4096);
	cr_assert_geq(object, 4096 - 2 * RTE_CACHE_LINE_SIZE);
	cr_assert_geq(ports_pool_room(&ports, 9000), ports_mbuf_room(9000));
}

Test(ports, mbufs_hold_a_slot_of_af_packet)
{
	struct ports ports = {0};

	cr_assert_eq(ports_add_link(&ports, "l", "net_af_packet0,iface=a", "net_af_packet1,iface=b"), 0);
	cr_assert_eq(ports_pool_room(&ports, 1500), ports_mbuf_room(1500));
	cr_assert_eq(
	    ports_add_link(&ports, "m", "net_af_packet2,iface=c,framesz=16384", "net_af_packet3,iface=d"), 0);
	cr_assert_eq(ports_pool_room(&ports, 1500), 16384 + 128);
	cr_assert_eq(
	    ports_add_link(&ports, "n", "net_af_packet4,framesz=99999999,x", "net_af_packet5,framesz="), 0);
	cr_assert_eq(ports_pool_room(&ports, 1500), 16384 + 128);
}

Test(xdp, interface)
{
	static const struct {
		const char *device, *expected;
	} table[] = {{"net_af_xdp0,iface=boxc", "boxc"},
	    {"net_af_xdp1,start_queue=0,iface=b0,queue_count=1", "b0"}, {"net_af_packet0,iface=x", NULL},
	    {"net_af_xdp0", NULL}, {"net_af_xdp0,iface=", NULL}, {"net_af_xdp0,iface=sixteenlettersxx", NULL},
	    {"0000:01:00.0", NULL}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char name[16] = "";
		bool got = xdp_interface(table[i].device, name);
		cr_assert_eq(got, table[i].expected != NULL, "%s", table[i].device);
		cr_assert(!got || strcmp(name, table[i].expected) == 0, "%s: expected %s, got %s",
		    table[i].device, table[i].expected, name);
	}
	cr_assert_eq(xdp_detach("net_af_xdp0,iface=nosuchiface"), 0);
	cr_assert_eq(xdp_detach("0000:01:00.0"), 0);
}
