/** The faults of a soak, chosen by its seed. */
import type { ChildProcess } from "node:child_process"
import type { Services } from "@holdfast/testkit"
import type { FaultProxy, RandomStream } from "@holdfast/testkit/faults"
import type { Redis } from "ioredis"
import { soaked } from "./members.ts"

/** The servers, proxies and processes that the faults of a soak hit. */
export interface Targets {
  readonly services: Services
  readonly redisProxy: FaultProxy
  readonly mysqlProxy: FaultProxy
  readonly admin: Redis
  readonly workers: ReadonlyArray<ChildProcess>
  readonly random: RandomStream
}

export interface Fault {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  readonly strike: (targets: Targets) => Promise<void>
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Sometimes longer than the lease, sometimes shorter. */
const aroundTheLeaseMs = (random: RandomStream): number => Math.ceil(random() * soaked.policy.leaseMs * 1.6)

const faults: ReadonlyArray<Fault> = [
  {
    name: "freeze",
    weight: 20,
    strike: async ({ random, services }) => {
      await services.redis.freeze()
      await sleep(aroundTheLeaseMs(random))
      await services.redis.thaw()
    }
  },
  { name: "flush", weight: 25, strike: async ({ admin }) => void (await admin.flushall().catch(() => {})) },
  {
    name: "cut",
    weight: 25,
    strike: async ({ redisProxy }) => redisProxy.cutAll("reset")
  },
  {
    name: "stop a holder",
    weight: 20,
    strike: async ({ random, workers }) => {
      const worker = workers[Math.floor(random() * workers.length)]
      worker?.kill("SIGSTOP")
      await sleep(aroundTheLeaseMs(random))
      worker?.kill("SIGCONT")
    }
  },
  {
    name: "late commit",
    weight: 20,
    strike: async ({ mysqlProxy, random }) => {
      const held = mysqlProxy.hold({ when: "before", match: /^COMMIT/i, timeoutMs: 5_000 })
      await held.fired.catch(() => {})
      await sleep(aroundTheLeaseMs(random))
      held.release()
    }
  },
  {
    name: "late begin",
    weight: 10,
    strike: async ({ mysqlProxy, random }) => {
      const held = mysqlProxy.hold({ when: "before", match: /^INSERT INTO lock_fences/i, timeoutMs: 5_000 })
      await held.fired.catch(() => {})
      await sleep(aroundTheLeaseMs(random))
      held.release()
    }
  },
  { name: "kill", weight: 3, strike: ({ services }) => services.redis.restart() }
]

/** One fault, and sometimes a second one at the same time. A server is never killed and frozen at once. */
export const chooseFaults = (random: RandomStream): ReadonlyArray<Fault> => {
  const first = choose(random)
  if (random() > 0.3) return [first]
  const second = choose(random)
  const clash = [first, second].every(({ name }) => name === "kill" || name === "freeze")
  return clash || first.name === second.name ? [first] : [first, second]
}

const choose = (random: RandomStream): Fault => {
  const total = faults.reduce((sum, { weight }) => sum + weight, 0)
  let left = random() * total
  for (const fault of faults) {
    left -= fault.weight
    if (left < 0) return fault
  }
  return faults[0]!
}
