import { type Client, createClient, EmailTaken } from "@holdfast/client-sdk"
import { Effect, Semaphore } from "effect"
import type { Progress } from "../progress.ts"
import { passwordOf } from "../shop/accounts.ts"
import { forEachOf } from "../workers.ts"
import type { Target } from "./target.ts"

/** The crowd is more than a server takes on at once: who is told to come back later does so until everybody was served. */
const patience = { timeoutMs: 120_000, retry: { maxAttempts: 100 } } as const

/** One of the users who race. */
export interface Racer {
  readonly userId: string
  readonly client: Client
}

/** More would not be faster: the server hashes one password per core at a time. */
const CONCURRENT_SIGN_UPS = 16

/** Requests of the whole crowd in flight at once. */
const CONNECTIONS = 400

/** Registers the users that no earlier demo registered, and logs all of them in. They share one set of connections. */
export const gatherCrowd = async (
  target: Target,
  count: number,
  progress: Progress
): Promise<ReadonlyArray<Racer>> => {
  progress.phase("sign-up", count)
  const fetch = limitedFetch(CONNECTIONS)
  const racers: Array<Racer> = []
  await forEachOf([...Array(count).keys()], CONCURRENT_SIGN_UPS, async (index) => {
    racers[index] = await enter(target, fetch, index)
    progress.step()
  })
  return racers
}

const enter = async (target: Target, fetch: typeof globalThis.fetch, index: number): Promise<Racer> => {
  const email = `racer-${index}@demo.example`
  const credentials = { email, password: passwordOf(target.secret, email) }
  const anonymous = createClient({ url: target.url, fetch, ...patience })
  try {
    await anonymous.auth.register(credentials)
  } catch (error) {
    if (!(error instanceof EmailTaken)) throw error
  }
  const session = await anonymous.auth.login(credentials)
  const client = createClient({ url: target.url, fetch, token: session.accessToken, ...patience })
  return { userId: session.user.id, client }
}

/** A `fetch` with a bounded number of requests in flight; further ones wait in a queue. */
const limitedFetch = (limit: number): typeof globalThis.fetch => {
  const permits = Semaphore.makeUnsafe(limit)
  return (...args) =>
    Effect.tryPromise({ try: () => globalThis.fetch(...args), catch: (error) => error }).pipe(
      permits.withPermits(1),
      Effect.runPromise
    )
}
