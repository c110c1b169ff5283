"""A discrete-event simulation of `pvcnn.compute.dispatcher`: one driver, many workers, a network between.

The driver is one thread. It takes results in the order in which they come; for each it gives the worker
its next submission first, and then verifies and records the result. A worker that waits for the driver is
idle, and that is all that can slow down a run here but the work itself.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Seconds. work: of a worker for one submission, on average, with `spread` its standard deviation.

    give: of the driver for taking in a result and giving the next submission. record: of the driver for
    verifying and recording. latency: between driver and worker, one way. stagger: from the first worker's
    start to the last's.
    """

    work: float
    spread: float
    give: float
    record: float
    latency: float
    stagger: float = 0.0


@dataclass(frozen=True)
class Run:
    """wall: seconds from the first start to the last record. Shares of it: workers at work, driver busy."""

    wall: float
    workers_busy: float
    driver_busy: float


def simulate(submissions: int, workers: int, costs: Costs, seed: int = 0) -> Run:
    """One run of the dispatcher's loop."""
    draw = random.Random(seed)

    def work() -> float:
        return max(0.0, draw.gauss(costs.work, costs.spread))

    left = submissions
    worked = 0.0
    driver_free = 0.0
    driver_busy = 0.0
    arrivals: list[tuple[float, int, bool]] = [
        (costs.stagger * worker / max(1, workers - 1), worker, False) for worker in range(workers)
    ]
    heapq.heapify(arrivals)
    queue: deque[tuple[int, bool]] = deque()
    while arrivals or queue:
        if not queue:
            driver_free = max(driver_free, arrivals[0][0])
        while arrivals and arrivals[0][0] <= driver_free:
            _, worker, has_result = heapq.heappop(arrivals)
            queue.append((worker, has_result))
        worker, has_result = queue.popleft()
        given = driver_free + costs.give
        if left:
            left -= 1
            seconds = work()
            worked += seconds
            heapq.heappush(arrivals, (given + 2 * costs.latency + seconds, worker, True))
        spent = costs.give + (costs.record if has_result else 0.0)
        driver_free += spent
        driver_busy += spent
    return Run(driver_free, worked / (workers * driver_free), driver_busy / driver_free)
