import { serviceSetup } from "../../../src/vitest/service-setup.ts"

export default serviceSetup()
