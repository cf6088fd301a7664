import * as sdk from "@holdfast/client-sdk"
import { useShop } from "./program.mjs"

const { done, shop } = globalThis
useShop(sdk, { url: shop, subscribes: false }).then(
  (result) => done(JSON.stringify(result)),
  (failure) => done(String(failure?.stack ?? failure))
)
