import { existsSync } from "node:fs"
import { request } from "node:http"
import { connect } from "node:net"
import { homedir } from "node:os"
import { join } from "node:path"
import type { ContainerRuntimeClient } from "testcontainers"
import { peer } from "../../internal/peer.ts"
import { messageOf } from "../../internal/message-of.ts"
import { withDeadline } from "../../internal/promises.ts"
import { SourceUnusable } from "../errors.ts"

const SOCKET_DEADLINE_MS = 1_000
const HOST_DEADLINE_MS = 3_000
const CLIENT_DEADLINE_MS = 30_000

/**
 * Testcontainers' client of the engine. Loading it takes half a second, so this first checks that an engine answers
 * at one of the usual places; without Docker that costs a few milliseconds.
 */
export async function engine(): Promise<ContainerRuntimeClient> {
  await requireAnswer()
  const { getContainerRuntimeClient } = await peer("testcontainers", () => import("testcontainers"))
  try {
    return await withDeadline(
      getContainerRuntimeClient(),
      CLIENT_DEADLINE_MS,
      "the Docker engine did not answer"
    )
  } catch (error) {
    throw new SourceUnusable(`Docker cannot be used: ${messageOf(error)}`, { cause: error })
  }
}

async function requireAnswer(): Promise<void> {
  const configured = process.env["DOCKER_HOST"] || process.env["TESTCONTAINERS_HOST_OVERRIDE"]
  if (configured !== undefined && configured !== "") return requireAnswerAt(configured)
  // This file may configure an engine in a place that is not checked here.
  if (existsSync(join(homedir(), ".testcontainers.properties"))) return
  if (process.platform === "win32") return
  const sockets = usualSockets().filter(existsSync)
  const answers = await Promise.all(sockets.map((socket) => ping(socket)))
  if (answers.includes(true)) return
  throw new SourceUnusable(
    sockets.length === 0
      ? "no Docker engine: DOCKER_HOST is not set and there is no docker.sock in the usual places"
      : `no Docker engine answers at ${sockets.join(" or ")}`
  )
}

async function requireAnswerAt(host: string): Promise<void> {
  if (!URL.canParse(host)) throw new SourceUnusable(`DOCKER_HOST=${host} is not a URL`)
  const url = new URL(host)
  if (url.protocol === "unix:") {
    if (await ping(url.pathname)) return
  } else if (url.protocol !== "tcp:" && url.protocol !== "http:" && url.protocol !== "https:") {
    return
  } else if (await accepts(url.hostname, Number(url.port) || 2375)) {
    return
  }
  throw new SourceUnusable(`no Docker engine answers at DOCKER_HOST=${host}`)
}

/** The sockets that Testcontainers tries. */
function usualSockets(): ReadonlyArray<string> {
  const runtime = process.env["XDG_RUNTIME_DIR"]
  return [
    "/var/run/docker.sock",
    ...(runtime === undefined || runtime === "" ? [] : [join(runtime, "docker.sock")]),
    join(homedir(), ".docker", "run", "docker.sock"),
    join(homedir(), ".docker", "desktop", "docker.sock"),
    `/run/user/${process.getuid?.() ?? 0}/docker.sock`
  ]
}

/** Whether an engine answers on the socket. A stopped one refuses, a hung one times out. */
const ping = (socketPath: string) =>
  new Promise<boolean>((resolve) => {
    const call = request({ socketPath, path: "/_ping", timeout: SOCKET_DEADLINE_MS }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    call.on("timeout", () => call.destroy(new Error("timeout")))
    call.on("error", () => resolve(false))
    call.end()
  })

const accepts = (host: string, port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: HOST_DEADLINE_MS })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once("connect", () => end(true))
    socket.once("timeout", () => end(false))
    socket.once("error", () => end(false))
  })
