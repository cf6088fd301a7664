// Node, with `require`.
const sdk = require("@holdfast/client-sdk")

void import("./program.mjs").then(async ({ useShop }) => {
  console.log(JSON.stringify(await useShop(sdk, { url: process.argv[2] })))
  process.exit()
})
