import { serviceSetup } from "@holdfast/testkit/vitest-setup"

// One SQL and one Redis server for the whole run, from the first source that this machine has.
export default serviceSetup()
