import type { Actor } from "./scenario.ts"

/** The process of a client dies, at any of its steps. */
export const crashOf = (client: number): Actor => ({
  name: `client ${client} dies`,
  when: ({ held }) => held(client) !== undefined,
  run: ({ kill }) => kill(client)
})

/** A client's connections are cut before any of its steps; it lives on. */
export const cutOf = (client: number): Actor => ({
  name: `client ${client} is cut off`,
  when: ({ held }) => held(client) !== undefined,
  run: ({ cut }) => cut(client)
})

/** One step of a client takes effect, but its reply is lost with the connection; the client lives on. */
export const lostReplyOf = (client: number, matching: RegExp = /^/): Actor => ({
  name: `client ${client} loses a reply`,
  when: ({ held }) => matching.test(held(client) ?? "") && held(client) !== undefined,
  run: ({ loseReply }) => loseReply(client)
})
