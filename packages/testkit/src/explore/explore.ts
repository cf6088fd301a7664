import type { Scenario, Step } from "./scenario.ts"
import { assertOptions, type OptionNames } from "../internal/options.ts"
import { MAX_ACTORS } from "./choice.ts"
import { decodeSchedule, encodeSteps } from "./schedule-code.ts"
import type { ScheduleLimits } from "./schedule-run.ts"
import { shrink } from "./shrink.ts"
import { proposals, type StrategyName } from "./strategy/proposals.ts"
import { scripted } from "./strategy/scripted.ts"
import { stay, type Divergence } from "./strategy/strategy.ts"
import { World, type Judged } from "./world.ts"

/** Which schedules to run, and what to do with a failing one. */
export interface ExploreOptions extends Partial<ScheduleLimits> {
  /** Default `auto`. */
  readonly strategy?: StrategyName
  /** Maximum number of schedules. Default 1,000. */
  readonly schedules?: number
  /** Seed of the first seeded schedule; later ones count up. Default 1. */
  readonly seed?: number
  /** The number of ordering constraints that PCT looks for. Default 3. */
  readonly pctDepth?: number
  /** Maximum number of schedules to simplify a failing one. Default 200. */
  readonly shrinkRuns?: number
  /** How often to repeat a failing schedule. Default 5. */
  readonly replays?: number
  /** Repeats every nth seeded schedule to detect outcomes that depend on more than the schedule. Default 50. */
  readonly repeatEvery?: number
}

const limits = { maxSteps: true, patienceMs: true, stuckMs: true } as const
const exploreOptions: OptionNames<ExploreOptions> = {
  ...limits,
  strategy: true,
  schedules: true,
  seed: true,
  pctDepth: true,
  shrinkRuns: true,
  replays: true,
  repeatEvery: true
}

/** The result of an exploration. */
export interface Exploration {
  readonly name: string
  readonly strategy: StrategyName
  readonly seed: number
  /** The number of schedules that were run, without repetitions. */
  readonly schedules: number
  /** Whether all existing schedules were run to their end, were reproducible, and decide everything. */
  readonly exhaustive: boolean
  /** What the schedules do not decide, in sentences: a client's timer, work that `run` does not await. */
  readonly uncontrolled: ReadonlyArray<string>
  /** The number of schedules that exceeded `maxSteps` and were not judged. */
  readonly truncated: number
  readonly elapsedMs: number
  readonly failure?: ExplorationFailure
  /** Set when the same choices led to different situations, so the outcome depends on more than the schedule. */
  readonly nondeterminism?: Nondeterminism
}

/** A failing schedule. */
export interface ExplorationFailure {
  /** What `check` returned. */
  readonly message: string
  /** The simplest failing schedule that was found; {@link replay} repeats it. */
  readonly code: string
  /** The schedule that failed first: `pct:3:12:7`, `random:7` or its steps. */
  readonly foundAs: string
  /** The number of schedules that were run before it. */
  readonly foundAfter: number
  /** The steps of the simplest schedule. */
  readonly steps: ReadonlyArray<Step>
  /** How often the simplest schedule was repeated, and how often it failed in the same way. */
  readonly replays: { readonly same: number; readonly of: number }
}

/** How often repeated choices led to different situations, and the first such case. */
export interface Nondeterminism {
  readonly count: number
  readonly first: Divergence
}

const DEFAULT_LIMITS: ScheduleLimits = { maxSteps: 300, patienceMs: 100, stuckMs: 5_000 }

/**
 * Runs a scenario under many schedules of its clients' commands, against real servers and with unmodified client
 * libraries. Every client connects to private ports, where its commands are held and released one at a time. Commands of
 * one connection keep their order; those of different connections, of one client too, reach the servers in any order.
 * Stops at the first violation, simplifies its schedule and repeats it.
 *
 * @throws the errors of the scenario's `setup`, `connect`, `disconnect` and `reset`
 * @throws ProtocolNotUnderstood when a client uses TLS or compression
 * @throws RangeError for more than 36 clients and actors
 */
export const explore = async <Connection, Result>(
  scenario: Scenario<Connection, Result>,
  options: ExploreOptions = {}
): Promise<Exploration> => {
  assertOptions("explore", options, exploreOptions)
  const { strategy = "auto", seed = 1 } = options
  const world = await openWorld(scenario, options)
  try {
    const warmUp = await world.warmUp(stay)
    const startedAtMs = performance.now()
    const { count, truncated, isExhausted, failed, divergences } = await search(
      world,
      options,
      warmUp.steps.length
    )
    const elapsedMs = performance.now() - startedAtMs
    const failure = failed === undefined ? undefined : await explain(world, scenario, failed, options)
    const { uncontrolled } = world
    const [first] = divergences
    return {
      name: scenario.name,
      strategy,
      seed,
      schedules: count,
      exhaustive: isExhausted && truncated === 0 && first === undefined && uncontrolled.length === 0,
      uncontrolled,
      truncated,
      elapsedMs,
      ...(failure === undefined ? {} : { failure }),
      ...(first === undefined ? {} : { nondeterminism: { count: divergences.length, first } })
    }
  } finally {
    await world.close()
  }
}

interface Searched<Result> {
  readonly count: number
  readonly truncated: number
  readonly isExhausted: boolean
  readonly failed: FailedRun<Result> | undefined
  readonly divergences: ReadonlyArray<Divergence>
}

/** Runs schedules until one fails, or none is left. */
const search = async <Connection, Result>(
  world: World<Connection, Result>,
  options: ExploreOptions,
  steps: number
): Promise<Searched<Result>> => {
  const { strategy = "auto", schedules = 1_000, seed = 1, pctDepth = 3, repeatEvery = 50 } = options
  const wasPatient = world.isPatient
  const source = proposals({ strategy, schedules, seed, pctDepth, actors: world.actors, steps })
  const divergences: Array<Divergence> = []
  let [count, truncated, isExhausted] = [0, 0, false]
  let firstSituations: ReadonlyArray<string> = []
  let failed: FailedRun<Result> | undefined
  while (count < schedules && failed === undefined) {
    const proposal = source.next()
    if (proposal === undefined) {
      await world.lookForTimers(stay, firstSituations)
      if (world.isPatient && !wasPatient) return search(world, options, steps)
      isExhausted = true
      break
    }
    const run = await world.run(proposal.choose)
    proposal.finished(run.steps.length)
    if (count === 0) firstSituations = run.situations
    count++
    if (run.end === "truncated") truncated++
    if (run.violation !== undefined) failed = { run, code: proposal.code ?? codeOf(run), after: count - 1 }
    else if (proposal.code !== undefined && count % repeatEvery === 0)
      await repeatRun(world, run, divergences)
    // Schedules that were run in a hurry may lack candidates.
    if (failed === undefined && world.isPatient && !wasPatient) return search(world, options, steps)
  }
  divergences.push(...source.divergences())
  return { count, truncated, isExhausted, failed, divergences }
}

/**
 * Repeats one schedule.
 *
 * @param code a code such as {@link ExplorationFailure.code}, for example `steps:0102`
 * @param options `times` is the number of runs, 1 by default
 * @returns the result of each run
 * @throws InvalidScheduleCodeError when the code has another form
 */
export const replay = async <Connection, Result>(
  scenario: Scenario<Connection, Result>,
  code: string,
  options: Partial<ScheduleLimits> & { readonly times?: number } = {}
): Promise<ReadonlyArray<Replayed>> => {
  assertOptions("replay", options, { ...limits, times: true })
  const world = await openWorld(scenario, options)
  try {
    decodeSchedule(code, world.actors)
    await world.warmUp(stay)
    const replayed: Array<Replayed> = []
    for (let time = 0; time < (options.times ?? 1); time++) {
      const { violation, steps } = await world.run(decodeSchedule(code, world.actors))
      replayed.push({ violation, steps })
    }
    return replayed
  } finally {
    await world.close()
  }
}

/** One run of a repeated schedule. */
export interface Replayed {
  /** What `check` returned. */
  readonly violation: string | undefined
  readonly steps: ReadonlyArray<Step>
}

interface FailedRun<Result> {
  readonly run: Judged<Result>
  readonly code: string
  readonly after: number
}

const openWorld = async <Connection, Result>(
  scenario: Scenario<Connection, Result>,
  options: Partial<ScheduleLimits>
): Promise<World<Connection, Result>> => {
  if (scenario.clients + (scenario.actors?.length ?? 0) > MAX_ACTORS) {
    throw new RangeError(`A scenario has at most ${MAX_ACTORS} clients and actors.`)
  }
  const { maxSteps, patienceMs, stuckMs } = { ...DEFAULT_LIMITS, ...options }
  return World.open(scenario, { maxSteps, patienceMs, stuckMs })
}

const actorsOf = ({ steps }: Pick<Judged<unknown>, "steps">): ReadonlyArray<number> =>
  steps.map(({ actor }) => actor)

const codeOf = (run: Judged<unknown>): string => encodeSteps(actorsOf(run))

/** Runs the same choices again and records the first one that led to a different situation. */
const repeatRun = async <Connection, Result>(
  world: World<Connection, Result>,
  run: Judged<Result>,
  divergences: Array<Divergence>
): Promise<Judged<Result>> => {
  let diverged = false
  const script = { actors: actorsOf(run), situations: run.situations }
  const choose = scripted(script, (divergence) => {
    // After the first divergence, all later situations may differ.
    if (!diverged) divergences.push(divergence)
    diverged = true
  })
  return world.run(choose)
}

const explain = async <Connection, Result>(
  world: World<Connection, Result>,
  scenario: Scenario<Connection, Result>,
  { run, code, after }: FailedRun<Result>,
  { shrinkRuns = 200, replays = 5 }: ExploreOptions
): Promise<ExplorationFailure> => {
  const failing = new Map([[codeOf(run), run]])
  if (run.end === "stuck") world.hurry()
  const { actors } = await shrink({
    actors: actorsOf(run),
    clients: scenario.clients,
    maxRuns: shrinkRuns,
    stillFails: async (proposal) => {
      const happened = await world.run(scripted({ actors: proposal }))
      if (happened.violation === undefined) return undefined
      failing.set(codeOf(happened), happened)
      return actorsOf(happened)
    }
  })
  const simplest = failing.get(encodeSteps(actors)) ?? run
  let same = 0
  for (let time = 0; time < replays; time++) {
    const again = await repeatRun(world, simplest, [])
    if (again.violation === simplest.violation && codeOf(again) === codeOf(simplest)) same++
  }
  return {
    message: simplest.violation ?? "",
    code: codeOf(simplest),
    foundAs: code,
    foundAfter: after,
    steps: simplest.steps,
    replays: { same, of: replays }
  }
}
