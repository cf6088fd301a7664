import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { nodeResolve } from "@rollup/plugin-node-resolve"
import terser from "@rollup/plugin-terser"
import * as esbuild from "esbuild"
import { type Plugin, rollup } from "rollup"
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
}

/** Bundles the entry with each bundler as a page's build does. The entry imports the compiled packages. */
export const bundleSizes = async (source: string): Promise<Readonly<Record<string, BundleSize>>> => {
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
  const gzipped = (isInitial: boolean) =>
    chunks
      .filter(({ name }) => /(^|\/)(entry|main)\b/.test(name) === isInitial)
      .reduce((sum, { code }) => sum + gzipSync(code).length, 0)
  return { initialBytes: gzipped(true), laterBytes: gzipped(false) }
}

// Its types are those of a CommonJS module, which it is not.
const minify = terser as unknown as () => Plugin

const withEsbuild = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const { outputFiles } = await esbuild.build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "out",
    write: false
  })
  return outputFiles.map(({ contents, path }) => ({ name: basename(path), code: contents }))
}

const withRollup = async (entry: string): Promise<ReadonlyArray<Chunk>> => {
  const bundle = await rollup({ input: entry, plugins: [nodeResolve({ browser: true }), minify()] })
  const { output } = await bundle.generate({ format: "es" })
  return output.flatMap((file) => (file.type === "chunk" ? [{ name: file.fileName, code: file.code }] : []))
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
  return output.flatMap((file) => (file.type === "chunk" ? [{ name: file.fileName, code: file.code }] : []))
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
      .map((name) => ({ name, code: readFileSync(join(path, name)) }))
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}
