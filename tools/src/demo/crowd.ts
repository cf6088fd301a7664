import { type Client, createClient, EmailTaken } from "@holdfast/client-sdk"
import { passwordOf } from "../shop/accounts.ts"
import type { ShownProgress } from "../replay/progress.ts"
import type { Target } from "./target.ts"

/** One of the users who race. */
export interface Racer {
  readonly userId: string
  readonly client: Client
}

/** How many sign up at once. The server computes passwords' hashes meanwhile, one a core. */
const SIGN_UPS_AT_ONCE = 16

/** How many requests of the whole crowd are under way at once; the others stand in line for a connection. */
const CONNECTIONS = 400

/** Users of earlier demos log in, new ones sign up first. They all share the crowd's connections. */
export const gatherCrowd = async (
  target: Target,
  count: number,
  progress: ShownProgress
): Promise<ReadonlyArray<Racer>> => {
  progress.phase("sign-up", count)
  const fetch = limitedFetch(CONNECTIONS)
  const racers: Array<Racer> = []
  let next = 0
  const signUp = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      racers[index] = await enter(target, fetch, index)
      progress.step()
    }
  }
  await Promise.all(Array.from({ length: SIGN_UPS_AT_ONCE }, signUp))
  return racers
}

const enter = async (target: Target, fetch: typeof globalThis.fetch, index: number): Promise<Racer> => {
  const email = `racer-${index}@demo.example`
  const credentials = { email, password: passwordOf(target.secret, email) }
  const door = createClient({ url: target.url, fetch, timeoutMs: 120_000 })
  try {
    await door.auth.register(credentials)
  } catch (error) {
    if (!(error instanceof EmailTaken)) throw error
  }
  const session = await door.auth.login(credentials)
  const client = createClient({ url: target.url, fetch, token: session.accessToken, timeoutMs: 120_000 })
  return { userId: session.user.id, client }
}

/** A `fetch` of which so many run at once; whoever comes later waits in line. */
const limitedFetch = (limit: number): typeof globalThis.fetch => {
  let running = 0
  const line: Array<() => void> = []
  return async (...args) => {
    if (running >= limit) await new Promise<void>((resolve) => line.push(resolve))
    else running += 1
    try {
      return await globalThis.fetch(...args)
    } finally {
      const next = line.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
