import * as sdk from "@holdfast/client-sdk"
import { useShop } from "./program.mjs"

const { report, shop } = globalThis
const visit = async () => {
  try {
    return JSON.stringify(await useShop(sdk, { url: shop, subscribes: false }))
  } catch (failure) {
    return String(failure?.stack ?? failure)
  }
}
void visit().then(report)
