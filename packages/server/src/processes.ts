import cluster, { type Worker } from "node:cluster"

/** The environment variable that numbers the processes, from 0. */
export const NTH_PROCESS = "HOLDFAST_NTH_PROCESS"

/** More deaths than this in a minute are no accident: the whole service ends, and whoever runs it hears of it. */
const MAXIMUM_DEATHS = 5
const WITHIN_MS = 60_000

const FIRST_PAUSE_MS = 500

const say = (level: string, message: string, details: object = {}) =>
  console.log(JSON.stringify({ time: new Date().toISOString(), level, message, ...details }))

/**
 * Runs the command of this process in several, which share its port. One that dies is replaced after a pause; after too
 * many deaths all are stopped. Signals are passed on.
 *
 * @returns the exit code: 0 after a signal, 1 after too many deaths
 */
export const superviseProcesses = async (count: number): Promise<number> => {
  cluster.setupPrimary({ args: process.argv.slice(2) })
  const numbers = new Map<Worker, number>()
  const pauses = new Set<NodeJS.Timeout>()
  let deathsMs: ReadonlyArray<number> = []
  let code: number | undefined

  const start = (nth: number) => numbers.set(cluster.fork({ [NTH_PROCESS]: String(nth) }), nth)
  const stop = (exitCode: number) => {
    code ??= exitCode
    for (const pause of pauses) clearTimeout(pause)
    pauses.clear()
    for (const worker of numbers.keys()) worker.process.kill("SIGTERM")
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop(0))

  const ended = new Promise<void>((resolve) => {
    cluster.on("exit", (worker, status, signal) => {
      const nth = numbers.get(worker) ?? 0
      numbers.delete(worker)
      if (code === undefined) {
        const nowMs = performance.now()
        deathsMs = [...deathsMs.filter((atMs) => nowMs - atMs < WITHIN_MS), nowMs]
        say("Error", "a process has ended", { process: nth, status, signal, deaths: deathsMs.length })
        if (deathsMs.length > MAXIMUM_DEATHS) stop(1)
        else {
          const pause = setTimeout(
            () => {
              pauses.delete(pause)
              start(nth)
            },
            FIRST_PAUSE_MS * 2 ** (deathsMs.length - 1)
          )
          pauses.add(pause)
        }
      }
      if (code !== undefined && numbers.size === 0) resolve()
    })
  })
  for (let nth = 0; nth < count; nth += 1) start(nth)
  await ended
  return code ?? 1
}
