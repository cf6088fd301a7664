/** `npm run bench -- sdk`: the client and the plain tRPC client, alternately, on one server; and their bundle sizes. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { type BundleSizes, bundleSizes } from "./bundle.ts"
import { type Contestant, holdfast, plainTrpc } from "./contestants.ts"
import { median } from "../statistics.ts"
import type { Reporting } from "../../src/progress.ts"

export interface SdkBenchOptions {
  /** Turns of each contestant. */
  readonly turns: number
  /** Calls of one turn, half of them mutations. */
  readonly callsPerTurn: number
}

export interface SdkBenchResult {
  /** Processor time of one call, Holdfast's divided by the plain client's: the median of all pairs of turns. */
  readonly cpuPerCallRatio: number
  readonly bundleKbGzip: number
  readonly details: {
    readonly cpuPerCallMicros: { readonly holdfast: number; readonly plainTrpc: number }
    readonly bundleKbGzip: BundleSizes
  }
}

/** Calls in flight at once. */
const CONCURRENCY = 16

export const run = async ({
  callsPerTurn,
  onProgress,
  turns
}: SdkBenchOptions & Reporting): Promise<SdkBenchResult> => {
  const answers = fork(fileURLToPath(new URL("answers.ts", import.meta.url)))
  try {
    const [port] = (await once(answers, "message")) as [number]
    const url = `http://127.0.0.1:${port}`
    const [ours, theirs] = [holdfast(url), plainTrpc(url)]
    for (const contestant of [ours, theirs, ours, theirs]) await cpuPerCallMicros(contestant, callsPerTurn) // warm up
    const pairs: Array<readonly [number, number]> = []
    for (let turn = 0; turn < turns; turn += 1) {
      pairs.push([await cpuPerCallMicros(ours, callsPerTurn), await cpuPerCallMicros(theirs, callsPerTurn)])
      onProgress(
        `turn ${turn + 1} of ${turns}: ${pairs.at(-1)?.map(Math.round).join(" : ")} us of processor time a call`
      )
    }
    const sizes = await bundleSizes()
    return {
      cpuPerCallRatio: median(pairs.map(([our, their]) => our / their)),
      bundleKbGzip: sizes.all,
      details: {
        cpuPerCallMicros: {
          holdfast: median(pairs.map(([our]) => our)),
          plainTrpc: median(pairs.map(([, their]) => their))
        },
        bundleKbGzip: sizes
      }
    }
  } finally {
    answers.disconnect()
    await once(answers, "exit")
  }
}

const cpuPerCallMicros = async ({ order, product }: Contestant, calls: number): Promise<number> => {
  const before = process.cpuUsage()
  let left = calls
  const caller = async () => {
    while (left > 0) {
      left -= 2
      await order()
      await product()
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, caller))
  const { system, user } = process.cpuUsage(before)
  return (system + user) / calls
}
