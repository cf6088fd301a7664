import type { Contract, HoldfastContract } from "@holdfast/domain"
import { trpc } from "./platform/trpc/trpc.ts"
import type { Implemented } from "./platform/trpc/adapter.ts"
import type { Implement } from "./app.ts"
import { productsAdmin, productsRouter } from "./modules/catalog/router.ts"
import { couponsAdmin, couponsRouter } from "./modules/coupons/router.ts"
import { ordersRouter } from "./modules/orders/router.ts"
import { paymentsRouter } from "./modules/payments/router.ts"
import { pointsAdmin, pointsRouter } from "./modules/points/router.ts"
import { rankingRouter } from "./modules/ranking/router.ts"
import { authRouter } from "./modules/auth/router.ts"
import { webhooksAdmin } from "./modules/webhooks/router.ts"

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
