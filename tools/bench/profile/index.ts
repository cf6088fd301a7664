/** `npm run bench -- profile`: where the server's processor time goes, by area, for some kinds of call. */
import { startServices } from "@holdfast/testkit"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import type { Profiler } from "node:inspector"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import type { Reporting } from "../../src/progress.ts"
import { measure, type Turn } from "../shop/load.ts"
import { openShops, type Shop, startHoldfast } from "../shop/shops.ts"
import * as turns from "../shop/turns.ts"
import { type Areas, areasOf } from "./areas.ts"
import type { ProfilerMessage } from "./profiler.ts"

export interface ProfileOptions {
  readonly seconds: number
}

/** A kind of call: what it costs the server while it is profiled, and the shares of the areas. */
interface Profiled {
  readonly serverUs: number | null
  readonly areas: Areas
}

const PROFILED = {
  issued: turns.issued,
  soldOut: turns.soldOut,
  order: turns.order,
  payment: turns.payment,
  product: turns.product,
  balance: turns.balance
} satisfies Readonly<Record<string, (shop: Shop, seconds: number) => Promise<Turn>>>

export type ProfileResult = Readonly<Record<keyof typeof PROFILED, Profiled>>

const CALLERS = 64
const CUSTOMERS = 4_000
/** Until a process has compiled what it runs. */
const WARM_UP_SECONDS = 4
const WRITTEN_WITHIN_MS = 20_000

/** One kind of call after the other, on one server. */
export const run = async ({ onProgress, seconds }: ProfileOptions & Reporting): Promise<ProfileResult> => {
  await using services = await startServices({ onProgress })
  const [shop] = (await openShops(services, ["holdfast"], CUSTOMERS)) as [Shop]
  const server = await startHoldfast(shop, { url: import.meta.resolve("./profiler.ts"), environment: {} })
  const pids = () => ({ ...shop.pids(), server: [server.pid() ?? Number.NaN] })
  const profiled: Shop = { ...shop, url: server.url, serverPid: server.pid, pids }
  const folder = mkdtempSync(join(tmpdir(), "holdfast-profile-"))
  try {
    const found: Record<string, Profiled> = {}
    for (const [name, turn] of Object.entries(PROFILED)) {
      await measure(profiled, await turn(profiled, WARM_UP_SECONDS), CALLERS, WARM_UP_SECONDS)
      const next = await turn(profiled, seconds)
      tell(server, { profile: "start" })
      const { cpuUsOf } = await measure(profiled, next, CALLERS, seconds)
      const file = join(folder, `${name}.cpuprofile`)
      tell(server, { profile: "stop", file })
      found[name] = { serverUs: cpuUsOf.server, areas: areasOf(await written(file)) }
      onProgress(`profile, ${name}: ${cpuUsOf.server} us of the server`)
    }
    return found as ProfileResult
  } finally {
    rmSync(folder, { recursive: true })
    await server.stop()
    await shop.stop()
  }
}

const tell = (server: { readonly send: (message: object) => void }, message: ProfilerMessage): void =>
  server.send(message)

/** The profile, once the server has written all of it. */
const written = async (file: string): Promise<Profiler.Profile> => {
  for (const deadlineMs = performance.now() + WRITTEN_WITHIN_MS; ; await setTimeout(50)) {
    try {
      return JSON.parse(readFileSync(file, "utf8")) as Profiler.Profile
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
    }
  }
}
