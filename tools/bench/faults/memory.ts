import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { slopeOf } from "../statistics.ts"
import { serverNames, type Stage } from "./stage.ts"

/** The resident memory of a server's process at one moment. */
export interface MemorySample {
  readonly server: string
  readonly pid: number
  readonly atMs: number
  readonly megabytes: number
}

/** How the memory of one process developed. */
export interface MemoryTrend {
  readonly server: string
  readonly pid: number
  /** How long the process was watched after it had warmed up. */
  readonly minutes: number
  readonly peakMegabytes: number
  /** The slope of the least-squares line through the samples after the warm-up. */
  readonly megabytesPerMinute: number
}

const SAMPLE_EVERY_MS = 2_000

/** Samples the memory of the stage's servers until it is stopped. */
export const watchMemory = ({ servers }: Pick<Stage, "servers">) => {
  const samples: Array<MemorySample> = []
  const sample = async () => {
    const byPid = await residentMegabytes(serverNames.map((name) => servers[name].pid() ?? 0))
    for (const server of serverNames) {
      const pid = servers[server].pid() ?? 0
      const megabytes = byPid.get(pid)
      if (megabytes !== undefined) samples.push({ server, pid, atMs: performance.now(), megabytes })
    }
  }
  const timer = setInterval(() => void sample(), SAMPLE_EVERY_MS)
  timer.unref()
  return {
    stop: () => {
      clearInterval(timer)
      return samples
    }
  }
}

/** The resident memory of processes, in megabytes by process id. Processes that have ended are missing. */
const residentMegabytes = async (pids: ReadonlyArray<number>): Promise<Map<number, number>> => {
  const found = new Map<number, number>()
  // `ps` exits with 1 when none of the processes lives.
  const { stdout } = await promisify(execFile)("ps", ["-o", "pid=,rss=", "-p", pids.join(",")]).catch(() => ({
    stdout: ""
  }))
  for (const [, pid, kilobytes] of stdout.matchAll(/(\d+)\s+(\d+)/g))
    found.set(Number(pid), Number(kilobytes) / 1_024)
  return found
}

const WARM_UP_MS = 60_000
const MINUTE_MS = 60_000

/** One trend for each process, in the order in which they were first seen. */
export const memoryTrends = (samples: ReadonlyArray<MemorySample>): ReadonlyArray<MemoryTrend> =>
  [...Map.groupBy(samples, ({ pid }) => pid).values()].map((ofProcess) => {
    const { atMs: startedAt, pid, server } = ofProcess[0]!
    const warm = ofProcess.filter(({ atMs }) => atMs - startedAt >= WARM_UP_MS)
    const points = warm.map(({ atMs, megabytes }) => ({ x: atMs / MINUTE_MS, y: megabytes }))
    return {
      server,
      pid,
      minutes: points.length < 2 ? 0 : points.at(-1)!.x - points[0]!.x,
      peakMegabytes: Math.max(...ofProcess.map(({ megabytes }) => megabytes)),
      megabytesPerMinute: slopeOf(points)
    }
  })
