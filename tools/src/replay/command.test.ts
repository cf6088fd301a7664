import { Effect } from "effect"
import { CliError, CliOutput, Command } from "effect/cli"
import { describe, expect, test } from "vitest"
import { cliServices } from "../cli.ts"
import { replayOptions } from "./command.ts"
import { textOf } from "./decimal.ts"
import type { run } from "./replay.ts"

type ReplayOptions = Parameters<typeof run>[0]

/** The options of a command line, or the messages about what is wrong with it. */
const parse = (args: ReadonlyArray<string>): Promise<ReplayOptions | ReadonlyArray<string>> => {
  let parsed: ReplayOptions | undefined
  const command = Command.make("replay", replayOptions, (options) =>
    Effect.sync(() => void (parsed = options))
  )
  return Command.runWith(command, { version: "" })(args).pipe(
    Effect.map(() => parsed!),
    Effect.catchIf(
      (error) => error instanceof CliError.ShowHelp,
      ({ errors }) => Effect.succeed(errors.map(({ message }) => message))
    ),
    Effect.provide(CliOutput.layerPresenter({ present: () => Effect.void })),
    Effect.provide(cliServices),
    Effect.runPromise
  )
}

describe("the replay's arguments", () => {
  test("have defaults", async () => {
    const parsed = await parse(["a.csv"])
    expect(parsed).toMatchObject({ file: "a.csv", workers: 32, seed: 1, json: false, fresh: false })
    expect("stockFactor" in parsed && textOf(parsed.stockFactor)).toBe("1")
  })

  test("may come in any order", async () => {
    const args = ["--workers", "8", "--json", "a.csv.gz", "--stock-factor=0.5", "--seed", "7", "--fresh"]
    expect(await parse(args)).toMatchObject({
      file: "a.csv.gz",
      workers: 8,
      seed: 7,
      json: true,
      fresh: true,
      stockFactor: { value: 5n, scale: 1 }
    })
  })

  test.each([
    [[], /^Missing required argument: FILE$/],
    [["a.csv", "b.csv"], /^Unexpected positional argument: "b.csv"$/],
    [["a.csv", "--workers", "0"], /--workers: "0"\. Expected: a whole number from 1 to 1000$/],
    [["a.csv", "--workers", "many"], /--workers: "many"/],
    [["a.csv", "--workers", "1.5"], /--workers: "1.5"/],
    [["a.csv", "--workers"], /^Missing value for flag --workers\./],
    [
      ["a.csv", "--stock-factor", "half"],
      /--stock-factor: "half"\. Expected: a decimal number from 0 to 100$/
    ],
    [["a.csv", "--stock-factor=-1"], /--stock-factor: "-1"/],
    [["a.csv", "--stock-factor", "1e3"], /--stock-factor: "1e3"/],
    [["a.csv", "--stock-factor", "101"], /--stock-factor: "101"/],
    [["a.csv", "--seed", "4294967296"], /--seed: "4294967296"/],
    [["a.csv", "--speed", "9"], /--speed/]
  ])("are rejected when they are invalid: %j", async (args, message) => {
    expect(await parse(args)).toEqual([expect.stringMatching(message)])
  })
})
