import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Metric } from "effect"
import { type Bell, JobNotices } from "./notices.ts"

/**
 * Background work, done in runs. Every process runs all jobs; row locks in the database, or a leader lease (see
 * leader.ts), keep the processes from doing the same work twice.
 */
export interface Job<R> {
  readonly name: string
  /** The pause after a run that left nothing to do. */
  readonly intervalMs: number
  /** What else begins the next run, and how long the pause is without it. */
  readonly notice?: { readonly topic: string; readonly idleMs: number }
  /** Returns how many items it handled. The next run follows at once when that is a whole batch. */
  readonly run: Effect.Effect<number, Error, R>
  /** The items of a run that has left others. Default: 1. */
  readonly batch?: number
  /** A run that takes longer is interrupted. Default: a minute. */
  readonly deadlineMs?: number
}

const DEFAULT_DEADLINE_MS = 60_000

/**
 * The pause after a failed run doubles with each further failure, up to this. It is short, because a run costs nothing
 * while a store is known to be away, and the work is to go on soon after the store is back.
 */
const LONGEST_BACKOFF_MS = 2_000

const runs = Metric.counter("holdfast_job_runs_total", {
  description: "Runs of a job, by outcome: worked, idle or failed",
  incremental: true
})
const items = Metric.counter("holdfast_job_items_total", {
  description: "Items that a job has handled, such as events published",
  incremental: true
})
const duration = Metric.histogram("holdfast_job_run_ms", {
  description: "Duration of the runs of a job that found something to do",
  boundaries: [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]
})

const lastSuccess = Metric.gauge("holdfast_job_last_success_timestamp_seconds", {
  description: "When a run of a job last ended without a failure in this process"
})

export interface RunningJobs {
  /** Waits up to `withinMs` for the runs in flight; those that still run then are interrupted and rolled back. */
  readonly stop: (withinMs: number) => Effect.Effect<void>
}

/**
 * Runs jobs until they are stopped, each in its own fiber. A run that fails or dies is logged and counted, and the job
 * continues after a pause that grows with each failure: no job ends by itself.
 */
export const runJobs = <R>(jobs: ReadonlyArray<Job<R>>): Effect.Effect<RunningJobs, never, R> =>
  Effect.gen(function* () {
    const stopping = yield* Deferred.make<void>()
    const fibers = yield* Effect.forEach(jobs, (job) => Effect.forkDetach(repeat(job, stopping)))
    const ended = Effect.forEach(fibers, Fiber.await, { concurrency: "unbounded", discard: true })
    return {
      stop: (withinMs) =>
        Deferred.succeed(stopping, undefined).pipe(
          Effect.andThen(ended),
          Effect.timeoutOption(withinMs),
          Effect.andThen(Fiber.interruptAll(fibers))
        )
    }
  })

const repeat = <R>(job: Job<R>, stopping: Deferred.Deferred<void>): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const notices = yield* JobNotices
    const bell = job.notice && notices.makeBell(job.notice.topic)
    let failures = 0
    while (!(yield* Deferred.isDone(stopping))) {
      const exit = yield* measuredRun(job)
      failures = Exit.isSuccess(exit) ? 0 : failures + 1
      if (Exit.isFailure(exit)) yield* report(exit.cause, failures)
      if (Exit.isSuccess(exit) && exit.value >= (job.batch ?? 1)) continue
      const pause = Effect.sleep(jittered(pauseAfter(job.intervalMs, failures)))
      yield* Effect.raceFirst(
        failures === 0 ? Effect.andThen(pause, untilNoticed(job, bell)) : pause,
        Deferred.await(stopping)
      )
    }
  }).pipe(Effect.annotateLogs({ job: job.name }))

/** The rest of the pause, which a notice ends. */
const untilNoticed = <R>({ intervalMs, notice }: Job<R>, bell: Bell | undefined): Effect.Effect<void> =>
  notice === undefined || bell === undefined
    ? Effect.void
    : Effect.raceFirst(bell.rung, Effect.sleep(jittered(notice.idleMs - intervalMs)))

const measuredRun = <R>(job: Job<R>) =>
  Effect.gen(function* () {
    const startedAtMs = yield* Clock.currentTimeMillis
    const exit = yield* job.run.pipe(Effect.timeout(job.deadlineMs ?? DEFAULT_DEADLINE_MS), Effect.exit)
    const attributes = { job: job.name }
    const outcome = Exit.isSuccess(exit) ? (exit.value > 0 ? "worked" : "idle") : "failed"
    yield* Metric.update(Metric.withAttributes(runs, { ...attributes, outcome }), 1)
    const endedAtMs = yield* Clock.currentTimeMillis
    if (Exit.isSuccess(exit))
      yield* Metric.update(Metric.withAttributes(lastSuccess, attributes), endedAtMs / 1_000)
    if (Exit.isSuccess(exit) && exit.value > 0) {
      yield* Metric.update(Metric.withAttributes(items, attributes), exit.value)
      const tookMs = endedAtMs - startedAtMs
      yield* Metric.update(Metric.withAttributes(duration, attributes), tookMs)
    }
    return exit
  })

/** One warning at the first failure and then at every 20th: a store that restarts does not flood the log. */
const report = (cause: Cause.Cause<unknown>, failures: number) =>
  failures === 1 || failures % 20 === 0
    ? Effect.logWarning("a job run failed and will be retried", { failures }, cause)
    : Effect.void

const pauseAfter = (intervalMs: number, failures: number): number =>
  failures === 0
    ? intervalMs
    : Math.min(
        Math.max(LONGEST_BACKOFF_MS, intervalMs),
        Math.max(intervalMs, 100) * 2 ** Math.min(failures - 1, 10)
      )

/** Jitter, to avoid lockstep between processes that started together. */
const jittered = (ms: number): Duration.Duration => Duration.millis(ms * (0.75 + Math.random() / 2))

/** The longest pause between two runs that do not fail. */
export const longestPauseMs = <R>({ intervalMs }: Pick<Job<R>, "intervalMs">): number => intervalMs * 1.25
