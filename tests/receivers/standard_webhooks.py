"""A receiver of webhooks that verifies each with the library of Standard Webhooks for Python.

    python3 standard_webhooks.py

It prints the port that it listens on. The secret follows on standard input. Then it prints a line for each request: the ID of the event
if its signature is right, `refused` otherwise.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = Webhook(secret).verify(body, {name.lower(): value for name, value in self.headers.items()})
            event = event if isinstance(event, dict) else json.loads(body)
            print(event["id"], flush=True)
            self.send_response(204)
        except WebhookVerificationError:
            print("refused", flush=True)
            self.send_response(400)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
secret = sys.stdin.readline().strip()
server.serve_forever()
