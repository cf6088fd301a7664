import { contract } from "@holdfast/domain"
import { expect, it } from "vitest"

const capitalised = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)

const namesOf = (group: string, procedure: string) => {
  const name = capitalised(group) + capitalised(procedure)
  const at = `["${group}"]["${procedure}"]`
  return [
    `export type ${name}Input = Inputs${at}`,
    `export type ${name}Output = Outputs${at}`,
    `export type ${name}Failure = Failures${at}`
  ].join("\n")
}

it("names the types of every procedure (write the file anew with `vitest run --update`)", async () => {
  const groups = Object.entries(contract)
  const names = groups.flatMap(([group, procedures]) =>
    Object.keys(procedures).map((procedure) => namesOf(group, procedure))
  )
  const head = [
    "// Written by names.test.ts from the contract: a name for the input, the output and the failures of each procedure.",
    `import type { Failures, Inputs, Outputs } from "./types.ts"`
  ]
  await expect([...head, "", ...names].join("\n") + "\n").toMatchFileSnapshot("./names.ts")
})
