// Increments a counter file three times and passes named points; crash tests start and kill it.
import { readFileSync, writeFileSync } from "node:fs"
import { crashPoint } from "../../crash-point/index.ts"

const [, , file = "", mode] = process.argv
process.on("exit", () => writeFileSync(`${file}.exit`, "ran"))
for (let round = 0; round < 3; round += 1) {
  const before = Number(readFileSync(file, "utf8"))
  crashPoint("beforeWrite")
  writeFileSync(file, String(before + 1))
  crashPoint("afterWrite")
}
console.log("finished")
if (mode === "stay") setInterval(() => {}, 1_000)
