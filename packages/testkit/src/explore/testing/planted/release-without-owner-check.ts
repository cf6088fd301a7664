import type { PlantedBug } from "./planted.ts"

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`

/** DEL releases any lock, also one that another owner acquired after the lease ended. */
export const releaseWithoutOwnerCheck = (): PlantedBug => {
  const holders = new Set<string>()
  let most = 0
  const section = async (me: string) => {
    holders.add(me)
    most = Math.max(most, holders.size)
  }
  return {
    name: "lock released without owner check",
    clients: 3,
    uses: ["redis"],
    setup: async ({ redis }) => {
      holders.clear()
      most = 0
      await redis.del("lock")
    },
    actors: ({ redis }) => [
      {
        name: "the lease ends",
        when: () => holders.size > 0,
        run: async () => {
          holders.delete((await redis.get("lock")) ?? "")
          await redis.del("lock")
        }
      }
    ],
    buggy: async ({ redis }, number) => {
      const me = `owner ${number}`
      if ((await redis.set("lock", me, "NX")) === null) return "busy"
      await section(me)
      await redis.get("work")
      holders.delete(me)
      await redis.del("lock")
      return "done"
    },
    fixed: async ({ redis }, number) => {
      const me = `owner ${number}`
      if ((await redis.set("lock", me, "NX")) === null) return "busy"
      await section(me)
      await redis.get("work")
      holders.delete(me)
      await redis.eval(RELEASE, 1, "lock", me)
      return "done"
    },
    check: async () => (most > 1 ? `${most} held the lock at the same time, each with a lease.` : undefined)
  }
}
