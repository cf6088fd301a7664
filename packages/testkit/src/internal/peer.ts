/** A package that only some tools need is not installed. */
export class PeerMissing extends Error {
  readonly _tag = "PeerMissing"
  readonly package: string

  constructor(name: string, cause: unknown) {
    super(`${name} is needed here, and is not installed: npm install --save-dev ${name}`, { cause })
    this.name = "PeerMissing"
    this.package = name
  }
}

/**
 * Loads an optional peer when it is first used, because loading takes longer than most tests.
 *
 * @throws PeerMissing when it is not installed
 */
export async function peer<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"
    if (isMissing && error.message.includes(`'${name}'`)) throw new PeerMissing(name, error)
    throw error
  }
}
