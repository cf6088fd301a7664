/** How often the delay of the event loop is measured. */
const SAMPLE_MS = 10

/** This many calls are always admitted: they are too few to explain a delay. */
const LEAST_IN_FLIGHT = 32

/** The calls that a single late turn may bring along; one that stays late admits fewer. */
const BURST_IN_FLIGHT = 256

interface LoadBounds {
  readonly maximumInFlight: number
  readonly maximumDelayMs: number
}

/** The calls that a process works on, and the bound on them. */
export interface Load {
  readonly begin: (calls: number) => void
  readonly end: (calls: number) => void
  /** Whether another call would have to wait. */
  readonly isExceeded: () => boolean
  readonly stop: () => void
}

/**
 * Measures how long work waits in the two queues of a process, for a turn of the event loop and for a connection to the
 * database, and adapts the bound on the calls in flight: it falls by a fifth with each sample as long as one of them stays
 * late, and then rises again. So calls that only wait for a lock may be many, while calls that wait for each other are few
 * enough to be answered soon. A single late sample is a collection of garbage or another process, and lowers nothing.
 *
 * @param passQueue takes a place in the queue for the database and gives it back at once
 */
export const measureLoad = (
  { maximumDelayMs, maximumInFlight }: LoadBounds,
  passQueue: () => Promise<unknown>
): Load => {
  let inFlight = 0
  let bound = maximumInFlight
  let wasLate = false
  let sampledAtMs = performance.now()
  let queuedAtMs: number | undefined
  const isLate = () => {
    const nowMs = performance.now()
    return nowMs - sampledAtMs - SAMPLE_MS > maximumDelayMs || nowMs - (queuedAtMs ?? nowMs) > maximumDelayMs
  }
  const queue = () => {
    if (queuedAtMs !== undefined || inFlight < LEAST_IN_FLIGHT) return
    queuedAtMs = performance.now()
    const leave = () => (queuedAtMs = undefined)
    passQueue().then(leave, leave)
  }
  const sample = () => {
    const isLateNow = isLate()
    sampledAtMs = performance.now()
    if (isLateNow && wasLate) bound = Math.max(LEAST_IN_FLIGHT, Math.min(bound, inFlight) * 0.8)
    else if (!isLateNow) bound = Math.min(maximumInFlight, bound + Math.max(1, bound / 32))
    wasLate = isLateNow
    queue()
  }
  const timer = setInterval(sample, SAMPLE_MS).unref()
  return {
    begin: (calls) => void (inFlight += calls),
    end: (calls) => void (inFlight -= calls),
    isExceeded: () => inFlight >= bound || (inFlight >= BURST_IN_FLIGHT && isLate()),
    stop: () => clearInterval(timer)
  }
}
