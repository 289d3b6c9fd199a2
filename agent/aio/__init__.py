"""Small asyncio building blocks with no knowledge of Kubernetes.

Duty: the coalescing work queue, back-off, supervision of long-running tasks, threads for
calls that may hang, the size of asyncio's TLS buffers.
May import: ``errors``, ``log`` and the standard library.
Promises: no task is fire and forget; cancellation is never swallowed.
"""
