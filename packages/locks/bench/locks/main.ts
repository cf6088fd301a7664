import { run } from "./index.ts"

console.log(JSON.stringify(await run({ onProgress: (line) => console.error(line) }), null, 2))
