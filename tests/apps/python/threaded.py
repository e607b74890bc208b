"""A thread per connection: threaded.py PORT [BACKEND]

GET /call/ID asks BACKEND/ID and answers with what it said; any other path answers 200.
"""

import http.client
import http.server
import sys
import urllib.parse

PORT = int(sys.argv[1])
BACKEND = urllib.parse.urlsplit(sys.argv[2]) if len(sys.argv) > 2 else None


def ask_backend(request_id):
    connection = http.client.HTTPConnection(BACKEND.hostname, BACKEND.port)
    try:
        connection.request("GET", f"{BACKEND.path}/{request_id}")
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/call/") and BACKEND:
            status, body = ask_backend(self.path.removeprefix("/call/"))
        else:
            status, body = 200, b"ok\n"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024


server = Server(("127.0.0.1", PORT), Handler)
print("READY", flush=True)
server.serve_forever()
