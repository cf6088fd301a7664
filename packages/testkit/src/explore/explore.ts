import type { Scenario, Step } from "./scenario.ts"
import { decodeSchedule, encodeSteps, MAX_ACTORS } from "./schedule-code.ts"
import type { ScheduleLimits } from "./schedule-run.ts"
import { shrink } from "./shrink.ts"
import { proposals, type StrategyName } from "./strategy/proposals.ts"
import { scripted } from "./strategy/scripted.ts"
import { stay, type Divergence } from "./strategy/strategy.ts"
import { World, type Judged } from "./world.ts"

export interface ExploreOptions extends Partial<ScheduleLimits> {
  /** Default `auto`. */
  readonly strategy?: StrategyName
  /** Schedules run at most. Default 1,000. */
  readonly schedules?: number
  /** Of the first seeded schedule; the following ones count up. Default 1. */
  readonly seed?: number
  /** How many ordering constraints PCT looks for. Default 3. */
  readonly pctDepth?: number
  /** Schedules tried at most to make a failing one simpler. Default 200. */
  readonly shrinkRuns?: number
  /** How often a failing schedule is repeated to see whether it fails again. Default 5. */
  readonly replays?: number
  /** Every so manyth seeded schedule is repeated, to detect what the schedule does not control. Default 50. */
  readonly repeatEvery?: number
}

export interface Exploration {
  readonly name: string
  readonly strategy: StrategyName
  readonly seed: number
  /** How many schedules were run, not counting repetitions. */
  readonly schedules: number
  /** Every schedule there is was run, and none was cut off or not reproducible. */
  readonly exhaustive: boolean
  /** Schedules that were longer than `maxSteps` and so were not judged. */
  readonly truncated: number
  readonly elapsedMs: number
  readonly failure?: ExplorationFailure
  /** Set when the same choices led to different situations: something that the schedule does not control. */
  readonly nondeterminism?: Nondeterminism
}

export interface ExplorationFailure {
  readonly message: string
  /** The simplest failing schedule that was found; {@link replay} repeats it. */
  readonly code: string
  /** The schedule that failed first: `pct:3:12:7`, `random:7` or its steps. */
  readonly foundAs: string
  /** How many schedules were run before it. */
  readonly foundAfter: number
  readonly steps: ReadonlyArray<Step>
  /** How often the simplest schedule was repeated, and how often it failed in the same way. */
  readonly replays: { readonly same: number; readonly of: number }
}

export interface Nondeterminism {
  readonly count: number
  readonly first: Divergence
}

const DEFAULT_LIMITS: ScheduleLimits = { maxSteps: 300, patienceMs: 100, stuckMs: 5_000 }

/**
 * Runs a scenario under many schedules of its clients' commands, against the real servers and with the real, unmodified
 * client libraries: every client connects to ports of its own, where its commands are held and let go one at a time.
 *
 * Stops at the first violation, makes its schedule simpler and repeats it.
 *
 * @throws whatever `setup`, `connect`, `disconnect` or `reset` of the scenario throw
 */
export const explore = async <Connection, Result>(
  scenario: Scenario<Connection, Result>,
  options: ExploreOptions = {}
): Promise<Exploration> => {
  const { strategy = "auto", schedules = 1_000, seed = 1, pctDepth = 3, repeatEvery = 50 } = options
  const world = await openWorld(scenario, options)
  try {
    const divergences: Array<Divergence> = []
    const repeat = (run: Judged<Result>) => repeatRun(world, run, divergences)
    // Fills what fills once: script caches, prepared statements, lazily opened connections.
    const warmUp = await world.run(stay)
    const source = proposals({
      strategy,
      schedules,
      seed,
      pctDepth,
      actors: world.actors,
      steps: warmUp.steps.length
    })
    const startedAtMs = performance.now()
    let [count, truncated, exhausted] = [0, 0, false]
    let failed: FailedRun<Result> | undefined
    while (count < schedules && failed === undefined) {
      const proposal = source.next()
      if (proposal === undefined) {
        exhausted = true
        break
      }
      const run = await world.run(proposal.choose)
      proposal.finished(run.steps.length)
      count++
      if (run.end === "truncated") truncated++
      if (run.violation !== undefined) failed = { run, code: proposal.code ?? codeOf(run), after: count - 1 }
      else if (proposal.code !== undefined && count % repeatEvery === 0) await repeat(run)
    }
    const elapsedMs = performance.now() - startedAtMs
    const failure = failed === undefined ? undefined : await explain(world, scenario, failed, options)
    divergences.push(...source.divergences())
    const [first] = divergences
    return {
      name: scenario.name,
      strategy,
      seed,
      schedules: count,
      exhaustive: exhausted && truncated === 0 && first === undefined,
      truncated,
      elapsedMs,
      ...(failure === undefined ? {} : { failure }),
      ...(first === undefined ? {} : { nondeterminism: { count: divergences.length, first } })
    }
  } finally {
    await world.close()
  }
}

/**
 * Runs one schedule again, as often as asked.
 *
 * @param code as in {@link ExplorationFailure.code}, for example `steps:0102`
 * @returns what was wrong in each run, undefined where nothing was
 * @throws {@link InvalidScheduleCodeError}
 */
export const replay = async <Connection, Result>(
  scenario: Scenario<Connection, Result>,
  code: string,
  options: Partial<ScheduleLimits> & { readonly times?: number } = {}
): Promise<ReadonlyArray<Replayed>> => {
  const world = await openWorld(scenario, options)
  try {
    decodeSchedule(code, world.actors)
    await world.run(stay)
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

export interface Replayed {
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

/** Runs the same choices again and notes where they led to another situation. */
const repeatRun = async <Connection, Result>(
  world: World<Connection, Result>,
  run: Judged<Result>,
  divergences: Array<Divergence>
): Promise<Judged<Result>> => {
  let diverged = false
  const script = { actors: actorsOf(run), situations: run.situations }
  const choose = scripted(script, (divergence) => {
    // After the first one nothing can be expected to be the same.
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
