import { startServices } from "@holdfast/testkit"
import { audit } from "../shop/audit.ts"
import type { Ground } from "./ground.ts"
import { type RestartFigures, rollingRestart } from "./rolling-restart.ts"

interface DrillOptions {
  readonly name: string | undefined
  readonly json: boolean
}

interface Drill {
  readonly run: (ground: Ground) => Promise<RestartFigures>
  readonly isGood: (figures: RestartFigures) => boolean
}

const DRILLS: Readonly<Record<string, Drill>> = {
  rollingRestart: { run: rollingRestart, isGood: ({ failed }) => failed === 0 }
}

const DATABASE = "holdfast_drill"

/** Runs one drill, or all of them, and audits the books after each. The exit code is 1 when one fails. */
export const run = async ({ json, name }: DrillOptions): Promise<number> => {
  if (name !== undefined && !Object.hasOwn(DRILLS, name))
    throw new Error(`there is no drill ${name}; known: ${Object.keys(DRILLS).join(", ")}`)
  const figures: Record<string, RestartFigures> = {}
  let areBooksRight = true
  let isGood = true
  for (const [each, drill] of Object.entries(DRILLS)) {
    if (name !== undefined && name !== each) continue
    await using services = await startServices()
    await services.sql.createDatabase(DATABASE)
    const ground: Ground = {
      mysqlUrl: services.sql.url(DATABASE),
      redisUrl: services.redis.url(),
      note: (line) => console.error(`${each}: ${line}`)
    }
    const measured = await drill.run(ground)
    figures[each] = measured
    isGood &&= drill.isGood(measured)
    areBooksRight &&= (await audit(ground.mysqlUrl, ground.redisUrl)).ok
  }
  const result = { ...figures, booksRight: areBooksRight }
  console.log(json ? JSON.stringify(result) : textOf(figures, areBooksRight))
  return isGood && areBooksRight ? 0 : 1
}

const textOf = (figures: Readonly<Record<string, RestartFigures>>, areBooksRight: boolean): string =>
  [
    ...Object.entries(figures).map(
      ([name, { calls, failed, worstMs }]) =>
        `${name}: ${calls} calls, ${failed} failed, the slowest answer after ${worstMs} ms`
    ),
    areBooksRight ? "The books are right." : "The books are wrong."
  ].join("\n")
