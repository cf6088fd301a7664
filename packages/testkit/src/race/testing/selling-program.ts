// Sells one unit in a transaction and passes named points.
import { createConnection } from "mysql2/promise"
import { crashPoint } from "../../crash-point/index.ts"

const connection = await createConnection(String(process.env["SELLING_URL"]))
await connection.beginTransaction()
await connection.query("UPDATE stock SET units = units - 1 WHERE id = 1")
crashPoint("beforeCommit")
await connection.commit()
crashPoint("afterCommit")
await connection.end()
console.log("sold")
