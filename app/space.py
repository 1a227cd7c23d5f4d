"""Space in the store: how much each kind of data may take. ``app/scripts.py`` enforces it.

The store never evicts anything by itself (``noeviction``). Instead, the script that writes a
result drops the oldest diffs and the oldest finished reviews that exceed their share of the
store's ``maxmemory``. The sum, for the stack's own cache (``cache/redis.conf``), in MiB:

     4  an idle Redis: its tables, connections and scripts
    31  the queue: MAX_QUEUED reviews of MAX_QUEUED_BYTES
    16  finished reviews: RESULTS_SHARE of maxmemory
    30  diffs: DIFFS_SHARE of maxmemory, and a quarter more, by which the allocator rounds up
    81  in total; this is below the mark of 84, MARK of maxmemory
    12  reserve: twelve diffs that arrive at once, leases, attempts
    96  maxmemory

Above the mark, no new review is accepted, unless older data can be dropped. That happens with data
that the sum does not count: those of version 0.2, or of another user of the store. Work in hand is
written even above maxmemory: Redis refuses a script for lack of memory only at its first write, and
the first write of a worker's script frees memory or needs none.
"""

DEFAULT_MAXMEMORY = 96 * 1024 * 1024
"""Basis of the shares if the store has no maxmemory. There is no mark then."""
MARK = 7 / 8
RESULTS_SHARE = 1 / 6
DIFFS_SHARE = 1 / 4
MAX_QUEUED = 10_000
MAX_QUEUED_BYTES = 3200
"""Memory of a queued review with the longest names, all its keys included."""
OVERHEAD_BYTES = 2560
"""Memory of a finished review beyond its result, and of a diff: keys, table and index entries."""
MAX_DIFF_BYTES = 4 * 1024 * 1024
"""Maximum size of a diff; a longer one is cut. It is stored compressed."""
