import { readdirSync, readFileSync } from "node:fs"

/** Linux counts processor time in hundredths of a second (`USER_HZ`, see proc(5)). */
const TICK_US = 10_000

/** The processor time that processes have used so far, in microseconds; `NaN` when one of them cannot be read. */
export const processorTimeUs = (pids: ReadonlyArray<number>): number =>
  pids.reduce((sum, pid) => sum + processorTimeOf(pid), 0)

const processorTimeOf = (pid: number): number => {
  try {
    // Field 2, the command's name, may contain any character, so fields are counted after its closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  } catch {
    return Number.NaN
  }
}

/** The resident memory of a process as Linux counts it, in megabytes; `NaN` elsewhere. */
export const residentMb = (pid: number | undefined): number => {
  try {
    const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return Math.round(Number(kb) / 1_024)
  } catch {
    return Number.NaN
  }
}

/** The processes of a container; none where the container runs on another kernel. */
export const processesOfContainer = (containerId: string): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && controlGroupOf(name).includes(containerId))
      .map(Number)
  } catch {
    return []
  }
}

const controlGroupOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8")
  } catch {
    return "" // The process has ended.
  }
}
