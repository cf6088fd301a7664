import { createHash } from "node:crypto"
import type { PoolConnection } from "mysql2/promise"
import { bytesOf } from "../people.ts"
import { write } from "./database.ts"
import { has } from "./parts.ts"

/** A mutation that a user calls. */
export interface Call<Input> {
  readonly path: string
  readonly userId: string
  readonly idempotencyKey: string
  readonly body: string
  readonly input: Input
}

export const insertEvent = async (on: PoolConnection, topic: string, payload: object): Promise<void> => {
  if (!has("event")) return
  await write(on, "INSERT INTO outbox (topic, payload) VALUES (?, ?)", [topic, JSON.stringify(payload)])
}

/** Stores the answer under the call's key, as Holdfast does. */
export const insertAnswer = async (
  on: PoolConnection,
  call: Call<unknown>,
  answer: object
): Promise<void> => {
  if (!has("answer")) return
  await write(
    on,
    `INSERT INTO idempotency_keys (user_id, procedure_path, idempotency_key, fingerprint, answer)
     VALUES (?, ?, ?, ?, ?)`,
    [
      bytesOf(call.userId),
      call.path,
      call.idempotencyKey,
      createHash("sha256").update(call.body).digest(),
      JSON.stringify({ success: answer })
    ]
  )
}
