import { randomBytes } from "node:crypto"
import type { Person } from "./people.ts"

/** The text of a query over HTTP. */
export const queryText = (path: string, input: object, caller?: Person): string =>
  `GET /trpc/${path}?input=${encodeURIComponent(JSON.stringify(input))} HTTP/1.1\r\nhost: bench\r\n${authorization(caller)}\r\n`

const RUN = randomBytes(6).toString("hex")
let mutations = 0

/** The text of a mutation over HTTP, under an idempotency key of its own. */
export const mutationText = (path: string, input: object, caller: Person): string => {
  const body = JSON.stringify(input)
  return `POST /trpc/${path} HTTP/1.1\r\nhost: bench\r\n${authorization(caller)}idempotency-key: ${RUN}-${(mutations += 1)}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

const authorization = (caller: Person | undefined): string =>
  caller === undefined ? "" : `authorization: Bearer ${caller.token}\r\n`

/** The data of a tRPC answer. */
const dataOf = (body: string): unknown =>
  (JSON.parse(body) as { readonly result: { readonly data: unknown } }).result.data

/** The id in the data of an answer. */
export const idOf = (body: string): string => (dataOf(body) as { readonly id: string }).id
