// npm run bench -- testkit [--rounds 10] [--kills 100] [--source native|docker|packages] [--json]
import { sources, type Source } from "../../src/services/service.ts"
import { importFigures } from "./imports.ts"
import { loadAccuracy } from "./accuracy.ts"
import { checkerFigures, staleReadFigures } from "./checker.ts"
import { dockerKills, nativeKills } from "./kills.ts"
import { readyFigures } from "./ready.ts"

interface Options {
  readonly rounds?: unknown
  readonly kills?: unknown
  readonly source?: unknown
}

/**
 * Measures how fast the package loads, how fast services and databases start, how fast servers end after their runner was killed, the speed of the
 * checker, and the accuracy of the load generator. The explorer has a separate benchmark.
 */
export async function run({ rounds = 10, kills = 100, source }: Options = {}) {
  const from = sourceNamed(typeof source === "string" ? source : (process.env["HOLDFAST_SOURCE"] ?? "native"))
  const ready = await readyFigures(from, Number(rounds))
  const gone =
    from === "docker"
      ? { containersAfterKill: await dockerKills(Number(kills)) }
      : { serversAfterKill: await nativeKills(Number(kills)) }
  return {
    source: from,
    imports: importFigures(Number(rounds)),
    ...ready,
    checker: checkerFigures(Number(rounds)),
    staleRead: staleReadFigures(Number(rounds)),
    loadGenerator: await loadAccuracy(),
    ...gone
  }
}

function sourceNamed(name: string): Source {
  const found = sources.find((source) => source === name)
  if (found === undefined) throw new Error(`--source ${name}: expected one of ${sources.join(", ")}`)
  return found
}
