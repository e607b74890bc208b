"""aiohttp: aiohttp_client.py BASE PLAN asks for what the file PLAN says (tests/host/reach/mod.rs)."""

import asyncio
import sys

import aiohttp

base, plan = sys.argv[1:]


async def chunked(size):
    yield b"b" * (size // 2)
    yield b"b" * (size - size // 2)


async def main():
    async with aiohttp.ClientSession() as session:
        for line in open(plan):
            method, path, size, how = line.split()
            size = int(size)
            async with session.request(
                method,
                base + path,
                data=chunked(size) if how == "chunked" else b"b" * size or None,
                headers={"Connection": "close"} if how == "close" else {},
            ) as answer:
                body = await answer.read()
                print(method, path, answer.status, len(body), size, 0, 0)


asyncio.run(main())
