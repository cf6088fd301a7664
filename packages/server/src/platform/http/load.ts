/** How often the waits are measured. */
const SAMPLE_MS = 10

/** This many calls are admitted however late the process is: callers who each wait for their answer, or came all at once. */
const BURST_IN_FLIGHT = 320

/** A process that sheds still works on this many calls. */
const LEAST_IN_FLIGHT = 8

interface LoadBounds {
  readonly maximumInFlight: number
  readonly maximumDelayMs: number
}

/** The queues that calls may wait in, beside the event loop. */
export interface Waits {
  /** Takes a place in the queue for a connection to the database, and gives it back at once. */
  readonly passDatabase: () => Promise<unknown>
  /** How long the first call has been waiting for its turn in a shared transaction. */
  readonly groupMs: () => number
}

/** The calls that a process works on, and the bound on them. */
export interface Load {
  readonly begin: (calls: number) => void
  readonly end: (calls: number) => void
  /** Whether another call has to be shed. Each `true` counts as one that was. */
  readonly isExceeded: () => boolean
  readonly stop: () => void
}

/**
 * Bounds the calls in flight. Callers who wait for their answers only wait for each other, so lateness alone sheds nobody:
 * calls have to be many as well. Once calls are shed while a queue of the process stays late, more come than it can
 * answer, and the bound falls to a few calls that are answered soon. It follows the queues from then on, and rises fast
 * when nothing is shed any more. A single late sample is a collection of garbage or another process, and lowers nothing.
 */
export const measureLoad = (
  { maximumDelayMs, maximumInFlight }: LoadBounds,
  { groupMs, passDatabase }: Waits
): Load => {
  let inFlight = 0
  let bound = maximumInFlight
  let hasShed = false
  let wasLate = false
  let sampledAtMs = performance.now()
  let queuedAtMs: number | undefined
  let sampling: NodeJS.Timeout | undefined
  const isLate = () => {
    const nowMs = performance.now()
    const waitsMs = Math.max(nowMs - sampledAtMs - SAMPLE_MS, nowMs - (queuedAtMs ?? nowMs), groupMs())
    return sampling !== undefined && waitsMs > maximumDelayMs
  }
  const queue = () => {
    if (queuedAtMs !== undefined || inFlight === 0) return
    queuedAtMs = performance.now()
    const leave = () => (queuedAtMs = undefined)
    passDatabase().then(leave, leave)
  }
  const sample = () => {
    const isLateNow = isLate()
    sampledAtMs = performance.now()
    if (hasShed && isLateNow && wasLate) bound = Math.min(maximumInFlight, lowered(bound))
    else if (!isLateNow)
      bound = Math.min(maximumInFlight, bound + (hasShed ? 1 / 4 : Math.max(1, bound / 32)))
    wasLate = isLateNow
    hasShed = false
    if (inFlight === 0 && bound === maximumInFlight) rest()
    else queue()
  }
  /** An idle process measures nothing. */
  const rest = () => {
    clearInterval(sampling)
    sampling = undefined
  }
  return {
    begin: (calls) => {
      inFlight += calls
      if (sampling !== undefined) return
      sampledAtMs = performance.now()
      sampling = setInterval(sample, SAMPLE_MS).unref()
    },
    end: (calls) => void (inFlight -= calls),
    isExceeded: () => {
      if (inFlight < bound && (inFlight < BURST_IN_FLIGHT || !(wasLate || isLate()))) return false
      hasShed = true
      return true
    },
    stop: rest
  }
}

/** What was admitted before the overload was seen has to be worked off first, so the bound falls to the least at once. */
const lowered = (bound: number): number =>
  bound >= BURST_IN_FLIGHT ? LEAST_IN_FLIGHT : Math.max(LEAST_IN_FLIGHT, bound * 0.8)
