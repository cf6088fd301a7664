import { soldAndLeft, type Client, type PlantedBug } from "./planted.ts"

const ACQUIRE = `if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
return redis.call('INCR', KEYS[2])`

const ENTER = `local fence = tonumber(redis.call('GET', KEYS[1]) or '0')
if tonumber(ARGV[1]) < fence then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1`

const WRITE = `if tonumber(ARGV[1]) < tonumber(redis.call('GET', KEYS[1])) then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1`

const acquire = ({ redis }: Client, number: number) =>
  redis.eval(ACQUIRE, 2, "lock", "token", `owner ${number}`)

/** A lease ends while its holder still works: without a fence, both holders write. */
export const leaseExpiredWhileHeld = (): PlantedBug => ({
  name: "lease expired while held",
  clients: 2,
  uses: ["redis"],
  setup: ({ redis }) => redis.multi().del("lock", "token", "fence").set("stock", 5).exec(),
  actors: ({ redis }) => [{ name: "the lease ends", run: async () => void (await redis.del("lock")) }],
  buggy: async (client, number) => {
    if ((await acquire(client, number)) === 0) return "busy"
    const left = Number(await client.redis.get("stock"))
    await client.redis.set("stock", left - 1)
    return "sold"
  },
  fixed: async (client, number) => {
    const { redis } = client
    const token = await acquire(client, number)
    if (token === 0) return "busy"
    if ((await redis.eval(ENTER, 1, "fence", Number(token))) === 0) return "stale"
    const left = Number(await redis.get("stock"))
    const written = await redis.eval(WRITE, 2, "fence", "stock", Number(token), left - 1)
    return written === 1 ? "sold" : "stale"
  },
  check: async ({ redis }, results) => soldAndLeft(results, Number(await redis.get("stock")), 5)
})
