import type { Actor } from "./scenario.ts"

/** An actor under which the client's process dies before any one of its steps. */
export const crashOf = (client: number): Actor => ({
  name: `client ${client} dies`,
  when: ({ held }) => held(client) !== undefined,
  run: ({ kill }) => kill(client)
})

/** An actor that cuts the client's connections before any one of its steps; the client lives on. */
export const cutOf = (client: number): Actor => ({
  name: `client ${client} is cut off`,
  when: ({ held }) => held(client) !== undefined,
  run: ({ cut }) => cut(client)
})

/**
 * An actor under which one step of the client takes effect, but its reply is lost with the connection; the client lives
 * on.
 *
 * @param matching limits the steps, by their label. Default: any step.
 */
export const lostReplyOf = (client: number, matching: RegExp = /^/): Actor => ({
  name: `client ${client} loses a reply`,
  when: ({ held }) => matching.test(held(client) ?? "") && held(client) !== undefined,
  run: ({ loseReply }) => loseReply(client)
})
