#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What else listens at the origin: HTTP on 80, an echo on TCP 23 (for a rule to block) and 7, and on UDP 7.

Usage: origin_services.py DIRECTORY    (of the files that HTTP serves); prints "ready" once all listen.
"""
import functools
import http.server
import socket
import socketserver
import sys
import threading


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Http(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoTcp(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


class EchoUdpHandler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)


class EchoUdp(socketserver.ThreadingUDPServer):
    address_family = socket.AF_INET6
    max_packet_size = 65507
    daemon_threads = True


def main():
    handler = functools.partial(Quiet, directory=sys.argv[1])
    servers = [
        Http(("::", 80), handler),
        EchoTcp(("::", 23), Echo),
        EchoTcp(("::", 7), Echo),
        EchoUdp(("::", 7), EchoUdpHandler),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


main()
