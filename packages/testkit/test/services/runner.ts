// Starts services, prints their identities and waits to be killed. Arguments: the options as JSON, "freeze" or nothing.
import { startServices, type RedisService, type ServiceOptions, type SqlService } from "../../src/index.ts"

const options: ServiceOptions = JSON.parse(process.argv[2] ?? "{}")
const services: { sql?: SqlService; redis?: RedisService } = await startServices(options)
if (process.argv[3] === "freeze") await Promise.all([services.sql?.freeze(), services.redis?.freeze()])
console.log(JSON.stringify({ sql: services.sql?.identity, redis: services.redis?.identity }))
// Ends when the test that started it ends.
process.stdin.resume().on("end", () => process.exit())
