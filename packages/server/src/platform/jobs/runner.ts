import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Metric } from "effect"
import type { Job } from "./job.ts"

const DEFAULT_DEADLINE_MS = 60_000

/** The pause after a failed round: it doubles with each further failure, up to this. */
const LONGEST_BACKOFF_MS = 5_000

const rounds = Metric.counter("holdfast_worker_rounds_total", {
  description: "Rounds of a worker, by how they ended",
  incremental: true
})
const done = Metric.counter("holdfast_worker_items_total", {
  description: "What the workers have done: orders cancelled, events published, webhooks sent",
  incremental: true
})
const duration = Metric.histogram("holdfast_worker_round_ms", {
  description: "How long a round takes that had something to do",
  boundaries: [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000]
})

/** Workers that run. */
export interface RunningJobs {
  /** Lets the rounds under way finish, for up to this long; what still runs then is interrupted and rolled back. */
  readonly stop: (withinMs: number) => Effect.Effect<void>
}

/**
 * Runs workers until they are stopped, each in a fiber of its own. A round that fails or dies is logged and counted, and
 * the worker goes on after a pause that grows with each failure: no worker ever ends by itself.
 */
export const runJobs = <R>(workers: ReadonlyArray<Job<R>>): Effect.Effect<RunningJobs, never, R> =>
  Effect.gen(function* () {
    const stopping = yield* Deferred.make<void>()
    const fibers = yield* Effect.forEach(workers, (worker) => Effect.forkDetach(runJob(worker, stopping)))
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

const runJob = <R>(worker: Job<R>, stopping: Deferred.Deferred<void>): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    let failures = 0
    while (!(yield* Deferred.isDone(stopping))) {
      const exit = yield* measuredRound(worker)
      failures = Exit.isSuccess(exit) ? 0 : failures + 1
      if (Exit.isFailure(exit)) yield* report(exit.cause, failures)
      if (Exit.isSuccess(exit) && exit.value > 0) continue
      const pauseMs = jittered(pauseAfter(worker.everyMs, failures))
      yield* Effect.raceFirst(Effect.sleep(pauseMs), Deferred.await(stopping))
    }
  }).pipe(Effect.annotateLogs({ worker: worker.name }))

const measuredRound = <R>(worker: Job<R>) =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const exit = yield* worker.round.pipe(
      Effect.timeout(worker.deadlineMs ?? DEFAULT_DEADLINE_MS),
      Effect.exit
    )
    const attributes = { worker: worker.name }
    const outcome = Exit.isSuccess(exit) ? (exit.value > 0 ? "worked" : "idle") : "failed"
    yield* Metric.update(Metric.withAttributes(rounds, { ...attributes, outcome }), 1)
    if (Exit.isSuccess(exit) && exit.value > 0) {
      yield* Metric.update(Metric.withAttributes(done, attributes), exit.value)
      const tookMs = (yield* Clock.currentTimeMillis) - startedAt
      yield* Metric.update(Metric.withAttributes(duration, attributes), tookMs)
    }
    return exit
  })

/** The first failure may be a store that restarts; it is worth a warning once, and then only now and again. */
const report = (cause: Cause.Cause<unknown>, failures: number) =>
  failures === 1 || failures % 20 === 0
    ? Effect.logWarning("a round failed; the next one follows", { failures }, cause)
    : Effect.void

const pauseAfter = (everyMs: number, failures: number): number =>
  failures === 0
    ? everyMs
    : Math.min(
        Math.max(LONGEST_BACKOFF_MS, everyMs),
        Math.max(everyMs, 100) * 2 ** Math.min(failures - 1, 10)
      )

/** Processes that were started together must not come by together for ever. */
const jittered = (ms: number): Duration.Duration => Duration.millis(ms * (0.75 + Math.random() / 2))
