"""Python's clients: httpx over both versions, websockets. The first argument says what to try, the second where."""

import asyncio
import hashlib
import os
import sys

import httpx
import websockets


async def try_httpx(base: str, http2: bool) -> None:
    async with httpx.AsyncClient(base_url=base, http1=not http2, http2=http2, timeout=20) as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.json()) == (200, {"ok": True}), answer
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1"), answer.http_version

        body = os.urandom(200_000)
        told = (await client.put("/seen", params={"a": "1 2"}, content=body)).json()
        assert (told["method"], told["url"], told["bytes"]) == ("PUT", "/seen?a=1+2", 200_000), told
        assert told["sha256"] == hashlib.sha256(body).hexdigest()

        async def pieces():
            for start in range(0, len(body), 7_000):
                yield body[start : start + 7_000]

        told = (await client.post("/seen", content=pieces())).json()
        assert told["sha256"] == hashlib.sha256(body).hexdigest(), "a body of unknown length"

        form = (await client.post("/seen", files={"file": ("a.bin", body)}, data={"name": "rope"})).json()
        assert form["headers"]["content-type"].startswith("multipart/form-data; boundary="), form

        head = await client.head("/file")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, "100000", b""), head
        part = await client.get("/file", headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, bytes([5, 6, 7, 8, 9])), part
        moved = await client.get("/moved", follow_redirects=True)
        assert moved.json()["url"] == "/seen" and len(moved.history) == 1

        async with client.stream("GET", "/chunks") as answer:
            lines = [line async for line in answer.aiter_lines()]
        assert lines == [f"chunk {index}" for index in range(5)], lines

        answers = await asyncio.gather(*(client.get(f"/seen?{index}") for index in range(100)))
        assert [each.json()["url"] for each in answers] == [f"/seen?{index}" for index in range(100)]


async def try_websockets(base: str) -> None:
    url = base.replace("http", "ws") + "/echo"
    for compression in ["deflate", None]:
        async with websockets.connect(url, subprotocols=["chat"], compression=compression, max_size=None) as socket:
            assert socket.subprotocol == "chat", socket.subprotocol
            for data in ["hello", "grüße " * 20_000, os.urandom(200_000)]:
                await socket.send(data)
                assert await socket.recv() == data
            latency = await (await socket.ping())
            assert latency < 20
        assert socket.close_code == 1000, socket.close_code


what, base = sys.argv[1:]
asyncio.run({"http1": lambda: try_httpx(base, False), "http2": lambda: try_httpx(base, True), "websockets": lambda: try_websockets(base)}[what]())
