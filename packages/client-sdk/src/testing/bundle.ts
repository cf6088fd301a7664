import { fileURLToPath } from "node:url"
import { build, type Rolldown } from "vite"

interface Bundle {
  readonly code: string
  /** The ids of the bundled modules. */
  readonly modules: ReadonlyArray<string>
  /** The remaining imports: none, except for `external`. */
  readonly imports: ReadonlyArray<string>
}

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Bundles and minifies a module for browsers into one file, as an application's build does. */
export const bundle = async (source: string): Promise<Bundle> => {
  const entry = "\0entry"
  const output = (await build({
    configFile: false,
    logLevel: "error",
    root,
    resolve: { conditions: ["holdfast-source", "browser", "import", "module", "default"] },
    plugins: [
      {
        name: "entry",
        resolveId: (id, importer) =>
          id === "entry"
            ? entry
            : importer === entry && id.startsWith(".")
              ? fileURLToPath(new URL(`../${id}`, import.meta.url))
              : undefined,
        load: (id) => (id === entry ? source : undefined)
      }
    ],
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: {
        input: "entry",
        preserveEntrySignatures: "strict",
        output: { codeSplitting: false }
      }
    }
  })) as Rolldown.RolldownOutput
  const [chunk, ...others] = output.output
  if (others.length > 0) throw new Error(`expected one chunk, got ${others.length} more`)
  return { code: chunk.code, modules: Object.keys(chunk.modules), imports: chunk.imports }
}
