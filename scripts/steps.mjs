// Runs the steps of a command, a few at a time: one line for each, and the whole output of those that fail.
import { spawn } from "node:child_process"
import { node24, root } from "./bootstrap.mjs"

/** A step that runs a program of a dependency on Node 24. `file` is relative to the checkout. */
export const nodeStep = (name, file, ...args) => ({ name, work: () => capture(node24(), [file, ...args]) })

/** Runs a program and returns its output. Throws `StepFailed`, with the output, when the program fails. */
export function capture(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options })
    const chunks = []
    child.stdout.on("data", (chunk) => chunks.push(chunk))
    child.stderr.on("data", (chunk) => chunks.push(chunk))
    child.on("error", reject)
    child.on("close", (code) => {
      const output = Buffer.concat(chunks).toString()
      if (code === 0) resolve(output)
      else reject(new StepFailed(`${args.slice(0, 3).join(" ")} ended with ${code}`, output))
    })
  })
}

/** A step found errors; `output` lists them. */
export class StepFailed extends Error {
  constructor(message, output) {
    super(message)
    this.output = output
  }
}

/**
 * Runs all steps in the given order, `atOnce` of them at a time. A failure does not stop the others, so that one run
 * reports every error. A step's `remark` turns its result into a note on its line.
 * @returns whether every step passed
 */
export async function runSteps(title, steps, atOnce = 2) {
  const startedAt = Date.now()
  const waiting = [...steps]
  let failed = 0
  const worker = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift())
      if (!(await runStep(step))) failed++
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const verdict = failed === 0 ? `${steps.length} steps passed` : `${failed} of ${steps.length} steps failed`
  console.error(`${title}: ${verdict} in ${secondsSince(startedAt)}`)
  return failed === 0
}

async function runStep({ name, remark, work }) {
  const startedAt = Date.now()
  try {
    const result = await work()
    console.error(
      `  ok    ${name} (${secondsSince(startedAt)})${remark === undefined ? "" : `: ${remark(result)}`}`
    )
    return true
  } catch (error) {
    console.error(`  FAIL  ${name} (${secondsSince(startedAt)}): ${error.message}`)
    const output = error instanceof StepFailed ? error.output : error.stack
    console.error(indent(output.trimEnd()))
    return false
  }
}

const indent = (text) => text.replaceAll(/^/gm, "        ")
const secondsSince = (startedAt) => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`
