#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An origin that is asyncssh: logins as the user it runs as, with commands, terminals, forwarding, SFTP and SCP.

Usage: asyncssh_server.py HOST-KEY PORT AUTHORIZED-KEYS [PORT AUTHORIZED-KEYS]...     prints "ready" once it listens
"""
import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios

import asyncssh


class Server(asyncssh.SSHServer):
    def connection_requested(self, *_):
        return True

    def server_requested(self, *_):
        return True

    def unix_connection_requested(self, *_):
        return True

    def unix_server_requested(self, *_):
        return True


def set_window(fd, size):
    columns, rows, width, height = size
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))


def environment(process):
    known = {**os.environ, **process.env}
    if process.term_type:
        known["TERM"] = process.term_type
    if path := process.channel.get_agent_path():
        known["SSH_AUTH_SOCK"] = path
    if display := process.channel.get_x11_display():
        known["DISPLAY"] = display
    return known


async def copy_out(fd, writer):
    """From a descriptor of ours to the client, until the program has closed its end."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = await loop.run_in_executor(None, os.read, fd, 65536)
        except OSError:  # EIO: a terminal that nobody has open any more
            data = b""
        if not data:
            return
        writer.write(data)
        await writer.drain()


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


async def copy_in(process, child, fd, terminal):
    """From the client to the program: data, window changes, signals, breaks."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            data = await process.stdin.read(65536)
        except asyncssh.TerminalSizeChanged as change:
            set_window(fd, (change.width, change.height, change.pixwidth, change.pixheight))
            continue
        except asyncssh.SignalReceived as received:
            os.killpg(child.pid, getattr(signal, "SIG" + received.signal))
            continue
        except asyncssh.BreakReceived:
            termios.tcsendbreak(fd, 0)
            continue
        if not data:
            break
        try:
            await loop.run_in_executor(None, write_all, fd, data)
        except OSError:
            break  # the program does not read any more
    if not terminal:
        os.close(fd)


def tell_end(process, status):
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name[3:], False, "killed")
    else:
        process.exit(status)


async def on_terminal(process, command):
    near, far = pty.openpty()
    set_window(far, process.term_size)

    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    child = await asyncio.create_subprocess_exec(*command, stdin=far, stdout=far, stderr=far, env=environment(process), preexec_fn=own_terminal)
    os.close(far)
    feeding = asyncio.ensure_future(copy_in(process, child, near, True))
    await copy_out(near, process.stdout)
    status = await child.wait()
    feeding.cancel()
    os.close(near)
    return status


async def on_pipes(process, command):
    ends = [os.pipe() for _ in range(3)]
    child = await asyncio.create_subprocess_exec(
        *command, stdin=ends[0][0], stdout=ends[1][1], stderr=ends[2][1], env=environment(process), start_new_session=True
    )
    for fd in (ends[0][0], ends[1][1], ends[2][1]):
        os.close(fd)
    feeding = asyncio.ensure_future(copy_in(process, child, ends[0][1], False))
    await asyncio.gather(copy_out(ends[1][0], process.stdout), copy_out(ends[2][0], process.stderr))
    status = await child.wait()
    feeding.cancel()
    os.close(ends[1][0])
    os.close(ends[2][0])
    return status


async def serve(process):
    command = ["/bin/bash"] + (["-c", process.command] if process.command else [])
    serve_one = on_terminal if process.term_type else on_pipes
    tell_end(process, await serve_one(process, command))


async def main():
    host_key, rest = sys.argv[1], sys.argv[2:]
    for port, authorized in zip(rest[::2], rest[1::2]):
        await asyncssh.listen(
            "", int(port), server_factory=Server, server_host_keys=[host_key], authorized_client_keys=authorized,
            process_factory=serve, encoding=None, line_editor=False, sftp_factory=True, allow_scp=True,
            agent_forwarding=True, x11_forwarding=True,
        )  # fmt: skip
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.get_event_loop().set_default_executor(__import__("concurrent.futures").futures.ThreadPoolExecutor(64))
asyncio.get_event_loop().run_until_complete(main())
