/** `npm run bench -- attacks`: what attackers get from a server with its limits, and from one without them. */
import { startServices, databaseFactory } from "@holdfast/testkit"
import { setTimeout } from "node:timers/promises"
import { startServerProcess } from "../src/shop/server-process.ts"
import { ONE_MACHINE_PLAYS_ALL, UNPAID_AT_WILL } from "../src/shop/settings.ts"
import { median } from "./statistics.ts"

interface AttacksBenchOptions {
  readonly turnMs: number
}

const ATTACKERS = 400
const ATTACKERS_ADDRESSES = 4
/** How soon a refused attacker, and an owner who finds the server busy, come again. */
const BUSY_RETRY_MS = 250
const STOCK = 5_000
const HOARDED_ORDERS = 40
const ADMIN = { email: "admin@bench.test", password: "the password of a benchmark" }
const OWNER = { email: "owner@bench.test", password: "the password of an owner" }
const HOME = "198.51.100.1"

const WITHOUT_LIMITS = {
  ...ONE_MACHINE_PLAYS_ALL,
  ...UNPAID_AT_WILL,
  HOLDFAST_WRONG_PASSWORDS: "1000000000",
  HOLDFAST_WRONG_PASSWORDS_PER_ADDRESS: "1000000000"
}

/** The attacks on a server without limits, and on one with the defaults. */
export const run = async ({ turnMs }: AttacksBenchOptions) => {
  await using services = await startServices()
  const databases = await databaseFactory(services.sql)
  const attacked = async (limits: Readonly<Record<string, string>>) => {
    const database = await databases.create()
    const server = await startServerProcess({
      environment: {
        HOLDFAST_MYSQL_URL: services.sql.url(database.name),
        HOLDFAST_REDIS_URL: services.redis.url(),
        HOLDFAST_SECRET: "the secret of a benchmark, 32 characters",
        // A benchmark on a busy machine is late for reasons of its own.
        HOLDFAST_MAX_EVENT_LOOP_DELAY: "5 seconds",
        HOLDFAST_TRUSTED_PROXIES: "127.0.0.1",
        HOLDFAST_ADMIN_EMAIL: ADMIN.email,
        HOLDFAST_ADMIN_PASSWORD: ADMIN.password,
        ...limits
      }
    })
    try {
      return { ...(await guess(server.url, turnMs)), ...(await hoard(server.url)) }
    } finally {
      await server.stop()
      await database.drop()
    }
  }
  return { withoutLimits: await attacked(WITHOUT_LIMITS), withDefaults: await attacked({}), turnMs }
}

interface Asking {
  readonly address: string
  readonly token?: string
}

const post = (url: string, procedure: string, input: object, { address, token }: Asking) =>
  fetch(`${url}/trpc/${procedure}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-forwarded-for": address,
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    },
    body: JSON.stringify(input)
  })

/** A login that must succeed. Like the client it comes again while the server is busy. */
const logIn = async (url: string, account: object, address: string): Promise<string> => {
  const answer = await post(url, "auth.login", account, { address })
  if (answer.status === 503) {
    await answer.text()
    await setTimeout(BUSY_RETRY_MS)
    return logIn(url, account, address)
  }
  if (!answer.ok) throw new Error(`the login was refused: ${await answer.text()}`)
  return ((await answer.json()) as { result: { data: { accessToken: string } } }).result.data.accessToken
}

/** Guesses from a few addresses as fast as they are answered, while the owner logs in from home again and again. */
const guess = async (url: string, turnMs: number) => {
  await post(url, "auth.register", OWNER, { address: HOME })
  await logIn(url, OWNER, HOME)
  const endsAtMs = performance.now() + turnMs
  let compared = 0
  const attack = async (attacker: number) => {
    const address = `203.0.113.${attacker % ATTACKERS_ADDRESSES}`
    while (performance.now() < endsAtMs) {
      const answer = await post(url, "auth.login", { ...OWNER, password: "wrong" }, { address })
      await answer.text()
      if (answer.status === 401) compared += 1
      else await setTimeout(BUSY_RETRY_MS)
    }
  }
  const loginsMs: Array<number> = []
  const owner = async () => {
    while (performance.now() < endsAtMs) {
      const askedAtMs = performance.now()
      await logIn(url, OWNER, HOME)
      loginsMs.push(performance.now() - askedAtMs)
      await setTimeout(200)
    }
  }
  await Promise.all([owner(), ...Array.from({ length: ATTACKERS }, (_, attacker) => attack(attacker))])
  return {
    wrongPasswordsCompared: compared,
    ownersLoginMs: { median: Math.round(median(loginsMs)), slowest: Math.round(Math.max(...loginsMs)) }
  }
}

/** One user without a point orders all there is. */
const hoard = async (url: string) => {
  const admin = { address: HOME, token: await logIn(url, ADMIN, HOME) }
  const product = { sku: "scarce", name: "Scarce", priceMinor: 100, initialStock: STOCK }
  await post(url, "admin.createProduct", product, admin)
  const user = { address: HOME, token: await logIn(url, OWNER, HOME) }
  const lines = [{ sku: "scarce", quantity: STOCK / HOARDED_ORDERS }]
  let hoarded = 0
  for (let n = 0; n < HOARDED_ORDERS; n += 1)
    if ((await post(url, "orders.create", { lines }, user)).ok) hoarded += STOCK / HOARDED_ORDERS
  return { stock: STOCK, unitsHoarded: hoarded }
}
