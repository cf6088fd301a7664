import { count, soldAndLeft, type PlantedBug } from "./planted.ts"

const TAKE = `local left = tonumber(redis.call('GET', KEYS[1]))
if left <= 0 then return 0 end
redis.call('DECR', KEYS[1])
return 1`

/** GET and SET: clients that read the same number sell the same piece. */
export const lostUpdate = (): PlantedBug => ({
  name: "lost update by GET and SET",
  clients: 3,
  uses: ["redis"],
  setup: ({ redis }) => redis.set("stock", 2),
  buggy: async ({ redis }) => {
    const left = Number(await redis.get("stock"))
    if (left <= 0) return "sold out"
    await redis.set("stock", left - 1)
    return "sold"
  },
  fixed: async ({ redis }) => ((await redis.eval(TAKE, 1, "stock")) === 1 ? "sold" : "sold out"),
  check: async ({ redis }, results) =>
    count(results, "sold") === 2
      ? soldAndLeft(results, Number(await redis.get("stock")), 2)
      : "Not 2 were sold."
})
