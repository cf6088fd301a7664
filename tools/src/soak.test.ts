import { RemoteDefect, ServiceUnavailable } from "@holdfast/client-sdk"
import { describe, expect, test } from "vitest"
import { Disturbances } from "../bench/faults/disturbances.ts"
import { faults } from "../bench/faults/faults.ts"
import { Findings, findingText } from "../bench/faults/findings.ts"
import { outcomeOfError } from "../bench/faults/load.ts"
import { memoryTrends } from "../bench/faults/memory.ts"
import { recoveryMs } from "../bench/faults/recovery.ts"
import { summariseFaults } from "../bench/faults/report.ts"
import { schedule } from "../bench/faults/schedule.ts"
import { runCommand } from "./testing/command.ts"

const names = Object.keys(faults)

const take = (seed: number, count: number) => {
  const planned = schedule(seed, names)
  return Array.from({ length: count }, () => planned.next().value)
}

describe("the schedule of faults", () => {
  test("is the same for the same seed, and another one for another seed", () => {
    expect(take(7, 100)).toEqual(take(7, 100))
    expect(take(7, 100)).not.toEqual(take(8, 100))
  })

  test("has every fault once before any comes again", () => {
    const planned = take(3, 2 * names.length).map(({ fault }) => fault)
    expect(planned.slice(0, names.length).toSorted()).toEqual(names.toSorted())
    expect(planned.slice(names.length).toSorted()).toEqual(names.toSorted())
  })

  test("strikes each store and each server in every way", () => {
    const ways = (target: string) => names.filter((name) => faults[name]!.target === target)
    expect(ways("mysql")).toHaveLength(8)
    expect(ways("redis")).toHaveLength(8)
    expect(ways("server-1")).toHaveLength(4)
    expect(ways("server-2")).toHaveLength(6)
  })
})

describe("the recovery time", () => {
  const call = (kind: string, endedAtMs: number, succeeded = true) => ({ kind, endedAtMs, succeeded })
  const kinds = ["orders", "reads"]

  test("is the beginning of the first second in which every kind succeeds and none fails", () => {
    const calls = [
      call("orders", 10_100),
      call("reads", 10_200, false),
      call("reads", 11_100),
      call("orders", 12_100),
      call("reads", 12_999)
    ]
    expect(recoveryMs(calls, kinds, 10_000, 13_000)).toBe(2_000)
  })

  test("is unknown before that second is over", () => {
    const calls = [call("orders", 10_100), call("reads", 10_200)]
    expect(recoveryMs(calls, kinds, 10_000, 10_999)).toBeUndefined()
    expect(recoveryMs(calls, kinds, 10_000, 11_000)).toBe(0)
  })
})

describe("the memory's trend", () => {
  const samplesOf = (pid: number, megabytesAt: (minute: number) => number) =>
    Array.from({ length: 10 }, (_, minute) => ({
      server: "server-1",
      pid,
      atMs: minute * 60_000,
      megabytes: megabytesAt(minute)
    }))

  test("is the slope after a process has warmed up, one for each process", () => {
    const [growing, flat] = memoryTrends([
      ...samplesOf(1, (minute) => (minute === 0 ? 10 : 100 + 4 * minute)),
      ...samplesOf(2, () => 80)
    ])
    expect(growing).toMatchObject({ pid: 1, minutes: 8, peakMegabytes: 136 })
    expect(growing!.megabytesPerMinute).toBeCloseTo(4)
    expect(flat).toMatchObject({ pid: 2, megabytesPerMinute: 0 })
  })
})

describe("findings", () => {
  test("name the check, the fault, the time and the seed, and count repetitions", () => {
    const lines: Array<string> = []
    let fault = "mysql silent"
    const findings = new Findings({
      seed: 42,
      nowMs: () => 61_500,
      fault: () => fault,
      onFinding: (line) => lines.push(line)
    })
    findings.add("deadline", "while the servers warm up")
    findings.isWatching = true
    findings.add("deadline", "no answer")
    findings.add("deadline", "no answer")
    fault = "redis full"
    findings.add("deadline", "no answer")
    expect(lines).toEqual([
      "FAILED deadline: no answer; fault mysql silent, at 61.5 s, seed 42",
      "FAILED deadline: no answer; fault redis full, at 61.5 s, seed 42"
    ])
    expect(findingText(findings.all[0]!, 42)).toContain("no answer (2 times); fault mysql silent")
    expect(
      summariseFaults([phaseOf("mysql silent", 3_000), phaseOf("mysql silent", undefined)], findings.all)
    ).toEqual([
      {
        fault: "mysql silent",
        times: 2,
        recoveryMedianMs: 3_000,
        recoveryWorstMs: 3_000,
        neverRecovered: 1,
        findings: 1
      }
    ])
  })

  const phaseOf = (fault: string, recovery: number | undefined) => ({
    fault,
    atMs: 0,
    lastedMs: 0,
    recoveryMs: recovery
  })

  test("excuse a server only while and after a fault strikes it", () => {
    const disturbances = new Disturbances()
    const before = performance.now()
    disturbances.begin("server-1 frozen", "server-1")
    expect(disturbances.touched("server-1", performance.now())).toBe(true)
    expect(disturbances.touched("server-2", before)).toBe(false)
    disturbances.end("server-1")
    expect(disturbances.touched("server-1", before)).toBe(true)
    expect(disturbances.touched("server-1", performance.now() + 1)).toBe(false)
  })

  test("tell an outage from a defect and from a refusal", () => {
    const defect = { procedure: "orders.create", code: "INTERNAL_SERVER_ERROR", httpStatus: 500 } as const
    expect(outcomeOfError(new ServiceUnavailable({ retryAfterMs: 1 }))).toBe("unavailable")
    expect(outcomeOfError(new DOMException("late", "TimeoutError"))).toBe("unavailable")
    expect(outcomeOfError(new RemoteDefect({ ...defect, retryable: true, detail: "" }))).toBe("defect")
    expect(outcomeOfError(new Error("a refusal"))).toBe("wrong")
  })
})

test.each(["0", "-1", "ten", "10001"])("the soak of faults refuses %s minutes", async (minutes) => {
  const { code, stderr } = await runCommand("soak", ["faults", "--minutes", minutes], {}).ended
  expect(code).toBe(2)
  expect(stderr).toContain("a number above 0, up to 10000")
})
