import { contract } from "@holdfast/domain"
import type { Implement } from "../App.ts"
import { balance, grant } from "./service.ts"

export const pointsRouter = (implement: Implement) => ({
  balance: implement(contract.points.balance, balance),
  grant: implement(contract.points.grant, grant)
})
