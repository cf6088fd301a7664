import type { Contract, HoldfastContract } from "@holdfast/domain"
import { trpc } from "../rpc/trpc.ts"
import type { Implemented } from "../rpc/implement.ts"
import type { Implement } from "./App.ts"
import { productsAdmin, productsRouter } from "./catalog/router.ts"
import { couponsAdmin, couponsRouter } from "./coupons/router.ts"
import { ordersRouter } from "./orders/router.ts"
import { paymentsRouter } from "./payments/router.ts"
import { pointsAdmin, pointsRouter } from "./points/router.ts"
import { rankingRouter } from "./ranking/router.ts"
import { authRouter } from "./register/router.ts"
import { webhooksAdmin } from "./webhooks/router.ts"

/** What the routers must have: every procedure of the contract. One that nobody implements does not compile. */
type Routers<C extends Contract> = {
  readonly [Group in keyof C]: { readonly [Name in keyof C[Group]]: Implemented<C[Group][Name]> }
}

export const makeAppRouter = (implement: Implement) => {
  const routers = {
    auth: authRouter(implement),
    points: pointsRouter(implement),
    products: { ...productsRouter(implement), ...rankingRouter(implement) },
    coupons: couponsRouter(implement),
    orders: ordersRouter(implement),
    payments: paymentsRouter(implement),
    admin: {
      ...productsAdmin(implement),
      ...couponsAdmin(implement),
      ...pointsAdmin(implement),
      ...webhooksAdmin(implement)
    }
  } satisfies Routers<HoldfastContract>
  return trpc.router(routers)
}

/** For plain tRPC clients: inputs, outputs and declared errors of every procedure. */
export type AppRouter = ReturnType<typeof makeAppRouter>
