import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { login, me, refresh, register } from "./service.ts"

export const authRouter = (implement: Implement) => ({
  register: implement(contract.auth.register, register),
  login: implement(contract.auth.login, login),
  refresh: implement(contract.auth.refresh, refresh),
  me: implement(contract.auth.me, me)
})
