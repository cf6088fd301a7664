import { Effect, Exit } from "effect"
import { describe, expect, test } from "vitest"
import { requireStrength } from "./password-strength.ts"

const fails = (password: string, email = "ann.smith@example.com") =>
  Exit.isFailure(Effect.runSyncExit(requireStrength("password", password, email)))

describe("the floor for passwords", () => {
  test.each([
    "password",
    "PASSWORD",
    "Password123!",
    "qwertyuiop",
    "iloveyou",
    "summer2026!",
    "aaaaaaaa",
    "abababab",
    "abc1abc1abc1",
    "12345678",
    "87654321",
    "ann.smith1",
    "1Ann.Smith!"
  ])("refuses %s", (password) => expect(fails(password)).toBe(true))

  test.each([
    "a password",
    "correct horse battery",
    "xK3$vq9!tR",
    "dragon of the north",
    "ann.smith likes the sea",
    "ünïcödé wörds",
    "日本語のパスワード",
    "🂡🂢🂣 three cards"
  ])("accepts %s", (password) => expect(fails(password)).toBe(false))

  test("names the field and never quotes the password", () => {
    const exit = Effect.runSyncExit(requireStrength("newPassword", "password123", "ann@example.com"))
    const text = JSON.stringify(exit)
    expect(text).toContain("newPassword")
    expect(text).not.toContain("password123")
  })
})
