import { GenericContainer, type WaitStrategy } from "testcontainers"
import type { Image } from "./images.ts"

/** What runs in a container, and where it keeps its data. */
export interface ContainerPlan {
  readonly image: Image
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly port: number
  readonly dataPath: string
  /** The volume that keeps the data; without one they stay in memory. */
  readonly volume: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Whether the engine runs on this machine, so that the port only needs to be reachable from here. */
  readonly local: boolean
}

/**
 * A container whose first process is a script that reads commands from its standard input. `attach` is called after
 * the container is created and before it is started.
 */
export class ScriptedContainer extends GenericContainer {
  readonly #local: boolean
  readonly #port: number
  readonly #attach: (containerId: string) => Promise<void>

  constructor(plan: ContainerPlan, script: string, attach: (containerId: string) => Promise<void>) {
    super(plan.image.name)
    this.#local = plan.local
    this.#port = plan.port
    this.#attach = attach
    const { entrypoint, command } = plan.image
    this.withEntrypoint(["/bin/sh", "-c", script, "holdfast"])
      .withCommand([...entrypoint, ...command.slice(0, 1), ...plan.args])
      .withEnvironment(plan.env)
      .withExposedPorts(plan.port)
      .withLabels(plan.labels)
      .withWaitStrategy(waitForNothing)
      // Testcontainers' reaper needs an image that may be unavailable; this container ends by itself.
      .withAutoCleanup(false)
    if (plan.volume === undefined) this.withTmpFs({ [plan.dataPath]: "rw" })
    else this.withBindMounts([{ source: plan.volume, target: plan.dataPath }])
  }

  protected override async beforeContainerCreated(): Promise<void> {
    this.hostConfig.AutoRemove = true
    // The engine closes the container's input when its only attached client disconnects.
    Object.assign(this.createOpts, { OpenStdin: true, StdinOnce: true, AttachStdin: true })
    if (this.#local)
      this.hostConfig.PortBindings = { [`${this.#port}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: "0" }] }
  }

  protected override containerCreated(containerId: string): Promise<void> {
    return this.#attach(containerId)
  }
}

/** Readiness is probed from outside the container, where the clients connect. */
const waitForNothing: WaitStrategy = {
  waitUntilReady: () => Promise.resolve(),
  withStartupTimeout: () => waitForNothing,
  isStartupTimeoutSet: () => true,
  getStartupTimeout: () => 0
}
