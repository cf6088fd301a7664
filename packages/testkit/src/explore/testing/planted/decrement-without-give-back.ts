import { count, rowsOf, type PlantedBug } from "./planted.ts"

const RESERVE = `if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 'duplicate' end
if tonumber(redis.call('GET', KEYS[1])) <= 0 then return 'sold out' end
redis.call('DECR', KEYS[1])
redis.call('SADD', KEYS[2], ARGV[1])
return 'reserved'`

/** Client 0 already has its coupon. */
const userOf = (client: number): number => (client === 0 ? 1 : client + 10)

/** A slot is taken for a user who is then refused, and never returned: the next user is refused wrongly. */
export const decrementWithoutGiveBack = (): PlantedBug => ({
  name: "decrement without give-back",
  clients: 2,
  uses: ["redis", "sql"],
  schema: ["CREATE TABLE reserved (user INT PRIMARY KEY) ENGINE=InnoDB"],
  setup: async ({ redis, sql }) => {
    await redis.multi().set("slots", 1).del("users").sadd("users", 1).exec()
    await sql.query("DELETE FROM reserved")
    await sql.query("INSERT INTO reserved VALUES (1)")
  },
  buggy: async ({ redis, sql }, number) => {
    if ((await redis.decr("slots")) < 0) return "sold out"
    const inserted = await rowsOf(sql, "INSERT IGNORE INTO reserved VALUES (?)", userOf(number))
    return inserted === 1 ? "issued" : "duplicate"
  },
  fixed: async ({ redis, sql }, number) => {
    const answer = String(await redis.eval(RESERVE, 2, "slots", "users", userOf(number)))
    if (answer !== "reserved") return answer
    await sql.query("INSERT INTO reserved VALUES (?)", [userOf(number)])
    return "issued"
  },
  check: async (_admin, results) =>
    count(results, "issued") === 1 ? undefined : "The last slot was refused to the only user entitled to it."
})
