import { ImageName, type ContainerRuntimeClient } from "testcontainers"
import { messageOf } from "../../internal/message-of.ts"
import { withDeadline } from "../../internal/promises.ts"
import { SourceUnusable } from "../errors.ts"
import type { RedisFlavour, SqlFlavour } from "../service.ts"

type Flavour = SqlFlavour | RedisFlavour

const DEFAULT_IMAGES: Readonly<Record<Flavour, string>> = {
  mysql: "mysql:9.7",
  mariadb: "mariadb:11.8",
  redis: "redis:8",
  valkey: "valkey:8"
}

/** The Valkey project publishes under its own name only; the short name covers images built locally. */
const ALSO_KNOWN_AS: Readonly<Record<string, string>> = { "valkey:8": "valkey/valkey:8" }

const PULL_DEADLINE_MS = 600_000

/** An image present in the engine, with its default entrypoint and command. */
export interface Image {
  readonly name: string
  readonly entrypoint: ReadonlyArray<string>
  readonly command: ReadonlyArray<string>
}

/**
 * The first image of the flavours, in their order, that is present or can be pulled.
 *
 * @throws SourceUnusable when there is none
 */
export async function firstImage(
  client: ContainerRuntimeClient,
  { image, flavours }: { readonly image: string | undefined; readonly flavours: ReadonlyArray<Flavour> },
  progress: (line: string) => void
): Promise<Image> {
  const names = image === undefined ? flavours.flatMap(imageNames) : [image]
  const reasons: Array<string> = []
  for (const name of names) {
    try {
      return await obtain(client, name, progress)
    } catch (error) {
      reasons.push(`image ${name} is not here and cannot be pulled (${messageOf(error)})`)
    }
  }
  throw new SourceUnusable(reasons.join("; "))
}

function imageNames(flavour: Flavour): ReadonlyArray<string> {
  const name = process.env[`HOLDFAST_${flavour.toUpperCase()}_IMAGE`] || DEFAULT_IMAGES[flavour]
  const other = ALSO_KNOWN_AS[name]
  return other === undefined ? [name] : [name, other]
}

async function obtain(
  client: ContainerRuntimeClient,
  name: string,
  progress: (line: string) => void
): Promise<Image> {
  const image = ImageName.fromString(name)
  if (!(await client.image.exists(image))) {
    progress(`docker: pulling ${name}`)
    await withDeadline(client.image.pull(image), PULL_DEADLINE_MS, "the registry did not deliver it")
  }
  const { Config: config } = await client.image.inspect(image)
  return { name, entrypoint: words(config.Entrypoint), command: words(config.Cmd) }
}

const words = (value: string | ReadonlyArray<string> | null | undefined): ReadonlyArray<string> =>
  typeof value === "string" ? [value] : (value ?? [])
