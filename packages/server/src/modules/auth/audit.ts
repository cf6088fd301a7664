import { type AnswerRule, idInAnswer } from "../../platform/audit/check.ts"

/** The answers of `auth.register` against the users. */
export const userAnswers: ReadonlyArray<AnswerRule> = [
  {
    procedure: "auth.register",
    isWrong: `NOT EXISTS (SELECT 1 FROM users u WHERE u.id = ${idInAnswer("$.success.id")})`
  }
]
