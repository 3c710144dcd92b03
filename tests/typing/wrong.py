"""Calls that do not fit: both type checkers report exactly the lines that end in `# wrong`.

The last task is right to Stoker, which gives it its context anywhere; but checkers can leave out a leading one only.
"""

from __future__ import annotations

from stoker import Context, JobHandle, Stoker

app = Stoker("memory://")


@app.task
def area(width: int, height: float = 1.0, *, unit: str = "m") -> str:
    return f"{width * height} {unit}²"


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(queue="slow")
def told(ctx: Context, path: str, width: int = 200) -> list[int]:
    return [width]


area.enqueue("3")  # wrong
area.enqueue()  # wrong
area.enqueue(3, 4.5, "cm")  # wrong
area.enqueue(3, colour="red")  # wrong
area.enqueue(3, unit=5)  # wrong
area.call("3")  # wrong
area.call(3, colour="red")  # wrong
area("3")  # wrong
fetch.enqueue(b"x")  # wrong
fetch.call()  # wrong
told.enqueue(5)  # wrong
told.enqueue("x", width="5")  # wrong
told.call(5)  # wrong
told(5)  # wrong
area.using(delay=60).enqueue("3")  # wrong
told.using(delay=60).call(5)  # wrong

length: int = area.enqueue(3).result()  # wrong
handle: JobHandle[int] = area.enqueue(3)  # wrong
app.enqueue_many([area.enqueue(3)])  # wrong


async def asynchronously() -> None:
    await area.aenqueue("3")  # wrong
    await told.aenqueue(5)  # wrong
    await fetch.aenqueue()  # wrong
    size: int = await (await fetch.aenqueue("x"))  # wrong
    print(size)


@app.task
def late(path: str, *, ctx: Context) -> None: ...


late.enqueue("x")  # wrong
app.task(5)  # wrong
Stoker("memory://", mode="later")  # wrong
