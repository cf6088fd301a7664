import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { balance, charge, grant, history } from "./service.ts"

export const pointsRouter = (implement: Implement) => ({
  balance: implement(contract.points.balance, balance),
  charge: implement(contract.points.charge, charge),
  history: implement(contract.points.history, history)
})

export const pointsAdmin = (implement: Implement) => ({
  grantPoints: implement(contract.admin.grantPoints, grant)
})
