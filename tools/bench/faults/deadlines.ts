/** How long a call may take, retries included. It is the client's default. */
export const CALL_DEADLINE_MS = 30_000
/** What the client's own timers may be late by on a busy machine. */
export const SLACK_MS = 1_000
export const LATEST_ANSWER_MS = CALL_DEADLINE_MS + SLACK_MS
/** How long a server that no fault strikes may take to answer a request. It is the client's default. */
export const REQUEST_DEADLINE_MS = 10_000
/** How long after a fault the service may take to be whole again. */
export const RECOVERY_MS = 5_000
/** Memory is flat when no process grows faster than this once it is warm, and none exceeds the peak. */
export const FLAT_MEGABYTES_PER_MINUTE = 3
export const PEAK_MEGABYTES = 512
/** A shorter watch says nothing about memory. */
export const MEMORY_WATCH_MINUTES = 5
