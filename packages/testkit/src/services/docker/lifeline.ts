import { Socket } from "node:net"
import { createInterface } from "node:readline"
import { PassThrough } from "node:stream"
import type { ContainerRuntimeClient } from "testcontainers"
import { withDeadline } from "../../internal/promises.ts"
import { isGone, isOwner, thisOwner } from "../owner.ts"
import { handToSleeper } from "../native/supervisor.ts"
import { ScriptedContainer, type ContainerPlan } from "./container.ts"

/**
 * The container's first process. It reads commands from its standard input and exits when that closes, whether this
 * process closed it or died; the kernel then ends the container and the engine removes it. A killed server is started
 * again in the same container, with the same port and files.
 */
const SUPERVISOR = `
trap 'exit 0' TERM
run() { "$@" </dev/null >&2 & echo "started $!"; wait $!; echo "ended $?"; }
while read -r order signal pid; do
  case $order in
    start) run "$@" & ;;
    kill) kill -"$signal" "$pid" 2>/dev/null && echo done || echo gone ;;
  esac
done
`

const OWNER_LABEL = "holdfast.owner"
const ORDER_DEADLINE_MS = 20_000
const REMOVED_DEADLINE_MS = 20_000

/** A server in a container that ends with this process. */
export interface ContainedServer {
  readonly containerId: string
  readonly host: string
  readonly port: number
  readonly running: () => boolean
  readonly exited: () => Promise<number>
  start(): Promise<void>
  /** Resolves once the signal is sent; rejects when the server has ended. */
  signal(name: "STOP" | "CONT" | "KILL" | "TERM"): Promise<void>
  /** The last lines of the server's log. */
  log(): Promise<string>
  /** Keeps the container after this process ends; resolves with the pid of the process that then keeps it alive. */
  outlive(seconds: number): Promise<number>
  /** Ends everything in the container and waits until the engine has removed it. */
  end(): Promise<void>
}

type Plan = Omit<ContainerPlan, "labels" | "local">

/** Creates the container, attaches to it and starts the server in it. */
export async function startContained(client: ContainerRuntimeClient, plan: Plan): Promise<ContainedServer> {
  await sweep(client)
  const { dockerode } = client.container
  let dialogue: Dialogue | undefined
  let id = ""
  const attach = async (containerId: string) => {
    id = containerId
    const stream = await dockerode
      .getContainer(containerId)
      .attach({ stream: true, hijack: true, stdin: true, stdout: true })
    const output = new PassThrough()
    dockerode.modem.demuxStream(stream, output, new PassThrough().resume())
    dialogue = holdDialogue(stream, output)
  }
  const runtimeHost = client.info.containerRuntime.host
  const local = runtimeHost === "localhost"
  const labels = { [OWNER_LABEL]: JSON.stringify(thisOwner()) }
  const container = await new ScriptedContainer({ ...plan, labels, local }, SUPERVISOR, attach)
    .start()
    .catch(async (error: unknown) => {
      dialogue?.hangUp()
      if (id !== "") await remove(client, id)
      throw error
    })
  if (dialogue === undefined) throw new Error("the container was started without its lifeline")
  const { order, hangUp, outlive, running, exited } = dialogue
  const server: ContainedServer = {
    containerId: container.getId(),
    host: local ? "127.0.0.1" : runtimeHost,
    port: container.getMappedPort(plan.port),
    running,
    exited,
    start: () => order("start"),
    signal: (name) => order(`kill ${name}`),
    log: () => lastLines(client, container.getId()),
    outlive,
    end: async () => {
      hangUp()
      await removed(client, container.getId())
    }
  }
  await server.start()
  return server
}

type Dialogue = ReturnType<typeof holdDialogue>

/** Sends one command at a time, each answered by one line. A line `ended` arrives whenever the server ends. */
function holdDialogue(stream: NodeJS.ReadWriteStream, output: NodeJS.ReadableStream) {
  let pid = ""
  let running = false
  let answered: (word: string) => void = () => {}
  let ended: (status: number) => void = () => {}
  let exited = Promise.resolve(0)
  const hear = (line: string) => {
    const [word = "", argument = ""] = line.split(" ")
    if (word === "ended") {
      running = false
      ended(Number(argument))
      return
    }
    if (word === "started") {
      pid = argument
      running = true
      exited = new Promise((resolve) => (ended = resolve))
    }
    answered(word)
  }
  createInterface({ input: output }).on("line", hear)
  const closed = () => {
    hear("ended 137")
    answered("closed")
  }
  stream.on("error", closed).on("close", closed).on("end", closed)
  unref(stream)

  let previous: Promise<unknown> = Promise.resolve()
  const ask = async (order: string) => {
    const answer = new Promise<string>((resolve) => (answered = resolve))
    stream.write(order.startsWith("kill") ? `${order} ${pid}\n` : `${order}\n`)
    const word = await withDeadline(answer, ORDER_DEADLINE_MS, "the container did not answer")
    if (word === "gone" || word === "closed") throw new Error("the server in the container has ended")
  }
  return {
    running: () => running,
    exited: () => exited,
    order: (order: string) => {
      const turn = previous.then(() => ask(order))
      previous = turn.catch(() => {})
      return turn
    },
    hangUp: () => stream.end(),
    outlive: (seconds: number) =>
      stream instanceof Socket
        ? handToSleeper(stream, seconds)
        : Promise.reject(new Error("the connection to the Docker engine cannot be handed to another process"))
  }
}

/** A missing call of stop() does not keep the program alive; the container ends with the program. */
function unref(stream: NodeJS.ReadWriteStream): void {
  if ("unref" in stream && typeof stream.unref === "function") stream.unref()
}

async function removed(client: ContainerRuntimeClient, id: string): Promise<void> {
  const container = client.container.getById(id)
  const gone = container.wait({ condition: "removed" }).then(
    () => {},
    () => {}
  )
  await withDeadline(gone, REMOVED_DEADLINE_MS, "the container was not removed")
}

async function lastLines(client: ContainerRuntimeClient, id: string): Promise<string> {
  const container = client.container.getById(id)
  const buffer = await container.logs({ stdout: false, stderr: true, tail: 20 }).catch(() => Buffer.alloc(0))
  // Each frame begins with eight bytes: the number of the stream and the length.
  const parts: Array<string> = []
  for (let at = 0; at + 8 <= buffer.length;) {
    const end = at + 8 + buffer.readUInt32BE(at + 4)
    parts.push(buffer.toString("utf8", at + 8, end))
    at = end
  }
  return parts.join("").trim()
}

/** Removes containers of runners that died between creating and starting them. */
async function sweep(client: ContainerRuntimeClient): Promise<void> {
  const { dockerode } = client.container
  const created = await dockerode.listContainers({
    all: true,
    filters: { label: [OWNER_LABEL], status: ["created"] }
  })
  for (const { Id, Labels } of created) {
    if (!isAbandoned(Labels[OWNER_LABEL] ?? "")) continue
    await remove(client, Id)
  }
}

/** Ignores failures: the engine or another runner may remove the container at the same moment. */
const remove = (client: ContainerRuntimeClient, id: string) =>
  client.container
    .getById(id)
    .remove({ force: true, v: true })
    .catch(() => {})

/** False for owners on other machines that share the engine, because their processes cannot be checked. */
function isAbandoned(label: string): boolean {
  try {
    const owner: unknown = JSON.parse(label)
    return isOwner(owner) && isGone(owner)
  } catch {
    return false
  }
}
