"""late.py PORT BACKEND: calls the backend at once, listens only then, and answers every request
after another call over the connection it has since the beginning."""

import http.client
import http.server
import sys

backend = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))


def call(path):
    backend.request("GET", path)
    backend.getresponse().read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        call("/backend" + self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


call("/early")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
