import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { nodeResolve } from "@rollup/plugin-node-resolve"
import terser from "@rollup/plugin-terser"
import * as esbuild from "esbuild"
import { type OutputAsset, type OutputChunk, type Plugin, rollup } from "rollup"
import { build, type Rolldown } from "vite"
import webpack from "webpack"

/** What a browser loads, minified and gzipped: with the page, and with the first subscription. */
interface BundleSize {
  readonly initialBytes: number
  readonly laterBytes: number
}

interface Chunk {
  readonly name: string
  readonly code: string | Uint8Array
  /** The names of the chunks that are loaded together with this one. */
  readonly imports: ReadonlyArray<string>
}

/** Bundles the entry with each bundler as a page's build does. The entry imports the compiled packages. */
export const bundleSizes = async (
  source: string
): Promise<Readonly<Record<"esbuild" | "rollup" | "vite" | "webpack", BundleSize>>> => {
  const directory = mkdtempSync(join(fileURLToPath(new URL("../../dist", import.meta.url)), "bundle-"))
  const entry = join(directory, "entry.js")
  writeFileSync(entry, source)
  try {
    return {
      esbuild: sizeOf(await withEsbuild(entry)),
      rollup: sizeOf(await withRollup(entry)),
      vite: sizeOf(await withVite(entry)),
      webpack: sizeOf(await withWebpack(entry))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const sizeOf = (chunks: ReadonlyArray<Chunk>): BundleSize => {
  const initial = new Set(chunks.filter(({ name }) => /^(entry|main)\b/.test(name)))
  for (const { imports } of initial)
    for (const chunk of chunks) if (imports.includes(chunk.name)) initial.add(chunk)
  const gzipped = (isInitial: boolean) =>
    chunks
      .filter((chunk) => initial.has(chunk) === isInitial)
      .reduce((sum, { code }) => sum + gzipSync(code).length, 0)
  return { initialBytes: gzipped(true), laterBytes: gzipped(false) }
}

const chunkOf = (file: OutputAsset | OutputChunk | Rolldown.OutputAsset | Rolldown.OutputChunk) =>
  file.type === "chunk"
    ? [
        {
          name: basename(file.fileName),
          code: file.code,
          imports: file.imports.map((path) => basename(path))
        }
      ]
    : []

// Its types are those of a CommonJS module, which it is not.
const minify = terser as unknown as () => Plugin

const withEsbuild = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const { metafile, outputFiles } = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "out",
    metafile: true,
    write: false
  })
  const importsOf = new Map(
    Object.entries(metafile.outputs).map(([path, { imports }]) => [
      basename(path),
      imports.flatMap(({ kind, path }) => (kind === "import-statement" ? [basename(path)] : []))
    ])
  )
  return outputFiles.map(({ contents, path }) => {
    const name = basename(path)
    return { name, code: contents, imports: importsOf.get(name) ?? [] }
  })
}

const withRollup = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const bundle = await rollup({ input: entry, plugins: [nodeResolve({ browser: true }), minify()] })
  const { output } = await bundle.generate({ format: "es" })
  return output.flatMap(chunkOf)
}

const withVite = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const { output } = (await build({
    configFile: false,
    logLevel: "error",
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: { input: entry, preserveEntrySignatures: "strict" }
    }
  })) as Rolldown.RolldownOutput
  return output.flatMap(chunkOf)
}

const withWebpack = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const path = mkdtempSync(join(tmpdir(), "holdfast-webpack-"))
  try {
    await new Promise<void>((resolve, reject) => {
      webpack(
        {
          mode: "production",
          entry,
          target: ["web", "es2022"],
          output: { path, module: true, library: { type: "module" } },
          experiments: { outputModule: true },
          performance: false
        },
        (error, stats) => {
          if (error === null && stats?.hasErrors() === false) resolve()
          else reject(error ?? new Error(stats?.toString()))
        }
      )
    })
    return readdirSync(path)
      .filter((name) => /\.m?js$/.test(name))
      .map((name) => ({ name, code: readFileSync(join(path, name)), imports: [] }))
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}
