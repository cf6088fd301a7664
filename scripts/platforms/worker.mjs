// workerd, which Cloudflare's workers run on.
import * as sdk from "@holdfast/client-sdk"
import { useShop } from "./program.mjs"

export default {
  fetch: async (request) =>
    Response.json(await useShop(sdk, { url: new URL(request.url).searchParams.get("shop") }))
}
