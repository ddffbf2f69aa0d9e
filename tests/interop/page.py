#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A page at the client, for what is forwarded to it.

Usage: page.py PORT
"""
import http.server
import sys

PAGE = b"from the client\n"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
