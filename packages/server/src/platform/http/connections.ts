import { ServiceUnavailable } from "@holdfast/domain"
import type { FastifyInstance } from "fastify"
import type { Socket } from "node:net"
import type { HttpSettings } from "../config.ts"
import { refuse } from "./refusal.ts"

/** Connections beyond the bound that are told so, or asked for the process's health; further ones are closed unheard. */
const RESERVED_CONNECTIONS = 100

/** Requests of one connection that may wait for their answers. No client needs as many; a flood has more. */
const MAXIMUM_PIPELINED = 64

const RETRY_AFTER_MS = 1_000

/** Bounds the open connections, and the answers that each of them has not taken yet. */
export const addConnectionBounds = (app: FastifyInstance, { maximumConnections }: HttpSettings): void => {
  const beyond = new WeakSet<Socket>()
  const unanswered = new WeakMap<Socket, number>()
  let open = 0
  app.server.maxConnections = maximumConnections + RESERVED_CONNECTIONS
  app.server.on("connection", (socket: Socket) => {
    open += 1
    if (open > maximumConnections) beyond.add(socket)
    socket.once("close", () => (open -= 1))
  })
  app.addHook("onRequest", (request, reply, done) => {
    const { socket } = request.raw
    const waiting = (unanswered.get(socket) ?? 0) + 1
    if (waiting > MAXIMUM_PIPELINED || socket.destroyed) {
      reply.hijack()
      socket.destroy()
      return
    }
    unanswered.set(socket, waiting)
    reply.raw.once("close", () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1))
    if (!beyond.has(socket) || request.routeOptions.config.alwaysAnswered === true) return done()
    request.isShed = true
    reply.header("connection", "close")
    refuse(request, reply, new ServiceUnavailable({ retryAfterMs: RETRY_AFTER_MS }))
  })
}
