"""A small API with one of each kind of answer: quick, slow, created, refused, streamed, upgraded.

Nothing in here knows about Plimsoll: any FastAPI app runs behind it the same way.
"""

import asyncio
import os
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

app = FastAPI(title="Plimsoll's FastAPI example")


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    price: Annotated[float, Field(ge=0)]


@app.get("/")
async def root() -> dict[str, str | int]:
    # The variable is set per instance, so a client can see that it was balanced.
    return {"app": "fastapi", "instance": os.environ.get("PLIMSOLL_INSTANCE", "alone"), "pid": os.getpid()}


@app.get("/slow")
async def slow(ms: Annotated[int, Query(ge=0, le=60_000)] = 100) -> dict[str, int]:
    await asyncio.sleep(ms / 1000)
    return {"slept_ms": ms}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/items", status_code=201)
async def create_item(item: Item) -> Item:
    return item


@app.get("/fail")
async def fail() -> None:
    raise HTTPException(status_code=500, detail="asked to fail")


@app.get("/events")
async def events(count: Annotated[int, Query(ge=1, le=1000)] = 5, ms: Annotated[int, Query(ge=0, le=10_000)] = 100):
    async def stream():
        for number in range(count):
            yield f"id: {number}\ndata: tick {number}\n\n"
            await asyncio.sleep(ms / 1000)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-cache"})


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
