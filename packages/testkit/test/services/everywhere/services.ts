import { serviceSetup } from "../../../src/vitest/index.ts"

export default serviceSetup()
