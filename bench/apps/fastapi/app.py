"""The kind of app that works on localhost and falls over with real users: one route asks its database forty times, and
the pool has five connections.

It knows nothing of any proxy. DATABASE_URL says where the database is.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request

POOL_SIZE = 5
POSTS_PER_FEED = 20


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        await fill(pool)
        app.state.pool = pool
        yield


async def fill(pool: asyncpg.Pool) -> None:
    """Twenty authors with a hundred posts each, made anew at every start."""
    await pool.execute(
        """
        DROP TABLE IF EXISTS post, author;
        CREATE TABLE author (id int PRIMARY KEY, name text NOT NULL);
        CREATE TABLE post (id int PRIMARY KEY, author int NOT NULL REFERENCES author, title text NOT NULL, likes int NOT NULL);
        INSERT INTO author SELECT n, 'author ' || n FROM generate_series(1, 20) AS n;
        INSERT INTO post SELECT n, n % 20 + 1, 'post ' || n, n * 7 % 100 FROM generate_series(1, 2000) AS n;
        ANALYZE author, post;
        """
    )


app = FastAPI(title="Overloaded", lifespan=lifespan)


@app.get("/feed")
async def feed(request: Request) -> list[dict]:
    # One query per post and one per author, as an ORM does that loads what it is asked for when it is asked for.
    posts = []
    async with request.app.state.pool.acquire() as connection:
        for number in range(1, POSTS_PER_FEED + 1):
            post = await connection.fetchrow("SELECT id, author, title, likes FROM post WHERE id = $1", number)
            author = await connection.fetchrow("SELECT name FROM author WHERE id = $1", post["author"])
            posts.append({"id": post["id"], "title": post["title"], "likes": post["likes"], "author": author["name"]})
    return posts


@app.get("/about")
async def about() -> dict[str, str]:
    return {"app": "overloaded"}
