/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xdp: takes the program of an af_xdp port off its interface.
 *
 * The driver leaves it there when it closes (finding it again needs rights that we gave up), and nobody takes
 * it off when we are killed. With the program there and no socket behind it the interface is deaf.
 */
#ifndef DATAPLANE_XDP_H
#define DATAPLANE_XDP_H

/* `device`: a port as configured. 0 where there is nothing to do, it is done, or no such interface; else
 * -errno. */
int xdp_detach(const char *device);
/* The interface that "net_af_xdp…,iface=NAME,…" names, into `name` (IF_NAMESIZE bytes). False: not such a
 * port. */
_Bool xdp_interface(const char *device, char *name);

#endif
