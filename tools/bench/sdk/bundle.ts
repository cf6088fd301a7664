import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build, type Rolldown } from "vite"

export interface BundleSizes {
  /** An application that uses only the client. */
  readonly all: number
  /** What the client adds to an application that already uses Effect. */
  readonly withoutEffect: number
  /** The plain tRPC client with the same links. */
  readonly plainTrpc: number
}

/** Bundled for browsers, minified, gzip, in kB of 1,000 bytes. */
export const bundleSizes = async (): Promise<BundleSizes> => ({
  all: await bundleKbGzip(`export { createClient } from "@holdfast/client-sdk"`),
  withoutEffect: await bundleKbGzip(`export { createClient } from "@holdfast/client-sdk"`, [/^effect($|\/)/]),
  plainTrpc: await bundleKbGzip(
    `export { createTRPCUntypedClient, httpBatchLink, httpLink, splitLink } from "@trpc/client"`
  )
})

const entry = fileURLToPath(new URL("entry.js", import.meta.url))

const bundleKbGzip = async (source: string, external: Array<RegExp> = []): Promise<number> => {
  const result = (await build({
    configFile: false,
    logLevel: "error",
    resolve: { conditions: ["holdfast-source", "browser", "import", "module", "default"] },
    plugins: [
      {
        name: "entry",
        resolveId: (id) => (id === "entry" ? entry : undefined),
        load: (id) => (id === entry ? source : undefined)
      }
    ],
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: { input: "entry", external, preserveEntrySignatures: "strict" }
    }
  })) as Rolldown.RolldownOutput
  return gzipSync(result.output[0].code).length / 1000
}
