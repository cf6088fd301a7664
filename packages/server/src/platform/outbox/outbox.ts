import { write } from "../db/transaction.ts"

/** An event that becomes visible with the commit of the transaction that it is part of, and never before. */
export const insertOutbox = (topic: string, payload: object) =>
  write((tx, options) =>
    tx
      .insertInto("outbox")
      .values({ topic, payload: JSON.stringify(payload) })
      .execute(options)
  )
