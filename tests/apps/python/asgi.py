"""FastAPI, for uvicorn; what it serves and logs: tests/host/reach/mod.rs."""

import os

import fastapi
from fastapi.responses import PlainTextResponse, StreamingResponse

LOG = os.open(os.environ["ACCESS_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

api = fastapi.FastAPI()


@api.api_route("/small/{number}", methods=["GET", "HEAD"])
async def small(number: int):
    return PlainTextResponse("x" * 200)


@api.get("/large/{number}")
async def large(number: int):
    return PlainTextResponse("x" * (1 << 20))


@api.get("/chunks/{number}")
async def chunks(number: int):
    return StreamingResponse(pieces(3, 100))


@api.get("/stream/{number}")
async def stream(number: int):
    return StreamingResponse(pieces(200, 1000))


@api.post("/echo/{number}")
async def echo(number: int, request: fastapi.Request):
    return PlainTextResponse(await request.body())


async def pieces(count, size):
    for _ in range(count):
        yield "x" * size


async def app(scope, receive, send):
    """The application with an access log around it."""
    if scope["type"] != "http":
        return await api(scope, receive, send)
    seen = {"sent": 0, "received": 0, "status": 0}

    async def count_request():
        message = await receive()
        seen["received"] += len(message.get("body", b""))
        return message

    async def count_response(message):
        if message["type"] == "http.response.start":
            seen["status"] = message["status"]
        elif scope["method"] != "HEAD":
            seen["sent"] += len(message.get("body", b""))
        await send(message)

    await api(scope, count_request, count_response)
    line = "{method} {path} {status} {sent} {received} 0 0\n"
    os.write(LOG, line.format(method=scope["method"], path=scope["path"], **seen).encode())
