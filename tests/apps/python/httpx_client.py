"""httpx: httpx_client.py BASE PLAN asks for what the file PLAN says (tests/host/reach/mod.rs)."""

import sys

import httpx

base, plan = sys.argv[1:]


def chunked(size):
    yield b"b" * (size // 2)
    yield b"b" * (size - size // 2)


with httpx.Client(trust_env=False, timeout=30) as client:
    for line in open(plan):
        method, path, size, how = line.split()
        size = int(size)
        answer = client.request(
            method,
            base + path,
            content=chunked(size) if how == "chunked" else b"b" * size,
            headers={"Connection": "close"} if how == "close" else {},
        )
        print(method, path, answer.status_code, len(answer.content), size, 0, 0)
