// Node, Bun and Deno, as a module.
import * as sdk from "@holdfast/client-sdk"
import { useShop } from "./program.mjs"

console.log(JSON.stringify(await useShop(sdk, { url: process.argv[2] })))
process.exit()
