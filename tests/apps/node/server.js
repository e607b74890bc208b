// The event loop as a server: server.js PORT [BACKEND]
// GET /call/ID asks BACKEND/ID and answers with what it said; any other path answers 200.
"use strict";

const http = require("node:http");

const [port, backend] = process.argv.slice(2);

async function body(path) {
  if (!path.startsWith("/call/") || !backend) {
    return [200, "ok\n"];
  }
  const answer = await fetch(`${backend}/${path.slice("/call/".length)}`);
  return [answer.status, await answer.text()];
}

const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", async () => {
    try {
      const [status, text] = await body(request.url);
      response.writeHead(status, { "Content-Length": Buffer.byteLength(text) });
      response.end(request.method === "HEAD" ? undefined : text);
    } catch (error) {
      response.writeHead(502, { "Content-Length": 0 });
      response.end();
    }
  });
});
server.keepAliveTimeout = 60000;
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 1024 }, () => {
  console.log("READY");
});
