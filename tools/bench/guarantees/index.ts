/** `npm run bench -- guarantees`: what each guarantee of an order costs, by leaving it out. */
import { startServices } from "@holdfast/testkit"
import type { Reporting } from "../../src/progress.ts"
import { medians, rotated } from "../shop/comparison.ts"
import { type FloorPart, floorParts } from "../shop/floor/parts.ts"
import { type Figures, measure, type Turn } from "../shop/load.ts"
import { openShops, type Shop, startFloor, startHoldfast } from "../shop/shops.ts"
import { order } from "../shop/turns.ts"

export interface GuaranteesOptions {
  readonly rounds: number
  readonly seconds: number
}

/** The floor's orders with all parts and without each of them, and Holdfast's. */
export interface GuaranteesResult {
  readonly callers: number
  readonly floor: Readonly<Record<"everything" | FloorPart | "nothing", Figures>>
  /** Older measurements have neither `lock` nor `fence`. */
  readonly holdfast: Readonly<Record<"everything" | "answer", Figures>> & {
    readonly [Part in (typeof LEFT_OUT)[number]]?: Figures
  }
}

/** What a preloaded module takes out of a Holdfast server. */
const LEFT_OUT = ["lock", "fence"] as const

const CALLERS = 64
const CUSTOMERS = 2_000
/** Until a process has compiled what it runs. */
const WARM_UP_SECONDS = 0.6

/** A shop whose orders lack something. */
interface Variant {
  readonly shop: Shop
  readonly turn: (shop: Shop) => Promise<Turn>
  readonly found: Array<Figures>
}

/** All variants in every round. Those of the floor share its stores, each in a process of its own. */
export const run = async ({ onProgress, rounds, seconds }: GuaranteesOptions & Reporting) => {
  await using services = await startServices({ onProgress })
  const shops = await openShops(services, ["holdfast", "floor"], CUSTOMERS)
  const [holdfast, floor] = shops as [Shop, Shop]
  const opened = [...shops]
  const floorWith = async (parts: ReadonlyArray<FloorPart>): Promise<Variant> => {
    const { pid, stop, url } = await startFloor(floor, parts)
    const pids = () => ({ ...floor.pids(), server: [pid] })
    const shop = { ...floor, url, serverPid: () => pid, pids, stop }
    // Before the shops, because they take the stores with them.
    opened.unshift(shop)
    return { shop, turn: order, found: [] }
  }
  const holdfastWithout = async (part: string): Promise<Variant> => {
    const url = import.meta.resolve("./without.ts")
    const server = await startHoldfast(holdfast, { url, environment: { BENCH_WITHOUT: part } })
    const pids = () => ({ ...holdfast.pids(), server: [server.pid() ?? Number.NaN] })
    const shop = { ...holdfast, url: server.url, serverPid: server.pid, pids, stop: server.stop }
    opened.unshift(shop)
    return { shop, turn: order, found: [] }
  }
  try {
    const variants: Record<string, Variant> = { everything: await floorWith(floorParts) }
    for (const part of floorParts)
      variants[part] = await floorWith(floorParts.filter((other) => other !== part))
    variants["nothing"] = await floorWith([])
    variants["holdfast"] = { shop: holdfast, turn: order, found: [] }
    variants["withoutKey"] = { shop: holdfast, turn: withoutKey, found: [] }
    for (const part of LEFT_OUT) variants[`holdfast without ${part}`] = await holdfastWithout(part)
    const all = Object.entries(variants)
    for (const [, { shop, turn }] of all) await measure(shop, await turn(shop), CALLERS, WARM_UP_SECONDS)
    for (let round = 0; round < rounds; round += 1)
      for (const [name, { found, shop, turn }] of rotated(all, round)) {
        const figures = await measure(shop, await turn(shop), CALLERS, seconds)
        onProgress(
          `guarantees, ${name}: ${figures.cpuUs} us, ${figures.perSecond}/s, ${figures.failures} failures`
        )
        found.push(figures)
      }
    return resultOf((name) => medians(variants[name]!.found))
  } finally {
    for (const shop of opened) await shop.stop()
  }
}

const resultOf = (figuresOf: (name: string) => Figures): GuaranteesResult => ({
  callers: CALLERS,
  floor: {
    everything: figuresOf("everything"),
    lock: figuresOf("lock"),
    fence: figuresOf("fence"),
    answer: figuresOf("answer"),
    event: figuresOf("event"),
    ledger: figuresOf("ledger"),
    nothing: figuresOf("nothing")
  },
  holdfast: {
    everything: figuresOf("holdfast"),
    lock: figuresOf("holdfast without lock"),
    fence: figuresOf("holdfast without fence"),
    answer: figuresOf("withoutKey")
  }
})

/** Orders without an idempotency key, whose answers are not kept. */
const withoutKey = async (shop: Shop): Promise<Turn> => {
  const keyed = await order(shop)
  return { ...keyed, request: (n) => keyed.request(n)?.replace(/idempotency-key: .*\r\n/, "") }
}
