// Vendure as its documentation sets it up: its default configuration, a MySQL database, tokens in a header, and the
// payment method that it ships for tries. Plain JavaScript, because its packages are installed elsewhere.
import { createRequire } from "node:module"
import { join } from "node:path"

// Not called `require`, so that nobody takes these for dependencies of this repository.
const fromPeer = createRequire(join(process.env.PEER_DIRECTORY, "package.json"))
const { bootstrap, DefaultLogger, dummyPaymentHandler, LogLevel } = fromPeer("@vendure/core")
const { populateInitialData } = fromPeer("@vendure/core/cli")

const { hostname, password, pathname, port, username } = new URL(process.env.BENCH_MYSQL_URL)
const administrator = { identifier: "admin", password: process.env.PEER_PASSWORD }
const CONNECTIONS = 16

const app = await bootstrap({
  apiOptions: { port: 0, hostname: "127.0.0.1", adminApiPath: "admin-api", shopApiPath: "shop-api" },
  authOptions: { tokenMethod: "bearer", superadminCredentials: administrator },
  dbConnectionOptions: {
    type: "mysql",
    synchronize: true,
    host: hostname,
    port: Number(port),
    username,
    password,
    database: pathname.slice(1),
    extra: { connectionLimit: CONNECTIONS }
  },
  logger: new DefaultLogger({ level: LogLevel.Error }),
  paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
  plugins: []
})
const automaticSettle = { name: "automaticSettle", value: "true" }
await populateInitialData(app, {
  defaultLanguage: "en",
  defaultZone: "Europe",
  taxRates: [{ name: "None", percentage: 0 }],
  countries: [{ name: "United Kingdom", code: "GB", zone: "Europe" }],
  shippingMethods: [{ name: "Post", price: 0 }],
  paymentMethods: [
    { name: "Card", handler: { code: dummyPaymentHandler.code, arguments: [automaticSettle] } }
  ],
  collections: []
})
process.on("disconnect", () => process.exit())
process.send(app.getHttpServer().address().port)
