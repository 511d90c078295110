"""The kind of app that works on localhost and falls over with real users: one route asks its database forty times, and
the pool has five connections.

It knows nothing of any proxy. DATABASE_URL says where the database is.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

POOL_SIZE = 5
POSTS_PER_FEED = 20


class Post(BaseModel):
    id: int
    title: str
    author: str
    likes: list[int]


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        await fill(pool)
        app.state.pool = pool
        yield


async def fill(pool: asyncpg.Pool) -> None:
    """Two thousand posts of twenty authors, with ten likes each, made anew at every start."""
    await pool.execute(
        """
        DROP TABLE IF EXISTS post, likes;
        CREATE TABLE post (id int PRIMARY KEY, title text NOT NULL, author text NOT NULL);
        CREATE TABLE likes (post int NOT NULL, reader int NOT NULL, PRIMARY KEY (post, reader));
        INSERT INTO post SELECT n, 'post ' || n, 'author ' || n % 20 FROM generate_series(1, 2000) AS n;
        INSERT INTO likes SELECT n, m FROM generate_series(1, 2000) AS n, generate_series(1, 10) AS m;
        ANALYZE post, likes;
        """
    )


app = FastAPI(title="Overloaded", lifespan=lifespan)


@app.get("/feed")
async def feed(request: Request) -> list[Post]:
    # Two queries per post, each on whatever connection is free, as code does that was written one function at a time.
    pool: asyncpg.Pool = request.app.state.pool
    posts = []
    for number in range(1, POSTS_PER_FEED + 1):
        post = await pool.fetchrow("SELECT id, title, author FROM post WHERE id = $1", number)
        likes = await pool.fetch("SELECT reader FROM likes WHERE post = $1 ORDER BY reader", number)
        posts.append(Post(**post, likes=[like["reader"] for like in likes]))
    return posts


@app.get("/about")
async def about() -> dict[str, str]:
    return {"app": "overloaded"}
